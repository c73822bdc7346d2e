"""What a member of a cluster does next. Pure functions: what every member said goes in, one step comes out.

Every member computes the same, and README.md of the role says why that is safe. Nothing here looks at a clock,
and nothing ever happens because somebody was silent for long enough.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

ONLINE = "online"  # in a cluster that has a majority
JOINING = "joining"  # on its way into one
FORMING = "forming"  # about to begin the cluster anew
LOST = "lost"  # without a majority: it still runs, but can commit nothing
LEFT = "left"  # its server runs on, but has given up its membership (Galera)
ALONE = "alone"  # takes writes outside of any cluster
SETTLING = "settling"  # in no cluster, and on the way to what it will hold
OFFLINE = "offline"  # in no cluster; what it holds does not change
DOWN = "down"  # cannot say what it holds

# The role's modules know it by these words.
KEPT_OUT = "it holds transactions that the cluster does not"


@dataclass(frozen=True)
class Report:
    """What one member says of itself."""

    name: str
    members: list[str] = field(default_factory=list)
    """Who belongs to the cluster, as this member was told."""
    state: str = DOWN
    holds: str = ""
    """Every transaction it has executed: a GTID set, or uuid:number on Galera."""
    received: str = ""
    """Transactions it has received beside those, and not executed yet."""
    rank: int = 0
    """Decides between members that hold the same: the lowest. Below 0: an operator wants it to take the writes."""
    why: str = ""
    """What keeps it from saying more."""
    self_healing: bool = False
    """The engine gives it the data that it lacks, and finds a majority again by itself (Galera)."""
    writes: bool = False
    """It takes writes, where every member could (Galera)."""
    present: list[str] = field(default_factory=list)
    """Addresses of those that the engine says are in the cluster with it."""
    begun: dict[str, str] = field(default_factory=dict)
    """By name, what was held where the cluster began again without a member that was given up (history.py)."""

    @property
    def address(self) -> str:
        """Return its own address, by which the engine knows it."""
        return next((one.partition("=")[2] for one in self.members if one.partition("=")[0] == self.name), "")

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Report:
        """Return the report of a decoded JSON object; ValueError if it is none.

        A member with another release of this program may say less, or more than is understood here.
        """
        kinds = {key: type(value) for key, value in asdict(cls("", [])).items()}
        said = {key: record[key] for key in kinds if key in record} if isinstance(record, dict) else {}
        wrong = [key for key, value in said.items() if type(value) is not kinds[key]]
        if wrong or not {"name", "members", "state", "holds"} <= said.keys():
            raise ValueError("this is not a member's report")
        return cls(**said)

    def record(self) -> dict[str, Any]:
        """Return what is sent to the others."""
        return asdict(self)


@dataclass(frozen=True)
class Step:
    """What to do, and the sentence for people."""

    action: str
    """wait, join, form, or stop (give up a membership that is worth nothing)."""
    reason: str


def decide(me: Report, others: Mapping[str, Report | None], without: Iterable[str] = ()) -> Step:
    """Return the next step of a member.

    :param others: every other member's report; None for one that could not be asked.
    :param without: members that an operator gave up for lost, by playbooks/recover.yml.
    """
    if me.state in (ONLINE, JOINING):
        return Step("wait", "")
    if me.state == DOWN:
        return Step("wait", f"the server does not answer: {me.why}" if me.why else "the server does not answer")

    if me.state == ALONE:
        return Step("wait", "the server takes writes outside of the cluster; run site.yml")
    if me.state == SETTLING:
        return Step("wait", me.why or "it executes what it had received")

    if me.state == LEFT:
        return Step("stop", "the server has left the cluster, and finds the way back by a restart only")

    given_up = set(without)
    heard = {name: report for name, report in others.items() if report and report.state != DOWN}
    online = [report for report in heard.values() if report.state == ONLINE]
    if me.state == LOST:
        # Others without a majority find this one again by themselves; those that have left for good do not.
        asked = [name for name in others if name not in given_up]
        alone = all(name in heard and heard[name].state == OFFLINE for name in asked)
        if alone or (online and not me.self_healing):
            return Step("stop", "it has no majority any more")
        silent = sorted(name for name in asked if name not in heard)
        return Step("wait", f"there is no majority; it waits for {_and(silent)}" if silent else "there is no majority")
    if online:
        return _join(me, online)

    if wrong := sorted(given_up & heard.keys()):
        return Step("wait", f"{_and(wrong)} was given up for lost and answers; what it holds may not be left out")
    missing = sorted(name for name in others if name not in heard and name not in given_up)
    if missing:
        return Step("wait", f"it waits for {_and(missing)}, without which nobody knows who has every transaction")
    busy = sorted(name for name, report in heard.items() if report.state != OFFLINE)
    if busy:
        return Step("wait", f"it waits for {_and(busy)}, which is {heard[busy[0]].state}")
    present = [me, *heard.values()]
    if errant := left_behind(me, present):
        return Step("wait", f"{KEPT_OUT}: {errant}; see docs/operations.md")
    if different := sorted(report.name for report in present if sorted(report.members) != sorted(me.members)):
        return Step("wait", f"{_and(different)} was told of other members than this one; run site.yml on all of them")
    # An operator gave the others up, and what has been acknowledged since is here.
    kept = [one for one in present if not left_behind(one, present)]
    if parted := sorted(one.name for one in present if one not in kept and not left_behind(one, kept)):
        return Step("wait", f"{_and(parted)} went on without each other; see docs/operations.md")
    return _form(me, kept)


def _join(me: Report, online: list[Report]) -> Step:
    if not me.holds and not me.self_healing:
        return Step("wait", "it holds no data yet; run site.yml, which seeds it")
    # A member that is online may have received more than it has executed.
    known = [text for report in online for text in (report.holds, report.received)]
    if errant := missing_in(me.holds, known) or left_behind(me, online):
        return Step("wait", f"{KEPT_OUT}: {errant}; see docs/operations.md")
    # Group Replication takes nobody in whose former self it has not expelled yet, and hangs when it is asked to.
    if not me.self_healing and any(me.address in report.present for report in online):
        return Step("wait", "the cluster has not noticed yet that it was away")
    return Step("join", f"it joins {_and(sorted(report.name for report in online))}")


def _form(me: Report, present: list[Report]) -> Step:
    # An acknowledged transaction was executed by the primary of its time, which is here. So the one to begin with
    # has executed whatever anybody has. What was only received was never acknowledged: it merely breaks a tie,
    # because its owner could not join without it.
    complete = [one for one in present if all(not missing_in(other.holds, [one.holds]) for other in present)]
    if not complete or not complete[0].holds:
        what = ", ".join(f"{report.name} {report.holds or 'nothing'}" for report in sorted(present, key=_name))
        return Step("wait", f"no member holds what every other does ({what}); see docs/operations.md")
    fullest = [
        one for one in complete if all(not missing_in(other.received, [one.holds, one.received]) for other in complete)
    ]
    first = min(fullest or complete, key=lambda report: report.rank)
    if first.name != me.name:
        return Step("wait", f"it waits for {first.name}, which has every transaction")
    return Step("form", "every member is back and this one has every transaction")


def left_behind(me: Report, others: Iterable[Report]) -> str:
    """Return the transactions that a member holds beyond where the others began again without it.

    What the others did since has the same numbers, so that only who took part in that beginning can tell.
    """
    began = {name: held for one in others for name, held in one.begun.items() if _went_on(one, name, held)}
    lacking = [missing_in(me.holds, [held]) for name, held in began.items() if not _took_part(me, name, held)]
    return ",".join(filter(None, lacking))


def _went_on(one: Report, name: str, held: str) -> bool:
    """Tell whether a member holds more than that beginning: until then, a comparison with others tells everything."""
    return _took_part(one, name, held) and bool(missing_in(one.holds, [held, f"{name}:1"]))


def _took_part(one: Report, name: str, held: str) -> bool:
    """Tell whether the data of a member come from that beginning, and from no backup or cluster before or after it.

    On Group Replication the data hold a transaction of that name. On Galera, where data are got by joining only,
    what the member noted of its data counts while they are numbered in the same way.
    """
    origins = parse(one.holds).keys()
    return name in origins or (one.self_healing and name in one.begun and parse(held).keys() <= origins)


def leads(me: Report, others: Mapping[str, Report | None]) -> bool:
    """Tell whether this member takes the writes, where the engine would let every member take them.

    Who does goes on, so that writes move only when they have to, or an operator wants it. Nobody begins before
    everybody in the cluster was asked: silence is no proof that somebody stopped.
    """
    if me.state != ONLINE:
        return False
    heard = [report for report in others.values() if report]
    # As addresses, which the engine knows members by.
    addresses = {one.rpartition("=")[2]: one.partition("=")[0] for one in me.members}
    inside = {addresses.get(address, address) for address in me.present}
    able = [report for report in heard if report.state == ONLINE and report.name in inside]
    writing = [report for report in able if report.writes]
    if me.writes:
        wanted = [report for report in able if report.rank < min(0, me.rank)]
        return not wanted and all(me.rank < report.rank for report in writing)
    everybody = me.name in inside <= {report.name for report in [me, *heard] if report.state != DOWN}
    return everybody and not writing and all(me.rank < report.rank for report in able)


def _name(report: Report) -> str:
    return report.name


def _and(names: Iterable[str]) -> str:
    return " and ".join(names)


# --- Sets of transactions ---------------------------------------------------------------------------

Ranges = dict[str, list[tuple[int, int]]]


def parse(text: str) -> Ranges:
    """Return the ranges of a GTID set ("uuid:1-5:9,uuid:tag:1-3") or of a position ("uuid:17") by origin.

    :raises ValueError: when it is none.
    """
    found: Ranges = {}
    for item in re.sub(r"\s", "", text).lower().split(","):
        origin, *parts = item.split(":")
        name = origin
        for part in parts:
            if match := re.fullmatch(r"(\d+)(?:-(\d+))?", part):
                found.setdefault(name, []).append((int(match[1]), int(match[2] or match[1])))
            elif re.fullmatch(r"[a-z_][a-z0-9_]*", part):
                name = f"{origin}:{part}"
            else:
                raise ValueError(f"{text!r} is no set of transactions")
        if item and not re.fullmatch(r"[0-9a-f-]{36}", origin):
            raise ValueError(f"{text!r} is no set of transactions")
    return found


def missing_in(mine: str, theirs: Iterable[str]) -> str:
    """Return, as a GTID set, the transactions of `mine` that none of the other sets holds."""
    known: Ranges = {}
    for text in theirs:
        for origin, ranges in parse(text).items():
            known.setdefault(origin, []).extend(ranges)
    lacking = []
    for origin, ranges in parse(mine).items():
        for begin, end in ranges:
            at = begin
            for first, last in sorted(known.get(origin, [])):
                if at > end or first > end:
                    break
                if first > at:
                    lacking.append(f"{origin}:{at}-{first - 1}")
                at = max(at, last + 1)
            if at <= end:
                lacking.append(f"{origin}:{at}-{end}")
    return ",".join(lacking)
