#!/usr/bin/python
"""Take a server out of a running HAProxy's rotation, and put it back when it is healthy."""

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_server
short_description: Drain a server of a running HAProxy, or put it back
description:
  - Talks to HAProxy's runtime socket, on the load balancer.
  - V(drained) sends no new request to the server and waits until its present ones are answered. The last
    server that is up is never drained, because that would be the outage which a drain is to avoid.
  - V(ready) waits until HAProxy's own health check finds the server well, and only then puts it back.
options:
  backend:
    description: Name of the backend.
    type: str
    required: true
  server:
    description: Name of the server in it.
    type: str
    required: true
  state:
    description: What is wanted.
    type: str
    choices: [drained, ready]
    required: true
  timeout:
    description: How long to wait, in seconds. A drain goes on after it, V(ready) fails.
    type: int
    default: 30
  socket:
    description: HAProxy's runtime socket, with level admin.
    type: path
    default: /run/haproxy/admin.sock
author: [The Tandem founders (@tandem-web)]
"""

EXAMPLES = r"""
- name: No new requests for this server
  tandem.web.haproxy_server: {backend: web, server: web1, state: drained}
  delegate_to: lb1
"""

RETURN = r"""
waited:
  description: How long it took, in seconds.
  type: float
  returned: always
reason:
  description: Why nothing was done, where nothing was.
  type: str
  returned: when unchanged
"""

import csv
import socket
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule


def ask(path: str, command: str) -> str:
    """Send one command to a runtime socket and return the answer.

    :raises OSError: when no HAProxy listens there.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(10)
        connection.connect(path)
        connection.sendall(command.encode() + b"\n")
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return answer.decode()


def servers(statistics: str, backend: str) -> dict[str, dict[str, str]]:
    """Return the servers of a backend by name, from the answer to ``show stat``."""
    rows = csv.DictReader(statistics.lstrip("# ").splitlines())
    return {
        row["svname"]: row for row in rows if row["pxname"] == backend and row["svname"] not in ("FRONTEND", "BACKEND")
    }


def spare(found: dict[str, dict[str, str]], server: str) -> bool:
    """Tell whether another server that is checked is up, so that this one can be done without."""
    return any(name != server and row["status"].startswith("UP") for name, row in found.items())


def drain(module: AnsibleModule, look: Any, say: Any, name: str) -> dict[str, Any]:
    """Take the server out and wait for its present requests."""
    found = look()
    if module.params["server"] not in found:
        return {"changed": False, "reason": f"HAProxy does not know {name} yet"}
    if found[module.params["server"]]["status"].startswith(("DRAIN", "MAINT")):
        return {"changed": False, "reason": f"{name} is drained already"}
    if not spare(found, module.params["server"]):
        return {"changed": False, "reason": f"{name} is the last one that serves"}
    if not module.check_mode:
        say(f"set server {name} state drain")
        deadline = time.monotonic() + module.params["timeout"]
        while int(look()[module.params["server"]]["scur"]) and time.monotonic() < deadline:
            time.sleep(0.1)
    return {"changed": True}


def ready(module: AnsibleModule, look: Any, say: Any, name: str) -> dict[str, Any]:
    """Put the server back as soon as its health check is content."""
    row = look().get(module.params["server"])
    if row is None or not row["status"].startswith(("DRAIN", "MAINT")):
        return {"changed": False, "reason": f"{name} is not drained"}
    if not module.check_mode:
        # The check goes on while a server is drained, but what it last said may be from before the change.
        since = int(row["hanafail"] or 0), int(row["chkfail"] or 0)
        deadline = time.monotonic() + module.params["timeout"]
        passed = 0
        while passed < 3:
            row = look()[module.params["server"]]
            failures = int(row["hanafail"] or 0), int(row["chkfail"] or 0)
            well = row["check_status"].lstrip("* ").startswith(("L7OK", "L6OK", "L4OK")) and failures == since
            passed, since = (passed + 1 if well else 0), failures
            if passed < 3 and time.monotonic() > deadline:
                module.fail_json(
                    msg=f"{name} stays drained: after {module.params['timeout']} s its health check still says "
                    f"{row['check_status']} ({row['last_chk'] or row['check_desc']})."
                )
            time.sleep(0.4)
        say(f"set server {name} state ready")
    return {"changed": True}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "backend": {"type": "str", "required": True},
            "server": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["drained", "ready"], "required": True},
            "timeout": {"type": "int", "default": 30},
            "socket": {"type": "path", "default": "/run/haproxy/admin.sock"},
        },
        supports_check_mode=True,
    )
    path, backend = module.params["socket"], module.params["backend"]
    name = f"{backend}/{module.params['server']}"
    act = drain if module.params["state"] == "drained" else ready
    begin = time.monotonic()
    try:
        result = act(
            module,
            lambda: servers(ask(path, "show stat"), backend),
            lambda command: ask(path, command),
            name,
        )
    except OSError as error:
        result = {"changed": False, "reason": f"no HAProxy answers on {path} ({error})"}
    module.exit_json(waited=round(time.monotonic() - begin, 3), **result)


if __name__ == "__main__":
    main()
