"""Filter of the role mysql: what a cluster is, from what every member's server is right now."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ansible_collections.tandem.web.plugins.filter.mysql import mysql_primary


def mysql_cluster(results: list[dict[str, Any]], arbitrators: Iterable[str] = ()) -> dict[str, Any]:
    """Tell whether there is a cluster, who its primary is, and what is not as it should be.

    The running servers are the only source. A cluster that lost its majority, or is down as a whole, is a problem
    that no run mends: its members form it again when all of them are back, or playbooks/recover.yml does.

    :param results: of the loop over ``mysql_members`` that ran ``tandem.web.mysql_state``; each has the member
        as ``item``.
    :param arbitrators: names of those who vote and hold no data, which cannot be asked: the members count them.
    :returns: ``primary`` (name and address), ``exists``, ``belong`` (names of members that have been in it),
        ``missing`` (those of them that are not now), ``strangers`` (addresses in it that are no members),
        and ``problem``, a sentence or empty.
    """
    members = [result["item"] | {"state": result.get("state") or {}} for result in results]
    views = [_cluster(member)["members"] for member in members if _cluster(member).get("majority")]
    found = {"primary": {"name": "", "address": ""}, "exists": bool(views), "missing": [], "strangers": []}
    found["belong"] = [member["name"] for member in members if not _new(member)]
    if views:
        # Whoever is in a majority is in the same one; the view that knows most is the latest.
        view = max(views, key=lambda view: sum(one["state"] == "ONLINE" for one in view))
        online = {one["address"] for one in view if one["state"] == "ONLINE"}
        known = {member["address"]: member for member in members}
        # On Galera each knows of itself alone whether it takes writes.
        known_primaries = [one["address"] for each in [view, *views] for one in each if one["primary"]]
        first = next(iter(known_primaries), "")
        if not first and all(not one["primary"] for one in view):
            first = next((m["address"] for m in members if m["address"] in online), "")
        missing = [m["name"] for m in members if m["address"] not in online and not _new(m)]
        voting = max(_cluster(member).get("arbitrators", 0) for member in members)
        missing += list(arbitrators)[voting:]
        strangers = sorted({one["address"] for one in view}.difference(known))
        problem = ""
        if first not in known:
            problem = (
                f"The primary of the cluster is {first or 'not elected yet'}, which is not in mysql_members. "
                "Stop its database server, so that a member takes its place, and run again."
            )
        else:
            found["primary"] = {"name": known[first]["name"], "address": first}
        return found | {"missing": missing, "strangers": strangers, "problem": problem}

    formed = [member for member in members if _cluster(member).get("formed")]
    if formed:
        rest = [member for member in members if member not in formed]
        # Only an interrupted first run leaves one that has begun, and nobody else who has ever been there.
        if len(formed) == 1 and all(_new(member) for member in rest):
            return found | {"primary": {key: formed[0][key] for key in ("name", "address")}, "problem": ""}
        return found | {"problem": _down(members)}
    fresh = [{**result, "state": {"installed": False}} if _unused(result) else result for result in results]
    primary = mysql_primary(fresh)
    return found | {"primary": {key: primary[key] for key in ("name", "address")}, "problem": primary["problem"]}


def _cluster(member: dict[str, Any]) -> dict[str, Any]:
    return member["state"].get("cluster") or {}


def _new(member: dict[str, Any]) -> bool:
    """Tell whether a member has never been in the cluster; of one that cannot be asked nobody knows."""
    state = member["state"]
    if not state.get("running"):
        return state.get("installed") is False or state.get("blank", False)
    return not _cluster(member).get("formed")


def _unused(result: dict[str, Any]) -> bool:
    """Tell whether a server was installed and never started."""
    state = result.get("state") or {}
    return not state.get("running") and state.get("blank", False)


def _down(members: list[dict[str, Any]]) -> str:
    silent = [member["name"] for member in members if not member["state"].get("running")]
    why = f"{' and '.join(silent)} cannot be asked" if silent else "no member is in a majority"
    return (
        f"The cluster is down: {why}. Its members form it again by themselves when all of them are back; "
        "GET /primary of each says what it waits for. If one is lost for good, see playbooks/recover.yml."
    )


def mysql_recovery(hosts: list[dict[str, Any]], without: str) -> dict[str, Any]:
    """Tell whether a cluster may be begun again without the members that cannot be asked.

    :param hosts: variables of every member's host; ``__recover_asked`` is the outcome of its keeper's ``ask``.
    :param without: names of the members that the operator gives up, with commas or spaces between.
    :returns: ``lines`` that say what is known, ``missing`` names, and ``problem``, a sentence or empty.
    """
    reports = {host["inventory_hostname"]: _said(host) for host in hosts}
    missing = sorted(name for name, report in reports.items() if not report)
    given_up = sorted(without.replace(",", " ").split())
    lines = [
        f"{name}: {report['state']}, holds {report['holds'] or 'nothing'}" if report else f"{name}: cannot be asked"
        for name, report in reports.items()
    ]
    online = [name for name, report in reports.items() if report and report["state"] == "online"]
    problem = ""
    if len(missing) == len(reports):
        problem = "No member can be asked. Start at least one of their hosts, and its database server."
    elif online:
        problem = (
            f"The cluster is alive: {' and '.join(online)} is online. There is nothing to recover; "
            "the others join by themselves, and GET /primary of each says what keeps it from that."
        )
    elif not missing:
        problem = (
            "Every member answers, so they form the cluster again by themselves; GET /primary of each says what it "
            "waits for. If their histories differ, decide whose data count and seed the others (docs/operations.md)."
        )
    elif given_up != missing:
        problem = (
            f"{' and '.join(missing)} cannot be asked, and may hold transactions that were acknowledged. Start "
            f"{'it' if len(missing) == 1 else 'them'}; or, lost for good, give up what nobody else holds: run again "
            f"with -e mysql_recover_without={','.join(missing)}"
            + (f" (not {','.join(given_up)})." if given_up else ".")
        )
    return {"lines": lines, "missing": missing, "problem": problem}


def _said(host: dict[str, Any]) -> dict[str, Any] | None:
    """Return what a member says of itself, None when it cannot be asked."""
    answer = host.get("__recover_asked") or {}
    try:
        report = json.loads(answer.get("stdout") or "{}").get(host["inventory_hostname"])
    except ValueError:
        return None
    return report if report and report["state"] != "down" else None


def endpoints(addresses: list[str], port: int) -> list[str]:
    """Return each address with a port, those of IPv6 in brackets."""
    return [f"[{address}]:{port}" if ":" in address else f"{address}:{port}" for address in addresses]


class FilterModule:
    """The filters of ``tandem.web`` about clusters of databases."""

    def filters(self) -> dict[str, Any]:
        return {
            "mysql_cluster": mysql_cluster,
            "mysql_recovery": mysql_recovery,
            "mysql_endpoints": endpoints,
        }
