"""Filters of the role mysql: who is primary, and values computed from a host's address and memory."""

from __future__ import annotations

import ipaddress
import zlib
from typing import Any

MIB = 1024 * 1024


def mysql_primary(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Decide which member is the primary, from what every member's server is right now.

    The running servers are the only source: a primary that was moved stays where it is, and where they
    contradict each other nobody is chosen.

    1. One server with data takes writes: it is the primary.
    2. None does, since all have just booted: the one whom all replicas follow, and who follows nobody.
       Every member must have answered, because a silent one may have been promoted.
    3. Nobody holds data: the first member.

    :param results: of the loop over ``mysql_members`` that ran ``tandem.web.mysql_state``; each has the member
        as ``item``.
    :returns: the member with its ``state``; or, when the servers contradict each other, a record whose ``problem``
        is a sentence that names the hosts.
    """
    try:
        return _primary(results) | {"problem": ""}
    except Contradiction as problem:
        return {"name": "", "address": "", "state": {}, "problem": str(problem)}


class Contradiction(Exception):
    """No primary can be told."""


def _primary(results: list[dict[str, Any]]) -> dict[str, Any]:
    members = [result["item"] | {"state": result.get("state") or {}} for result in results]
    present = [member for member in members if member["state"].get("running")]
    # A host without a server is new; one that does not answer may hold anything.
    silent = [m for m in members if m not in present and m["state"].get("installed") is not False]
    followed = {_source(member) for member in present}
    used = [m for m in present if not m["state"]["blank"] or _source(m) or m["address"] in followed]

    writable = [member for member in used if member["state"]["writable"]]
    if len(writable) > 1:
        raise Contradiction(
            f"{_names(writable)} all take writes. Decide whose data counts, make the others read-only "
            "(SET GLOBAL read_only = ON), and run again."
        )
    if writable:
        if _source(writable[0]):
            raise Contradiction(
                f"{_names(writable)} takes writes and is a replica of {_name_of(_source(writable[0]), members)} too. "
                "Make it read-only, or end its replication, and run again."
            )
        return writable[0]

    if silent:
        raise Contradiction(
            f"No server takes writes, and {_names(silent)} cannot be asked. Who is primary cannot be told "
            "without it: start it, or take it out of mysql_members."
        )
    if not used:
        return (present or members)[0]
    heads = [member for member in used if not _source(member)]
    full = [member for member in used if not member["state"]["blank"]]
    if len(heads) == 1 and heads[0]["state"]["blank"] and full:
        raise Contradiction(
            f"{heads[0]['name']} is followed by {_names(full)} and holds no data: they were lost, or their disk is not "
            "mounted. Mount it; or run failover.yml, and then this again."
        )
    if len(heads) == 1 and all(_source(m) == heads[0]["address"] for m in used if m is not heads[0]):
        return heads[0]
    who = ", ".join(f"{m['name']} follows {_name_of(_source(m), members)}" for m in used)
    raise Contradiction(
        f"No server takes writes, and the servers do not agree on a primary: {who}. "
        "Make the one whose data counts writable (SET GLOBAL read_only = OFF), and run again."
    )


def _source(member: dict[str, Any]) -> str:
    return (member["state"].get("replication") or {}).get("source", "")


def _names(members: list[dict[str, Any]]) -> str:
    return " and ".join(member["name"] for member in members)


def _name_of(address: str, members: list[dict[str, Any]]) -> str:
    return next((m["name"] for m in members if m["address"] == address), address) or "nobody"


def mysql_server_id(address: str) -> int:
    """Return a server id that is the host's own and stays when other hosts come or go: its address as a number."""
    parsed = ipaddress.ip_address(address)
    return int(parsed) if parsed.version == 4 else zlib.crc32(parsed.packed) or 1


def mysql_buffer_pool(memory_mb: int, percent: int = 50) -> str:
    """Return a size for the buffer pool: a share of the host's memory, in the steps of 128 MiB that InnoDB allots."""
    return f"{max(128, int(memory_mb) * percent // 100 // 128 * 128)}M"


class FilterModule:
    """The filters of ``tandem.web`` about databases."""

    def filters(self) -> dict[str, Any]:
        return {
            "mysql_primary": mysql_primary,
            "mysql_server_id": mysql_server_id,
            "mysql_buffer_pool": mysql_buffer_pool,
        }
