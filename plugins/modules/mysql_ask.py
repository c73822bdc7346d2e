#!/usr/bin/python
"""Asks database servers over the network what they are, from this host's point of view."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mysql_ask
short_description: Ask database servers what they are, by their role check
description:
  - Reads C(/state) of each server's role check. It changes nothing; a server that does not answer is an answer, too.
options:
  members:
    description: The servers.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the server.
        type: str
        required: true
      address:
        description: Its address.
        type: str
        required: true
  port:
    description: Port of the role checks.
    type: int
    default: 9200
  timeout:
    description: Longest wait for each, in seconds. They are asked one after the other.
    type: float
    default: 1
  delay:
    description: How long to wait before asking, in seconds.
    type: float
    default: 0
author: The Tandem founders
"""

EXAMPLES = r"""
- name: Does the old primary answer?
  tandem.web.mysql_ask:
    members: [{name: db1, address: 192.0.2.31}]
"""

RETURN = r"""
states:
  description: What each server says, by name; null for one that does not answer.
  returned: always
  type: dict
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tandem.web.plugins.module_utils import mysql_handover


def main() -> None:
    """Run the module."""
    member = {"name": {"type": "str", "required": True}, "address": {"type": "str", "required": True}}
    module = AnsibleModule(
        argument_spec={
            "members": {"type": "list", "elements": "dict", "required": True, "options": member},
            "port": {"type": "int", "default": 9200},
            "timeout": {"type": "float", "default": 1},
            "delay": {"type": "float", "default": 0},
        },
        supports_check_mode=True,
    )
    time.sleep(module.params["delay"])
    port, timeout = module.params["port"], module.params["timeout"]
    states = {each["name"]: mysql_handover.ask(each["address"], port, timeout) for each in module.params["members"]}
    module.exit_json(changed=False, states=states)


if __name__ == "__main__":
    main()
