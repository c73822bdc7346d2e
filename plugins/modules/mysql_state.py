#!/usr/bin/python
"""Reads what a database server is."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mysql_state
short_description: Read what a database server is right now
description:
  - Tells whether the server takes writes, whom it follows, who follows it, and which transactions it holds.
  - It changes nothing, and a host without a server is a state too, not an error.
extends_documentation_fragment: tandem.web.mysql
author: The Tandem founders
"""

EXAMPLES = r"""
- name: Who takes writes?
  tandem.web.mysql_state:
    engine: mysql
  register: state
"""

RETURN = r"""
state:
  description: The record that the filter C(mysql_primary) decides on.
  returned: always
  type: dict
  sample: {writable: true, blank: false, replication: {}, replicas: [192.0.2.32], gtid: "..."}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tandem.web.plugins.module_utils import mysql


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=mysql.ARGUMENTS, supports_check_mode=True)
    try:
        state = mysql.reach(module.params["engine"], module.params["socket"]).state()
    except mysql.DatabaseError as error:
        state = mysql.absent() | {"error": str(error)}
    module.exit_json(changed=False, state=state)


if __name__ == "__main__":
    main()
