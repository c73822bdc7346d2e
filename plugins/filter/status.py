"""Filter that lays out what the hosts said of themselves on one screen."""

from __future__ import annotations

from typing import Any

from ..module_utils import mysql_gtid
from .mysql import mysql_primary

EXPIRES_SOON = 14
"""Days below which a certificate is pointed out."""


def status_screen(
    hosts: dict[str, dict[str, Any]],
    databases: list[dict[str, Any]],
    vips: list[str],
    engine: str,
    topology: str,
) -> list[str]:
    """Return the lines of the screen.

    :param hosts: by name, what ``tandem.web.host_status`` returned; without ``versions`` where a host did not answer.
    :param databases: of the loop over the members that ran ``tandem.web.mysql_state``.
    :param vips: the virtual addresses.
    """
    lines = [f"Databases: {engine}, {topology}", *_table(_databases(databases, engine))]
    if vips:
        lines += ["", "Virtual addresses"]
        lines += _table([[vip, " and ".join(_holders(hosts, vip)) or "NOBODY holds it"] for vip in vips])
    lines += ["", "Hosts: versions, and the days that certificates are valid for"]
    lines += _table([[name, *_host(found)] for name, found in hosts.items()])
    return lines


def with_item(pair: tuple[dict[str, Any], dict[str, Any]]) -> dict[str, Any]:
    """Return the result of a task on one host as a loop over members would have it."""
    result, member = pair
    return {**(result or {}), "item": member}


def _databases(results: list[dict[str, Any]], engine: str) -> list[list[str]]:
    names = {result["item"]["address"]: result["item"]["name"] for result in results}
    primary = mysql_primary(results)
    rows = []
    for result in results:
        name, state = result["item"]["name"], result.get("state") or {}
        if not state.get("running"):
            reason = state.get("error") or result.get("msg") or "unreachable"
            rows.append([name, "DOWN", f"does not answer: {reason}"[:80]])
            continue
        held = f"{mysql_gtid.count(engine, state['gtid'])} transactions"
        if state["writable"]:
            replicas = " and ".join(sorted({names.get(each, each) for each in state["replicas"]}))
            rows.append(
                [name, "primary", f"takes writes, followed by {replicas or 'NOBODY'}", held, _series(state["version"])]
            )
            continue
        replication = state["replication"]
        if not replication:
            rows.append([name, "READ-ONLY", "follows nobody", held, _series(state["version"])])
            continue
        source = names.get(replication["source"], replication["source"])
        broken = [what for what in ("receiver", "applier") if replication[what] != "Yes"]
        words = f"{replication['lag']} s behind {source}"
        if broken:
            reason = replication[f"{broken[0]}_error"] or f"its {broken[0]} says {replication[broken[0]]}"
            words = f"BROKEN, follows {source}: {reason}"[:80]
        rows.append([name, "replica", words, held, _series(state["version"])])
    if primary["problem"]:
        rows.append(["", "PROBLEM", primary["problem"]])
    return rows


def _series(version: str) -> str:
    return version.partition("-")[0]


def _holders(hosts: dict[str, dict[str, Any]], vip: str) -> list[str]:
    return [name for name, found in hosts.items() if vip in found.get("held", [])]


def _host(found: dict[str, Any]) -> list[str]:
    if "versions" not in found:
        return ["DOWN", f"does not answer: {found.get('msg', 'unreachable')}"[:80]]
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    certificates = ", ".join(
        f"{name} {days}" + (" EXPIRES SOON" if days < EXPIRES_SOON else "")
        for name, days in found["certificates"].items()
    )
    return [versions or "-", certificates or "-"]


def _table(rows: list[list[str]]) -> list[str]:
    """Return rows as lines with columns one below the other; the last column is as wide as it likes."""
    widths: list[int] = []
    for row in rows:
        for index, cell in enumerate(row[:-1]):
            widths += [0] * (index + 1 - len(widths))
            widths[index] = max(widths[index], len(cell))
    return ["  " + "  ".join([*(c.ljust(widths[i]) for i, c in enumerate(row[:-1])), row[-1]]) for row in rows]


class FilterModule:
    """The filters of ``tandem.web`` about the page of status."""

    def filters(self) -> dict[str, Any]:
        return {"status_screen": status_screen, "with_item": with_item}
