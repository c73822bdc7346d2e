"""Filters of playbooks/upgrade.yml: what is due on each database, and in which order it may be done."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from .mysql_cluster import mysql_cluster
from .mysql_move import mysql_cluster_switchover, mysql_switchover


def mysql_due(policy: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is due on one host.

    :param policy: what ``apt-cache policy`` prints of the server's packages.
    :param settings: the result of ``tandem.web.mysql_settings`` in check mode.
    :returns: ``what`` (words, none when nothing is due), whether it takes a ``restart``, and ``leaps``: packages of
        another series, whose upgrade is more than a minor one.
    """
    found = re.findall(r"^(\S+):\n\s+Installed: (\S+)\n\s+Candidate: (\S+)", policy, re.MULTILINE)
    newer = [(name, old, new) for name, old, new in found if "(none)" not in (old, new) and old != new]
    packages = [f"{name} {old} -> {new}" for name, old, new in newer]
    restart, applied = list(settings.get("restart") or []), list(settings.get("applied") or [])
    return {
        "what": packages + [f"{name} (by a restart)" for name in restart] + applied,
        "restart": bool(packages or restart),
        "leaps": [text for text, (_, old, new) in zip(packages, newer, strict=True) if _series(old) != _series(new)],
    }


def mysql_upgrade(
    results: list[dict[str, Any]],
    due: Mapping[str, dict[str, Any]],
    topology: str,
    heir: str = "",
    limits: Mapping[str, float] | None = None,
    arbitrators: Iterable[str] = (),
) -> dict[str, Any]:
    """Return in which order what is due is done, and every reason against it.

    Replicas come first, and the primary when another one has taken its place; but one that need not restart changes
    while it serves.

    :param results: of the loop over ``mysql_members`` that ran ``tandem.web.mysql_state``.
    :param due: by name, what ``mysql_due`` says; empty for a host that could not be asked.
    :param heir: who takes the primary's place; the first of the others, if empty.
    :param limits: ``lag`` and ``transaction`` of a switchover, in seconds.
    :returns: ``problems`` (sentences), ``in_place`` (names), ``after_move`` (the primary's name, or nothing),
        ``heir``, and ``lines`` that say what is done.
    """
    limits = limits or {"lag": 5, "transaction": 10}
    names = [result["item"]["name"] for result in results]
    plan = {"problems": [], "in_place": [], "after_move": "", "heir": "", "lines": []}
    if silent := [name for name in names if not due.get(name)]:
        plan["problems"].append(f"{' and '.join(silent)} cannot be asked; start it, or take it out of the inventory.")
        return plan
    for name in names:
        plan["problems"] += [
            f"{name}: {leap} is another series, so no minor upgrade; read the engine's notes on it, and do it by hand."
            for leap in due[name]["leaps"]
        ]

    primary, problem = _primary(results, topology, arbitrators)
    if problem:
        plan["problems"].append(problem)
        return plan
    moves = due[primary]["restart"]
    others = [name for name in names if name != primary]
    plan["in_place"] = [name for name in others if due[name]["what"]]
    if moves:
        plan |= {"after_move": primary, "heir": heir or next(iter(others), "")}
    elif due[primary]["what"]:
        plan["in_place"].append(primary)
    if moves and not others:
        plan["problems"].append(f"{primary} is alone, so its restart ends writes for a while; run site.yml for that.")
    elif moves or any(due[name]["restart"] for name in others):
        plan["problems"] += _unready(results, plan["heir"] or others[0], topology, limits, arbitrators)

    plan["lines"] = [f"{name}: {', '.join(due[name]['what'])}" for name in plan["in_place"]]
    if moves:
        plan["lines"] += [
            f"{plan['heir']} takes the place of {primary}",
            f"{primary}: {', '.join(due[primary]['what'])}",
        ]
    return plan


def _primary(results: list[dict[str, Any]], topology: str, arbitrators: Iterable[str]) -> tuple[str, str]:
    """Return the name of the one that takes writes, or why there is none."""
    if topology == "cluster":
        cluster = mysql_cluster(results, arbitrators)
        return cluster["primary"]["name"], cluster["problem"]
    writable = [result["item"]["name"] for result in results if (result.get("state") or {}).get("writable")]
    if len(writable) != 1:
        return "", f"{' and '.join(writable) or 'No server'} takes writes; run site.yml first, which says more."
    return writable[0], ""


def _unready(
    results: list[dict[str, Any]],
    heir: str,
    topology: str,
    limits: Mapping[str, float],
    arbitrators: Iterable[str],
) -> list[str]:
    """Return why the primary could not be moved now, which is also why no replica should be away."""
    if topology == "cluster":
        return mysql_cluster_switchover(results, heir, limits["transaction"], arbitrators)["problems"]
    return mysql_switchover(results, heir, limits["lag"], limits["transaction"])["problems"]


def _series(version: str) -> str:
    """Return the series of a package's version: 11.8 of 1:11.8.3-0+deb13u1."""
    match = re.match(r"(?:\d+:)?(\d+\.\d+)", version)
    return match[1] if match else version


class FilterModule:
    """The filters of ``tandem.web`` about upgrades of databases."""

    def filters(self) -> dict[str, Any]:
        return {"mysql_due": mysql_due, "mysql_upgrade": mysql_upgrade}
