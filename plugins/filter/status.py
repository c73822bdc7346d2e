"""Filter that lays out what the hosts said of themselves on one screen."""

from __future__ import annotations

import time
from collections.abc import Callable
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
    now: float | None = None,
) -> list[str]:
    """Return the lines of the screen.

    :param hosts: by name, what ``tandem.web.host_status`` returned; without ``versions`` where a host did not answer.
    :param databases: of the loop over the members that ran ``tandem.web.mysql_state``.
    :param vips: the virtual addresses.
    :param now: Unix time that ages are told of; the clock's by default.
    """
    rows = (_members if topology == "cluster" else _databases)(databases, engine)
    lines = [f"Databases: {engine}, {topology}", *_table(rows)]
    if kept := _backups(hosts, time.time() if now is None else now):
        lines += ["", "Backups", *_table(kept)]
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


def _down(result: dict[str, Any]) -> list[str]:
    reason = (result.get("state") or {}).get("error") or result.get("msg") or "unreachable"
    return [result["item"]["name"], "DOWN", f"does not answer: {reason}"[:80]]


def _members(results: list[dict[str, Any]], engine: str) -> list[list[str]]:
    """Return a row for each member of a cluster, and one for what is wrong with all of them."""
    rows, writing = [], []
    online = sum((result.get("state") or {}).get("cluster", {}).get("state") == "ONLINE" for result in results)
    for result in results:
        name, state = result["item"]["name"], result.get("state") or {}
        if not state.get("running"):
            rows.append(_down(result))
            continue
        cluster = state["cluster"] or {"state": "OFFLINE", "majority": False}
        facts = [f"{mysql_gtid.count(engine, state['gtid'])} transactions", _series(state["version"])]
        if cluster["state"] != "ONLINE" or not cluster["majority"]:
            words = cluster["state"] if cluster["state"] != "ONLINE" else "without a majority"
            rows.append([name, "OUTSIDE", f"not in the cluster: {words}", *facts])
        elif state["writable"]:
            writing.append(name)
            rows.append([name, "primary", f"takes writes, {online} of {len(results)} members are online", *facts])
        else:
            rows.append([name, "replica", "online", *facts])
    if len(writing) != 1:
        rows.append(["", "PROBLEM", f"{' and '.join(writing)} take writes." if writing else "No member takes writes."])
    return rows


def _backups(hosts: dict[str, dict[str, Any]], now: float) -> list[list[str]]:
    """Return what there is to restore from, and whether it was tried; nothing where no host knows of backups."""
    told = [(name, task, values) for name, found in hosts.items() for task, values in found.get("backups", {}).items()]

    def newest(metric: str, words: Callable[[str, dict[str, float]], str]) -> list[str]:
        having = [(values[metric], name, values) for name, _task, values in told if metric in values]
        if not having:
            return ["NONE yet"]
        moment, name, values = max(having, key=lambda each: each[0])
        return [words(f"{_age(now - moment)} ago", values) + f" ({name})"]

    def proof(age: str, values: dict[str, float]) -> str:
        return f"{'restored' if values.get('proof_ok') == 1 else 'NOT PROVEN'}: the one of {age}"

    if not told:
        return []
    return [
        ["newest", *newest("newest_timestamp_seconds", lambda age, _: age)],
        ["binary logs", *newest("archive_until_timestamp_seconds", lambda age, _: f"until {age}")],
        ["proof", *newest("proof_backup_timestamp_seconds", proof)],
        *(["FAILED", f"{task} on {name}"] for name, task, values in told if values.get("failed") == 1),
    ]


def _age(seconds: float) -> str:
    """Return a time for people: in the greatest unit of which there are two."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0, seconds):.0f} s"


def _databases(results: list[dict[str, Any]], engine: str) -> list[list[str]]:
    names = {result["item"]["address"]: result["item"]["name"] for result in results}
    primary = mysql_primary(results)
    rows = []
    for result in results:
        name, state = result["item"]["name"], result.get("state") or {}
        if not state.get("running"):
            rows.append(_down(result))
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
