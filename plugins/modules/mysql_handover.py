#!/usr/bin/python
"""One server's part in moving the primary from one database server to another."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mysql_handover
short_description: One server's part in moving the primary
description:
  - V(repoint) makes a replica follow another server. When that does not work, it follows the one before again.
  - V(take_over) waits until the server at O(source) takes no writes any more, until this one holds all its
    transactions, and then takes writes. It never does so because time has passed, and gives up after O(patience).
  - V(step_down) ends writes, follows the server at O(source), and waits until that one takes writes.
  - V(resume) undoes V(step_down). Only for a server whose successor was seen to have given up.
  - V(collect) ends the receiving, and waits until everything received is applied.
  - V(promote) ends replication and takes writes.
  - V(elect) has a cluster make this member its primary, in place of the one at O(source).
  - It does not decide. What may be done is what the filters C(mysql_switchover) and C(mysql_failover) find out.
options:
  step:
    description: Which part.
    type: str
    choices: [repoint, take_over, step_down, resume, collect, promote, elect]
    required: true
  source:
    description: Address of the other server.
    type: str
    default: ""
  port:
    description: Port of the other server.
    type: int
    default: 3306
  role_check_port:
    description: Where servers say what they are.
    type: int
    default: 9200
  user:
    description: The account for replication.
    type: str
    default: ""
  password:
    description: Password of the account.
    type: str
    default: ""
  tls_ca:
    description: The CA that the other server's certificate is verified with.
    type: path
    default: ""
  patience:
    description: Longest wait, in seconds, for the other server or for what is under way.
    type: int
    default: 20
extends_documentation_fragment: tandem.web.mysql
author: The Tandem founders
"""

EXAMPLES = r"""
- name: The new primary takes over as soon as the old one has ended writes
  tandem.web.mysql_handover: {engine: mysql, step: take_over, source: 192.0.2.31}
  async: 60
  poll: 0
"""

RETURN = r"""
at:
  description: Unix time at which writes ended, or began.
  type: float
  returned: for take_over, step_down, promote and elect
paused:
  description: Seconds between the last moment at which the old primary took writes and the first at which this one did.
  type: float
  returned: for elect
gtid:
  description: The transactions this server holds.
  type: str
  returned: for collect
complete:
  description: Whether everything received is applied.
  type: bool
  returned: for collect
"""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tandem.web.plugins.module_utils import mysql, mysql_handover

# The unit mysql-cluster looks for it, and takes it away when this member takes the writes.
WANTED = Path("/run/mysql-cluster/wanted")


class GivenUpError(Exception):
    """The step was not done, and why."""


def repoint(server: mysql.Server, params: dict[str, Any]) -> dict[str, Any]:
    """Follow another server, or the one before again."""
    before = server.replication()
    if before and before["source"] == params["source"] and not mysql_handover.connected(server, 0):
        return {"changed": False}
    mysql_handover.follow(server, params)
    problem = mysql_handover.connected(server, params["patience"])
    if problem:
        if before and before["source"] != params["source"]:
            mysql_handover.follow(server, params | {"source": before["source"]})
        raise GivenUpError(f"It cannot follow {params['source']}: {problem}")
    return {}


def take_over(server: mysql.Server, params: dict[str, Any]) -> dict[str, Any]:
    """Take writes once the source takes none and nothing of it is missing."""
    deadline = time.monotonic() + params["patience"]
    while True:
        theirs = mysql_handover.ask(params["source"], params["role_check_port"])
        if theirs and not theirs["writable"]:
            break
        if time.monotonic() > deadline:
            raise GivenUpError(f"{params['source']} {'still takes writes' if theirs else 'does not answer'}.")
        time.sleep(mysql_handover.POLL)
    lacks = mysql_handover.applied(server, theirs["gtid"], max(0.0, deadline - time.monotonic()))
    if lacks:
        raise GivenUpError(f"It still lacks transactions of {params['source']}: {lacks}.")
    mysql_handover.promote(server)
    return {"at": time.time()}


def step_down(server: mysql.Server, params: dict[str, Any]) -> dict[str, Any]:
    """End writes, and follow the successor."""
    at = time.time()
    mysql_handover.read_only(server, patience=2)
    mysql_handover.follow(server, params)
    deadline = time.monotonic() + params["patience"]
    while True:
        theirs = mysql_handover.ask(params["source"], params["role_check_port"])
        if theirs and theirs["writable"]:
            return {"at": at, "problem": mysql_handover.connected(server, params["patience"])}
        if time.monotonic() > deadline:
            raise GivenUpError(f"{params['source']} has not taken over within {params['patience']} s.")
        time.sleep(mysql_handover.POLL)


def resume(server: mysql.Server, params: dict[str, Any]) -> dict[str, Any]:
    """Take writes again."""
    del params
    if server.state()["writable"]:
        return {"changed": False}
    mysql_handover.promote(server)
    return {"at": time.time()}


def collect(server: mysql.Server, params: dict[str, Any]) -> dict[str, Any]:
    """End the receiving and apply the rest."""
    server.query("STOP REPLICA IO_THREAD")
    complete = mysql_handover.relayed(server, params["patience"])
    return {"gtid": server.gtid(), "complete": complete}


def promote(server: mysql.Server, params: dict[str, Any]) -> dict[str, Any]:
    """End replication and take writes."""
    del params
    mysql_handover.promote(server)
    return {"at": time.time()}


def elect(server: mysql.Server, params: dict[str, Any]) -> dict[str, Any]:
    """Have the cluster move its primary here, and look when."""
    deadline = time.monotonic() + params["patience"]
    last = time.time()
    with ThreadPoolExecutor(1) as pool:
        electing = pool.submit(want, params)
        while not mysql_handover.writable(server):
            if mysql_handover.takes_writes(params["source"], params["role_check_port"]):
                last = time.time()
            if electing.done():
                electing.result()  # raises what was in the way
            if time.monotonic() > deadline:
                WANTED.unlink(missing_ok=True)
                raise GivenUpError(f"The cluster has not moved its primary here within {params['patience']} s.")
            time.sleep(mysql_handover.POLL)
        at = time.time()
    return {"at": at, "paused": max(0.0, at - last)}


def want(params: dict[str, Any]) -> None:
    """Tell the cluster; on MySQL this returns when it is done."""
    if params["engine"] == "mariadb":
        WANTED.touch()
        return
    server = mysql.Server("mysql", params["socket"])
    # A statement that changes something although it could begin with SELECT.
    server.query("DO group_replication_set_as_primary(%s)", (server.value("@@server_uuid"),))


STEPS = {each.__name__: each for each in (repoint, take_over, step_down, resume, collect, promote, elect)}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "step": {"type": "str", "choices": list(STEPS), "required": True},
            "source": {"type": "str", "default": ""},
            "port": {"type": "int", "default": 3306},
            "user": {"type": "str", "default": ""},
            "tls_ca": {"type": "path", "default": ""},
            "password": {"type": "str", "default": "", "no_log": True},
            "role_check_port": {"type": "int", "default": 9200},
            "patience": {"type": "int", "default": 20},
            **mysql.ARGUMENTS,
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=True)
    server = mysql.connect(module)
    try:
        result = STEPS[module.params["step"]](server, module.params)
    except (mysql.DatabaseError, GivenUpError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**{"changed": True} | result)


if __name__ == "__main__":
    main()
