#!/usr/bin/python
"""Replaces the data of a MySQL server by another server's."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mysql_clone
short_description: Replace the data of a MySQL server by another server's
description:
  - Everything in this server is dropped; it then holds what the donor held when the copy ended, and knows which
    transactions those were, so that it can follow the donor from there.
  - The donor goes on serving. Both need the clone plugin, and the account needs C(BACKUP_ADMIN) on the donor.
options:
  donor:
    description: Address of the server to copy.
    type: str
    required: true
  port:
    description: Port of the donor.
    type: int
    default: 3306
  user:
    description: Account on the donor.
    type: str
    required: true
  password:
    description: Password of the account.
    type: str
    required: true
  timeout:
    description: Longest time the copy and the restart after it may take, in seconds.
    type: int
    default: 86400
  socket:
    description: Unix socket of the server whose data is replaced.
    type: path
    default: /run/mysqld/mysqld.sock
author: The Tandem founders
"""

EXAMPLES = r"""
- name: Seed a replica
  tandem.web.mysql_clone:
    donor: 192.0.2.31
    user: replication
    password: "{{ secret }}"
"""

RETURN = r"""
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tandem.web.plugins.module_utils import mysql

# The server restarts itself when the copy is complete, which the connection that asked for it sees as a loss.
CONNECTION_LOST = (0, 2006, 2013)


class CopyError(Exception):
    """The copy did not succeed, and why."""


def clone(params: dict) -> None:
    """Copy the donor and wait until the server has restarted with its data."""
    deadline = time.monotonic() + params["timeout"]
    # One that an interrupted run began; the server goes on with it.
    wait(params, deadline)
    server = mysql.Server("mysql", params["socket"], timeout=params["timeout"])
    server.query("SET GLOBAL clone_valid_donor_list = %s", (f"{params['donor']}:{params['port']}",))
    server.query("STOP REPLICA")
    # CLONE cannot drop the old data otherwise. After the restart the server is read-only again.
    server.query("SET GLOBAL super_read_only = OFF")
    try:
        server.query(
            f"CLONE INSTANCE FROM %s@%s:{params['port']} IDENTIFIED BY %s REQUIRE SSL",
            (params["user"], params["donor"], params["password"]),
        )
    except mysql.DatabaseError as error:
        if error.code not in CONNECTION_LOST:
            server.query("SET GLOBAL super_read_only = ON")
            raise
    state, problem = wait(params, deadline)
    if state != "Completed":
        raise CopyError(problem or f"The copy ended as {state}.")


def wait(params: dict, deadline: float) -> tuple[str, str]:
    """Wait until no copy is under way, through the restart at its end; return how the last one ended."""
    while True:
        problem = ""
        try:
            rows = mysql.Server("mysql", params["socket"]).query(
                "SELECT state, error_message FROM performance_schema.clone_status"
            )
            if not rows or rows[0]["state"] != "In Progress":
                return (rows[0]["state"], rows[0]["error_message"]) if rows else ("", "")
        except mysql.DatabaseError as error:
            problem = f" {error}"
        if time.monotonic() > deadline:
            raise CopyError(f"The copy did not end within {params['timeout']} seconds.{problem}")
        time.sleep(0.2)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "donor": {"type": "str", "required": True},
            "port": {"type": "int", "default": 3306},
            "user": {"type": "str", "required": True},
            "password": {"type": "str", "required": True, "no_log": True},
            "timeout": {"type": "int", "default": 86400},
            "socket": mysql.ARGUMENTS["socket"],
        },
        supports_check_mode=True,
    )
    if not module.check_mode:
        try:
            clone(module.params)
        except (mysql.DatabaseError, CopyError) as error:
            module.fail_json(msg=f"{module.params['donor']} cannot be copied: {error}")
    module.exit_json(changed=True)


if __name__ == "__main__":
    main()
