#!/usr/bin/python
"""Restarts a database server that is a member of a cluster, if the cluster can spare it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mysql_restart
short_description: Restart a member of a cluster, if the cluster can spare it
description:
  - The server itself is asked, just before it restarts, whether the others are a majority without it.
  - A primary hands its place to another member first.
  - A server that is in no cluster is restarted all the same. One that was in it is waited for until it is back.
options:
  service:
    description: Name of its systemd unit.
    type: str
    required: true
  members:
    description: How many members the cluster has, arbitrators and those that are away included.
    type: int
    required: true
  older_than:
    description: Restart only if the server was started before this file was written; without it, restart.
    type: path
  patience:
    description: Longest wait until the server is back, in seconds.
    type: int
    default: 180
extends_documentation_fragment: tandem.web.mysql
author: The Tandem founders
"""

EXAMPLES = r"""
- name: Restart
  tandem.web.mysql_restart: {engine: mysql, service: mysql, members: 3}
  throttle: 1
"""

RETURN = r"""
"""

import os
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tandem.web.plugins.module_utils import mysql

REFUSED = (
    "The server is not restarted: {online} of {members} members are online, and without it no majority is left."
    " Bring the others back first; GET /primary of each says what it waits for."
)


def spared(online: int, members: int) -> bool:
    """Tell whether the others are a majority of the members without one of those that are online."""
    return (online - 1) * 2 > members or members == 1


def restart(module: AnsibleModule) -> bool:
    """Restart, or end the module with the reason why not; tell whether it was necessary."""
    server = mysql.connect(module)
    file = module.params["older_than"]
    if file and server.started_at() > os.stat(file).st_mtime:
        return False
    cluster = server.state()["cluster"]
    others = [one for one in cluster.get("members", []) if one["state"] == "ONLINE" and not one["own"]]
    inside = cluster.get("state") == "ONLINE"
    online = len(others) + 1 + cluster.get("arbitrators", 0)
    if inside and not spared(online, module.params["members"]):
        module.fail_json(msg=REFUSED.format(online=online, **module.params))
    if module.check_mode:
        return True
    if inside:
        server.step_down()
    code, _output, problem = module.run_command(["systemctl", "restart", module.params["service"]])
    if code:
        module.fail_json(msg=f"{module.params['service']} does not start again: {problem.strip()}")
    deadline = time.monotonic() + module.params["patience"]
    while True:
        try:
            now = mysql.reach(module.params["engine"], module.params["socket"]).state()["cluster"]
            problem = f"it is {now.get('state', 'in no cluster')}"
            if not inside or now.get("state") == "ONLINE":
                return True
        except mysql.DatabaseError as error:
            problem = str(error)
        if time.monotonic() > deadline:
            module.fail_json(msg=f"The server is not back {module.params['patience']} s after its restart: {problem}")
        time.sleep(0.5)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "service": {"type": "str", "required": True},
            "members": {"type": "int", "required": True},
            "older_than": {"type": "path"},
            "patience": {"type": "int", "default": 180},
            **mysql.ARGUMENTS,
        },
        supports_check_mode=True,
    )
    try:
        changed = restart(module)
    except mysql.DatabaseError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=changed)


if __name__ == "__main__":
    main()
