#!/usr/bin/python
"""Runs one statement on a database server."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mysql_query
short_description: Run one statement on a database server
description:
  - As root over the unix socket, for either engine.
  - A statement that only reads (C(SELECT), C(SHOW)) runs in check mode too and reports no change.
options:
  statement:
    description: One SQL statement, with C(%s) for each of the values.
    type: str
    required: true
  values:
    description: Values of the statement, quoted by the driver.
    type: list
    elements: raw
    default: []
extends_documentation_fragment: tandem.web.mysql
author: The Tandem founders
"""

EXAMPLES = r"""
- name: Read a renewed certificate
  tandem.web.mysql_query:
    engine: mysql
    statement: ALTER INSTANCE RELOAD TLS
"""

RETURN = r"""
rows:
  description: The rows of the answer, one dictionary each.
  returned: always
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tandem.web.plugins.module_utils import mysql


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "statement": {"type": "str", "required": True},
            "values": {"type": "list", "elements": "raw", "default": []},
            **mysql.ARGUMENTS,
        },
        supports_check_mode=True,
    )
    statement, values = module.params["statement"], tuple(module.params["values"])
    reads = statement.split(None, 1)[0].upper() in ("SELECT", "SHOW")
    if module.check_mode and not reads:
        module.exit_json(changed=True, rows=[])
    try:
        rows = mysql.connect(module).query(statement, values or None)
    except mysql.DatabaseError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=not reads, rows=rows)


if __name__ == "__main__":
    main()
