#!/usr/bin/python
"""Lets a database server take writes."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mysql_promote
short_description: Let a database server take writes
description:
  - Every server of the collection boots read-only; this makes one writable, until its next restart.
  - It does not decide. That a server is the only one is what the filter C(mysql_primary) finds out before.
options:
  semi_sync:
    description:
      - Whether a commit waits until a replica has received it. Left as it is when not given.
      - Only a server that takes writes may have it on; a replica with it can hang even local logins.
    type: bool
extends_documentation_fragment: tandem.web.mysql
author: The Tandem founders
"""

EXAMPLES = r"""
- name: Take writes, and acknowledge only what a replica has too
  tandem.web.mysql_promote:
    engine: mysql
    semi_sync: true
"""

RETURN = r"""
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tandem.web.plugins.module_utils import mysql


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={"semi_sync": {"type": "bool"}, **mysql.ARGUMENTS}, supports_check_mode=True)
    try:
        primary = mysql.Changes(module)
        if not primary.state["writable"]:
            # On MySQL this ends super_read_only too.
            primary.run("SET GLOBAL read_only = OFF")
        wanted = module.params["semi_sync"]
        if wanted is not None and wanted != primary.state["semi_sync"]:
            primary.run(f"SET GLOBAL {primary.server.words['semi_sync']} = {int(wanted)}")
    except mysql.DatabaseError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=primary.changed)


if __name__ == "__main__":
    main()
