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
  - V(fenced) cuts all connections to the server and lets no new one through, whatever its health check says and
    whoever else is up. V(unfenced) leaves it to the health check again, without waiting for it.
  - V(routed) waits until the server is the one that is used, being up and no other one before it, and says when
    that was. It changes nothing.
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
    choices: [drained, ready, fenced, unfenced, routed]
    required: true
  timeout:
    description: How long to wait, in seconds. A drain goes on after it, V(ready) and V(routed) fail.
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
at:
  description: Unix time at which it was used.
  type: float
  returned: for V(routed)
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


# Bits of srv_admin_state: set by an operator, whatever the health check says meanwhile.
FORCED_MAINTENANCE, FORCED_DRAIN = 0x01, 0x08


def servers(statistics: str, state: str, backend: str) -> dict[str, dict[str, str]]:
    """Return the servers of a backend by name, from the answers to ``show stat`` and ``show servers state``.

    The statistics' status alone does not do: a drained server that is sick is DOWN there.
    """
    rows = csv.DictReader(statistics.lstrip("# ").splitlines())
    found = {
        row["svname"]: row for row in rows if row["pxname"] == backend and row["svname"] not in ("FRONTEND", "BACKEND")
    }
    header, *lines = state.strip().splitlines()[1:]
    for line in lines:
        record = dict(zip(header.lstrip("# ").split(), line.split(), strict=False))
        if record["be_name"] == backend and record["srv_name"] in found:
            admin = int(record["srv_admin_state"])
            found[record["srv_name"]]["fenced"] = "yes" if admin & FORCED_MAINTENANCE else ""
            found[record["srv_name"]]["out"] = "yes" if admin & (FORCED_MAINTENANCE | FORCED_DRAIN) else ""
    return found


def spare(found: dict[str, dict[str, str]], server: str) -> bool:
    """Tell whether another server that is checked is up, so that this one can be done without."""
    return any(name != server and row["status"].startswith("UP") for name, row in found.items())


def drain(module: AnsibleModule, look: Any, say: Any, name: str) -> dict[str, Any]:
    """Take the server out and wait for its present requests."""
    found = look()
    if module.params["server"] not in found:
        return {"changed": False, "reason": f"HAProxy does not know {name} yet"}
    if found[module.params["server"]]["out"]:
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
    if row is None or not row["out"]:
        return {"changed": False, "reason": f"{name} is not drained"}
    if not module.check_mode:
        # The check goes on while a server is drained, but what it last said may be from before the change.
        failures, passed = int(row["chkfail"] or 0), 0
        deadline = time.monotonic() + module.params["timeout"]
        while passed < 3:
            time.sleep(0.4)
            row = look()[module.params["server"]]
            well = row["check_status"].lstrip("* ") in ("L7OK", "L6OK", "L4OK") and int(row["chkfail"]) == failures
            passed, failures = (passed + 1 if well else 0), int(row["chkfail"] or 0)
            if passed < 3 and time.monotonic() > deadline:
                module.fail_json(
                    msg=f"{name} stays drained: after {module.params['timeout']} s its health check still says "
                    f"{row['check_status']} ({row['last_chk'] or row['check_desc']})."
                )
        say(f"set server {name} state ready")
        # Only when HAProxy counts it as up again is there somebody to take the next one's requests.
        while not look()[module.params["server"]]["status"].startswith("UP"):
            if time.monotonic() > deadline:
                module.fail_json(msg=f"{name} is healthy, but HAProxy does not count it as up again.")
            time.sleep(0.1)
    return {"changed": True}


def fence(module: AnsibleModule, look: Any, say: Any, name: str) -> dict[str, Any]:
    """Let nobody reach the server, from now on and until it is unfenced."""
    row = look().get(module.params["server"])
    if row is None or row["fenced"]:
        return {"changed": False, "reason": f"{name} is {'not known to HAProxy' if row is None else 'fenced already'}"}
    if not module.check_mode:
        say(f"set server {name} state maint")
        say(f"shutdown sessions server {name}")
    return {"changed": True}


def unfence(module: AnsibleModule, look: Any, say: Any, name: str) -> dict[str, Any]:
    """Leave the server to its health check again."""
    row = look().get(module.params["server"])
    if row is None or not row["fenced"]:
        return {"changed": False, "reason": f"{name} is not fenced"}
    if not module.check_mode:
        say(f"set server {name} state ready")
    return {"changed": True}


def routed(module: AnsibleModule, look: Any, say: Any, name: str) -> dict[str, Any]:
    """Wait until the server is the first one that is up."""
    del say
    deadline = time.monotonic() + module.params["timeout"]
    while True:
        used = next((each for each, row in look().items() if row["status"].startswith("UP")), None)
        if used == module.params["server"]:
            return {"changed": False, "at": time.time()}
        if time.monotonic() > deadline:
            module.fail_json(msg=f"{name} is not used after {module.params['timeout']} s; {used or 'none'} is.")
        time.sleep(0.05)


ACTIONS = {"drained": drain, "ready": ready, "fenced": fence, "unfenced": unfence, "routed": routed}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "backend": {"type": "str", "required": True},
            "server": {"type": "str", "required": True},
            "state": {"type": "str", "choices": list(ACTIONS), "required": True},
            "timeout": {"type": "int", "default": 30},
            "socket": {"type": "path", "default": "/run/haproxy/admin.sock"},
        },
        supports_check_mode=True,
    )
    path, backend = module.params["socket"], module.params["backend"]
    name = f"{backend}/{module.params['server']}"
    act = ACTIONS[module.params["state"]]
    begin = time.monotonic()
    try:
        result = act(
            module,
            lambda: servers(ask(path, "show stat"), ask(path, "show servers state"), backend),
            lambda command: ask(path, command),
            name,
        )
    except OSError as error:
        result = {"changed": False, "reason": f"no HAProxy answers on {path} ({error})"}
    module.exit_json(waited=round(time.monotonic() - begin, 3), **result)


if __name__ == "__main__":
    main()
