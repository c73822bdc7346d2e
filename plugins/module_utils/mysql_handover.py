"""What moves the primary: what another server says of itself, and the steps on each of the two."""

from __future__ import annotations

import http.client
import json
import time
from typing import Any

from . import mysql

POLL = 0.05
"""Seconds between two looks, while writes wait."""
GONE = (1236, 13114)
"""The receiver asked for a transaction that its source does not have, or has no more."""


def ask(address: str, port: int, timeout: float = 1.0) -> dict[str, Any] | None:
    """Return what the server at an address says of itself on the port of its role check; None without an answer.

    :param timeout: seconds; what a server says is never older than one.
    """
    connection = http.client.HTTPConnection(address, port, timeout=timeout)
    try:
        connection.request("GET", "/state")
        answer = connection.getresponse()
        return json.loads(answer.read()) if answer.status == 200 else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()


def takes_writes(address: str, port: int, timeout: float = 1.0) -> bool:
    """Ask the role check at an address whether its server takes writes; no answer means no."""
    connection = http.client.HTTPConnection(address, port, timeout=timeout)
    try:
        connection.request("GET", "/primary")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def read_only(server: mysql.Server, patience: int) -> None:
    """End writes: after this returns no transaction is added, and those that were acknowledged are in the set.

    :param patience: seconds that statements under way, which it waits for, may take.
    :raises DatabaseError: when they take longer; the server then takes writes as before.
    """
    server.query(f"SET SESSION lock_wait_timeout = {patience}")
    server.query(f"SET GLOBAL {'super_' if server.engine == 'mysql' else ''}read_only = ON")


def writable(server: mysql.Server) -> bool:
    """Tell whether a server takes writes now."""
    return str(server.value("@@GLOBAL.read_only")) in ("0", "OFF")


def promote(server: mysql.Server) -> None:
    """Let a server that follows somebody take writes instead; commits wait for a replica if one is there."""
    if server.query("SHOW REPLICA STATUS"):
        server.query("STOP REPLICA")
        server.query("RESET REPLICA ALL")
    clients = f"{server.words['semi_sync'].removesuffix('_enabled')}_clients"
    if int(server.query(f"SHOW GLOBAL STATUS LIKE '{clients}'")[0]["Value"]):
        server.query(f"SET GLOBAL {server.words['semi_sync']} = 1")
    server.query("SET GLOBAL read_only = OFF")


def follow(server: mysql.Server, params: dict[str, Any]) -> None:
    """Make a read-only server follow another one, in place of whomever it followed."""
    server.query(f"SET GLOBAL {server.words['semi_sync']} = 0")
    if server.replication():
        server.query("STOP REPLICA")
    elif server.engine == "mariadb":
        # What it wrote itself as a primary counts as received too.
        server.query("SET GLOBAL gtid_slave_pos = @@GLOBAL.gtid_current_pos")
    server.query(*server.source_statement(params))
    server.query("START REPLICA")


def connected(server: mysql.Server, patience: float) -> str:
    """Wait until a server receives and applies; return what is in the way after `patience` seconds.

    A source that is a few transactions behind is asked again until it has them.
    """
    deadline = time.monotonic() + patience
    while True:
        now = server.replication()
        if now["receiver"] == "Yes" and now["applier"] == "Yes":
            return ""
        if time.monotonic() > deadline:
            return now["receiver_error"] or now["applier_error"] or f"its receiver says {now['receiver']}"
        if now["receiver"] == "No" and now["receiver_errno"] in GONE:
            server.query("START REPLICA")
        time.sleep(POLL)


def applied(server: mysql.Server, gtid: str, patience: float) -> str:
    """Wait until a server holds a set of transactions; return what it lacks after `patience` seconds."""
    deadline = time.monotonic() + patience
    while lacks := server.gtid_missing_in(gtid, server.gtid()):
        if time.monotonic() > deadline:
            return lacks
        time.sleep(POLL)
    return ""


def relayed(server: mysql.Server, patience: float) -> bool:
    """Wait until everything that was received is applied; tell whether it is after `patience` seconds."""
    deadline = time.monotonic() + patience
    while True:
        now = server.replication()
        if not now or now["received"] == now["applied"]:
            return True
        if time.monotonic() > deadline or now["applier"] != "Yes":
            return False
        time.sleep(POLL)
