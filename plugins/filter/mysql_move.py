"""Filters of the playbooks that move the primary: may it be moved, and to whom."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ..module_utils import mysql_gtid
from .mysql import mysql_primary
from .mysql_cluster import mysql_cluster

Member = dict[str, Any]


def mysql_switchover(
    results: list[dict[str, Any]], wanted: str, max_lag: float = 5, max_transaction: float = 10
) -> dict[str, Any]:
    """Return who hands over to whom, and every reason against it.

    :param results: of the loop over ``mysql_members`` that ran ``tandem.web.mysql_state``.
    :param wanted: name of the new primary.
    :param max_lag: how far behind the new primary may be, in seconds.
    :param max_transaction: how long a transaction on the old one may have been open, in seconds.
    :returns: ``problems`` (sentences, none when it may begin), ``old``, ``new``, and the ``others``; ``done`` when
        the new primary is the primary already.
    """
    members = _members(results)
    plan = {"problems": [], "old": {}, "new": {}, "others": [], "done": False}
    problems = plan["problems"]
    primary = mysql_primary(results)
    if primary["problem"]:
        problems.append(primary["problem"])
        return plan
    if not primary["state"].get("writable"):
        problems.append(
            f"No server takes writes. Run site.yml, which lets {primary['name']} take them if all follow it."
        )
        return plan
    _parties(plan, members, primary["name"], wanted)
    if problems or plan["done"]:
        return plan

    for member in (plan["new"], *plan["others"]):
        problems += _unfit(member, plan["old"])
    new, old = plan["new"], plan["old"]
    lag = (new["state"].get("replication") or {}).get("lag")
    if not problems and (lag is None or lag > max_lag):
        problems.append(
            f"{new['name']} is {'an unknown time' if lag is None else f'{lag} s'} behind {old['name']}, over the "
            f"limit of {max_lag:g} s; wait until it has caught up, or raise mysql_switchover_max_lag."
        )
    problems += _long_transaction(old, max_transaction)
    for member in (*plan["others"], old):
        if not problems and _version(member) < _version(new):
            problems.append(
                f"{member['name']} runs {member['state']['version']} and could not follow {new['name']}, which runs "
                f"{new['state']['version']}; upgrade {member['name']} first."
            )
    return plan


def mysql_cluster_switchover(
    results: list[dict[str, Any]], wanted: str, max_transaction: float = 10, arbitrators: Iterable[str] = ()
) -> dict[str, Any]:
    """Return the same for a cluster, whose members move the primary when they are asked to."""
    members = _members(results)
    plan = {"problems": [], "old": {}, "new": {}, "others": [], "done": False}
    problems = plan["problems"]
    cluster = mysql_cluster(results, arbitrators)
    if cluster["problem"] or not cluster["exists"]:
        problems.append(cluster["problem"] or "There is no cluster yet; run site.yml, which makes it.")
        return plan
    _parties(plan, members, cluster["primary"]["name"], wanted)
    if problems or plan["done"]:
        return plan
    if not plan["old"]["state"].get("writable"):
        problems.append("No member takes writes; GET /primary of each says what it waits for.")
    silent = [member["name"] for member in members if not member["state"].get("running")]
    outside = cluster["missing"] + [name for name in silent if name not in cluster["missing"]]
    if outside:
        problems.append(
            f"{' and '.join(outside)} is not online, so another loss could cost the majority; bring it back."
        )
    return plan | {"problems": problems + _long_transaction(plan["old"], max_transaction)}


def mysql_failover(
    results: list[dict[str, Any]],
    answers: list[dict[str, Any]],
    by_force: bool = False,
    gone: Iterable[str] = (),
) -> dict[str, Any]:
    """Return whose place is to be taken, who survives, and every reason against it.

    :param results: of the loop over ``mysql_members`` that ran ``tandem.web.mysql_state``.
    :param answers: of ``tandem.web.mysql_ask``, by those hosts that could be asked: ``who`` asked, and ``states``
        by member name, None for a server that did not answer.
    :param by_force: whether the old primary may be alive.
    :param gone: names of members that do not answer, and that the operator gives up.
    :returns: ``problems``, ``old``, ``survivors``, and the ``silent`` ones among the others.
    """
    members = _members(results)
    plan = {"problems": [], "old": {}, "survivors": [], "silent": []}
    problems = plan["problems"]
    alive = [member for member in members if member["state"].get("running")]
    writable = [member for member in alive if member["state"]["writable"]]
    replicas = [member for member in alive if _source(member)]
    # One that is followed and follows somebody itself is in between: a switchover was cut.
    followed = {_source(member) for member in replicas} - {member["address"] for member in replicas}
    heads = writable or [member for member in members if member["address"] in followed]
    if not replicas and not writable:
        problems.append("No replica answers, so nobody can take over. Start the database hosts, or restore a backup.")
        return plan
    if len(heads) != 1 or (followed and followed != {heads[0]["address"]}):
        who = ", ".join(f"{m['name']} follows {_source(m)}" for m in replicas)
        problems.append(f"Whose place is to be taken cannot be told: {who or 'nobody follows anybody'}.")
        return plan
    old = plan["old"] = heads[0]
    plan["survivors"] = [member for member in replicas if member is not old]
    others = [member for member in members if member is not old]
    plan["silent"] = [member for member in others if member not in alive]
    if not plan["survivors"]:
        problems.append(f"No replica of {old['name']} answers, so nobody can take over.")

    witnesses = sorted(answer["who"] for answer in answers if (answer.get("states") or {}).get(old["name"]))
    if old in alive:
        witnesses.insert(0, "Ansible")
    if witnesses and not by_force:
        problems.append(
            f"{old['name']} still answers ({' and '.join(witnesses)} asked); use switchover.yml, or restart it. "
            "If it has to be replaced all the same, say so: -e mysql_failover_by_force=true."
        )
    if strangers := [member["name"] for member in others if member in alive and not _source(member)]:
        problems.append(
            f"{' and '.join(strangers)} follows nobody; make it a replica with site.yml, or stop it, first."
        )
    if lost := [member["name"] for member in plan["silent"] if member["name"] not in list(gone)]:
        problems.append(
            f"{' and '.join(lost)} cannot be reached, and would still follow {old['name']} when both come back. Start "
            f"it, or give it up: -e mysql_failover_gone={','.join(lost)}."
        )
    return plan


def mysql_witnesses(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return who asked and what was answered, of a loop over names of hosts that ran ``tandem.web.mysql_ask``."""
    return [{"who": result["item"], "states": result["states"]} for result in results if "states" in result]


def mysql_successor(collected: list[dict[str, Any]], engine: str, wanted: str = "") -> dict[str, Any]:
    """Return which survivor holds every transaction that any of them holds.

    :param collected: of the loop over the survivors that ran the step ``collect``; each with the member as ``item``.
    :param wanted: name of the one that the operator wants; any, if empty.
    :returns: ``problem`` (a sentence, or empty), ``new``, and the ``others``.
    """
    plan = {"problem": "", "new": {}, "others": []}
    held = {result["item"]["name"]: result for result in collected if "gtid" in result}
    if unfinished := [result["item"]["name"] for result in collected if not result.get("complete")]:
        plan["problem"] = (
            f"{' and '.join(unfinished)} has not applied all that it received; nobody was promoted. Look at its "
            "replication status, and run again."
        )
        return plan

    def lacks(name: str) -> dict[str, str]:
        mine = held[name]["gtid"]
        return {
            other: missing
            for other, result in held.items()
            if (missing := mysql_gtid.missing(engine, result["gtid"], mine))
        }

    complete = [name for name in held if not lacks(name)]
    if wanted and wanted not in held:
        plan["problem"] = (
            f"mysql_new_primary is {wanted}, which does not survive; write {' or '.join(held)}, or nothing."
        )
    elif wanted and wanted not in complete:
        missing = ", ".join(f"{value} of {name}" for name, value in lacks(wanted).items())
        plan["problem"] = f"{wanted} lacks transactions ({missing}); write {' or '.join(complete) or 'nothing'}."
    elif not complete:
        plan["problem"] = "Each survivor lacks transactions of another: " + "; ".join(
            f"{name} lacks {', '.join(f'{value} of {other}' for other, value in lacks(name).items())}" for name in held
        )
    else:
        new = wanted or complete[0]
        items = {result["item"]["name"]: result["item"] for result in collected}
        plan |= {"new": items[new], "others": [item for name, item in items.items() if name != new]}
    return plan


def mysql_outdated(state: dict[str, Any], source: dict[str, Any], name: str) -> str:
    """Return why a server cannot replicate from another because of its version; nothing, if it can.

    :param state: of the server that would follow.
    :param source: the state of the server it would follow, called ``name``.
    """
    own, other = {"state": state}, {"state": source}
    if not (state.get("version") and source.get("version")) or _version(own) >= _version(other):
        return ""
    return (
        f"This server runs {state['version']} and cannot replicate from {name}, which runs {source['version']}. "
        "Nothing was changed; upgrade this one first (a replica may be newer than its primary, and not older)."
    )


def _members(results: list[dict[str, Any]]) -> list[Member]:
    return [result["item"] | {"state": result.get("state") or {}} for result in results]


def _source(member: Member) -> str:
    return (member["state"].get("replication") or {}).get("source", "")


def _parties(plan: dict[str, Any], members: list[Member], old: str, wanted: str) -> None:
    """Note who hands over to whom, or why that cannot be told."""
    by_name = {member["name"]: member for member in members}
    others = [name for name in by_name if name != old]
    if wanted not in by_name:
        given = f"is {wanted}, which is no database of this site" if wanted else "is not set"
        write = " or ".join(others) or "nothing: there is no other"
        plan["problems"].append(f"mysql_new_primary {given}; write {write}.")
        return
    plan |= {"old": by_name[old], "new": by_name[wanted], "done": wanted == old}
    plan["others"] = [by_name[name] for name in others if name != wanted]


def _long_transaction(old: Member, limit: float) -> list[str]:
    """Return what is wrong with transactions on the old primary that ends writes."""
    age = old["state"].get("oldest_transaction", 0)
    if age <= limit:
        return []
    return [
        f"{old['name']} has a transaction that has been open for {age} s, over the limit of {limit:g} s; end it, or "
        "raise mysql_switchover_max_transaction."
    ]


def _unfit(member: Member, old: Member) -> list[str]:
    """Return why a member cannot follow the new primary, or be it."""
    name, state = member["name"], member["state"]
    if not state.get("running"):
        return [f"{name} does not answer; start it, or take it out of the inventory."]
    replication = state["replication"]
    if not replication or replication["source"] != old["address"]:
        return [f"{name} does not follow {old['name']}; run site.yml first."]
    if replication["applier"] != "Yes":
        return [f"{name} applies nothing ({replication['applier_error'] or 'it was stopped'}); run site.yml first."]
    if replication["receiver"] != "Yes":
        return [f"{name} receives nothing ({replication['receiver_error'] or 'it was stopped'}); run site.yml first."]
    return []


def _version(member: Member) -> tuple[int, ...]:
    """Return the series: a replica may not be of an older one than its source."""
    match = re.match(r"(\d+)\.(\d+)", member["state"]["version"])
    return tuple(int(part) for part in match.groups()) if match else (0,)


class FilterModule:
    """The filters of ``tandem.web`` about moving the primary."""

    def filters(self) -> dict[str, Any]:
        return {
            "mysql_switchover": mysql_switchover,
            "mysql_cluster_switchover": mysql_cluster_switchover,
            "mysql_failover": mysql_failover,
            "mysql_outdated": mysql_outdated,
            "mysql_successor": mysql_successor,
            "mysql_witnesses": mysql_witnesses,
        }
