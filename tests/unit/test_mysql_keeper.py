"""What a member of a cluster decides: every order of boot, without a server."""

import itertools
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.roles import ROOT

sys.path.append(str(ROOT / "roles/mysql/files/mysql-cluster"))

import decision
from decision import Report, decide, missing_in, parse
from history import History

GROUP = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
AGAIN = "7d3a6b1e-5c64-4d0e-8f4b-0a6d0f9c2b11"
OTHER = "b6b9e4a2-90c4-4c36-9d3d-3b3f6b1f8e55"
NAMES = ["db1", "db2", "db3"]
BEGUN = {AGAIN: f"{GROUP}:1-10"}


def member(name: str, last: int = 10, state: str = decision.OFFLINE, **more: object) -> Report:
    """One member that holds the first transactions of the cluster."""
    holds = f"{GROUP}:1-{last}" if last else ""
    return replace(Report(name, NAMES, state, holds, rank=int(name[-1])), **more)


def survivor(name: str, last: int, engine: str, state: str = decision.OFFLINE) -> Report:
    """One member that took part when the cluster began again from 10."""
    holds = f"{GROUP}:1-{last}" if engine == "galera" else f"{GROUP}:1-{last},{AGAIN}:1"
    return member(name, holds=holds, state=state, begun=BEGUN, self_healing=engine == "galera")


def steps(*reports: Report | None) -> dict[str, decision.Step]:
    """Return what each of the members that answer decides, by name."""
    known = dict(zip(NAMES, reports, strict=True))
    found = {}
    for name, said in known.items():
        if said:
            # One that is about to begin has announced it, and looks at itself as it is.
            me = replace(said, state=decision.OFFLINE) if said.state == decision.FORMING else said
            found[name] = decide(me, {other: report for other, report in known.items() if other != name})
    return found


def actions(*reports: Report | None) -> list[str]:
    return [step.action for step in steps(*reports).values()]


# --- After a power cut ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("last", "first"), [((10, 10, 10), "db1"), ((10, 11, 10), "db2"), ((10, 11, 12), "db3"), ((9, 12, 12), "db2")]
)
def test_whoever_has_every_transaction_begins(last: tuple[int, ...], first: str) -> None:
    found = steps(*(member(name, number) for name, number in zip(NAMES, last, strict=True)))
    assert [name for name, step in found.items() if step.action == "form"] == [first]
    assert all(first in step.reason for name, step in found.items() if name != first)


@pytest.mark.parametrize("away", NAMES)
@pytest.mark.parametrize("how", ["silent", "down"])
def test_nobody_begins_while_one_is_missing(away: str, how: str) -> None:
    missing = None if how == "silent" else member(away, state=decision.DOWN)
    found = steps(*(missing if name == away else member(name) for name in NAMES))
    for name, step in found.items():
        assert step.action == "wait"
        assert name == away or away in step.reason


def test_never_two_begin_and_somebody_always_does() -> None:
    """Whatever members hold, and whoever is on the way of whatever."""
    states = [decision.OFFLINE, decision.DOWN, decision.FORMING, decision.JOINING, decision.LOST, decision.LEFT]
    states += [decision.SETTLING]
    for last in itertools.product([9, 10, 11], repeat=3):
        for state in itertools.product(states, repeat=3):
            reports = [member(*each) for each in zip(NAMES, last, state, strict=True)]
            begin = actions(*reports).count("form")
            assert begin <= all(one in (decision.OFFLINE, decision.FORMING) for one in state)
            assert begin == 1 or state != (decision.OFFLINE,) * 3


def test_two_that_begin_see_each_other() -> None:
    announced = member("db2", state=decision.FORMING)
    assert decide(member("db1"), {"db2": announced, "db3": member("db3")}).action == "wait"


def test_what_was_only_received_breaks_a_tie() -> None:
    found = steps(member("db1"), member("db2", received=f"{GROUP}:11"), member("db3"))
    assert [step.action for step in found.values()] == ["wait", "form", "wait"]
    # What was executed comes first: it may have been acknowledged.
    found = steps(member("db1", 11), member("db2", received=f"{GROUP}:11-12"), member("db3"))
    assert [step.action for step in found.values()] == ["form", "wait", "wait"]


def test_histories_that_differ_are_for_people() -> None:
    found = steps(member("db1", holds=f"{GROUP}:1-9:11"), member("db2"), member("db3"))
    assert {step.action for step in found.values()} == {"wait"}
    assert "no member holds what every other does" in found["db1"].reason
    assert f"db1 {GROUP}:1-9:11" in found["db1"].reason


def test_servers_without_data_begin_nothing() -> None:
    assert actions(member("db1", 0), member("db2", 0), member("db3", 0)) == ["wait"] * 3
    assert actions(member("db1", 0), member("db2"), member("db3", 0)) == ["wait", "form", "wait"]


def test_members_that_were_told_of_different_members_begin_nothing() -> None:
    other = member("db3", members=[*NAMES, "db4"])
    found = steps(member("db1"), member("db2"), other)
    assert {step.action for step in found.values()} == {"wait"}
    assert "db3 was told of other members" in found["db1"].reason


# --- One member -------------------------------------------------------------------------------------


def test_it_joins_a_cluster_that_is_alive() -> None:
    online = [member(name, 20, decision.ONLINE) for name in ("db1", "db2")]
    assert actions(*online, member("db3")) == ["wait", "wait", "join"]
    # Also when another one is away, or on its way.
    assert decide(member("db3"), {"db1": online[0], "db2": None}).action == "join"


def test_it_waits_until_its_former_self_is_gone() -> None:
    members = [f"{name}=192.0.2.{name[-1]}" for name in NAMES]
    me = member("db3", members=members)
    others = {"db1": member("db1", 20, decision.ONLINE, present=["192.0.2.1", "192.0.2.2", "192.0.2.3"]), "db2": None}
    assert decide(me, others).reason == "the cluster has not noticed yet that it was away"
    others["db1"] = replace(others["db1"], present=["192.0.2.1", "192.0.2.2"])
    assert decide(me, others).action == "join"


def test_it_does_not_join_with_transactions_of_its_own() -> None:
    step = decide(member("db3", 21), {"db1": member("db1", 20, decision.ONLINE), "db2": None})
    assert step.action == "wait"
    assert f"{GROUP}:21-21" in step.reason
    # Those that another one has received, and not executed yet, are not its own.
    behind = member("db1", 20, decision.ONLINE, received=f"{GROUP}:21")
    assert decide(member("db3", 21), {"db1": behind, "db2": None}).action == "join"


def test_it_does_not_join_without_data() -> None:
    step = decide(member("db3", 0), {"db1": member("db1", state=decision.ONLINE), "db2": None})
    assert step.action == "wait"
    assert "site.yml" in step.reason


def test_a_member_without_a_majority() -> None:
    lost = member("db1", state=decision.LOST)
    # The others may be about to come back to it.
    assert decide(lost, {"db2": None, "db3": None}).action == "wait"
    assert decide(lost, {"db2": member("db2", state=decision.LOST), "db3": None}).action == "wait"
    # They have a majority without it, or they have left for good.
    assert decide(lost, {"db2": member("db2", state=decision.ONLINE), "db3": None}).action == "stop"
    assert decide(lost, {"db2": member("db2"), "db3": member("db3")}).action == "stop"
    # Galera finds a majority again by itself.
    online = {"db2": member("db2", state=decision.ONLINE), "db3": None}
    assert decide(replace(lost, self_healing=True), online).action == "wait"


@pytest.mark.parametrize("state", [decision.ONLINE, decision.LEFT, decision.JOINING])
def test_a_server_that_runs_on_outside_is_stopped_so_that_it_joins_again(state: str) -> None:
    left = member("db1", state=decision.LEFT, self_healing=True)
    assert decide(left, {"db2": member("db2", state=state, self_healing=True), "db3": None}).action == "stop"


def test_a_server_outside_of_the_cluster_is_left_alone() -> None:
    assert actions(member("db1", state=decision.ALONE), member("db2"), member("db3")) == ["wait"] * 3


# --- An operator's decision -------------------------------------------------------------------------


def test_without_a_member_that_is_lost() -> None:
    others = {"db2": member("db2"), "db3": None}
    assert decide(member("db1"), others, without=["db3"]).action == "form"
    assert decide(member("db1"), others, without=["db2"]).action == "wait"


def test_a_member_that_answers_is_not_lost() -> None:
    step = decide(member("db1"), {"db2": member("db2"), "db3": member("db3")}, without=["db3"])
    assert step.action == "wait"
    assert "db3 was given up for lost and answers" in step.reason


@pytest.mark.parametrize("engine", ["group", "galera"])
def test_a_member_that_was_given_up_holds_other_transactions_of_the_same_numbers(engine: str) -> None:
    """The others went on from 10 without it, and number 11 is another one there."""
    online = {name: survivor(name, 20, engine, decision.ONLINE) for name in ("db1", "db2")}
    returned = member("db3", 11, self_healing=engine == "galera")
    step = decide(returned, online)
    assert step.action == "wait"
    assert f"it holds transactions that the cluster does not: {GROUP}:11-11" in step.reason
    # What everybody held when they began again gives nothing up, and whoever was there knows.
    assert decide(replace(returned, holds=f"{GROUP}:1-10"), online).action == "join"
    assert decide(survivor("db3", 12, engine), online).action == "join"


def test_a_copy_of_the_data_is_as_good_on_group_replication() -> None:
    copy = replace(survivor("db3", 12, "group"), begun={})
    assert decide(copy, {"db1": survivor("db1", 20, "group", decision.ONLINE), "db2": None}).action == "join"


def test_a_beginning_counts_only_for_the_data_that_come_from_it() -> None:
    """Everything was restored from a backup of before, and db3 is new."""
    restored = member("db1", 20, decision.ONLINE, begun=BEGUN)
    assert decide(member("db3", 15), {"db1": restored, "db2": None}).action == "join"
    galera = replace(restored, self_healing=True, holds=f"{OTHER}:1-20")
    assert decide(member("db3", holds=f"{OTHER}:1-15"), {"db1": galera, "db2": None}).action == "join"
    # Only Galera's data come with what was noted of them.
    noted = member("db3", 11, begun=BEGUN)
    assert decide(noted, {"db1": survivor("db1", 20, "group", decision.ONLINE), "db2": None}).action == "wait"


@pytest.mark.parametrize("engine", ["group", "galera"])
def test_a_cluster_begins_again_without_the_one_that_was_given_up(engine: str) -> None:
    first, second = survivor("db1", 15, engine), survivor("db2", 15, engine)
    returned = member("db3", 11, self_healing=engine == "galera")
    found = steps(first, second, returned)
    assert [step.action for step in found.values()] == ["form", "wait", "wait"]
    assert f"it holds transactions that the cluster does not: {GROUP}:11-11" in found["db3"].reason
    assert actions(first, second, replace(returned, holds=f"{GROUP}:1-9")) == ["form", "wait", "wait"]


def test_a_beginning_from_which_nobody_went_on_gives_nothing_up() -> None:
    begun, returned = survivor("db1", 10, "galera"), member("db3", 11, self_healing=True)
    assert actions(begun, survivor("db2", 10, "galera"), returned) == ["wait", "wait", "form"]


@pytest.mark.parametrize("engine", ["group", "galera"])
def test_where_two_gave_each_other_up_nobody_begins(engine: str) -> None:
    one = survivor("db1", 15, engine)
    other = replace(one, name="db2", holds=one.holds.replace(AGAIN, OTHER), begun={OTHER: f"{GROUP}:1-10"})
    found = steps(one, other, member("db3", self_healing=engine == "galera"))
    assert [step.action for step in found.values()] == ["wait"] * 3
    assert "db1 and db2 went on without each other" in found["db3"].reason


def test_where_it_began_again_is_remembered(tmp_path: Path) -> None:
    kept = tmp_path / "begun.json"
    name = History(kept).begin(member("db1", 10, received=f"{GROUP}:11"))
    assert History(kept).begun == {name: f"{GROUP}:1-10,{GROUP}:11"}
    assert missing_in(f"{GROUP}:1-11", History(kept).begun.values()) == ""
    other = History(tmp_path / "other.json")
    other.adopt([None, member("db1", begun={name: "", AGAIN: ""})])
    assert History(tmp_path / "other.json").begun == {name: "", AGAIN: ""}
    with pytest.raises(OSError, match="db1 does not say what it holds"):
        History(kept).begin(member("db1", 0, state=decision.DOWN))
    (tmp_path / "broken.json").write_text("")
    with pytest.raises(json.JSONDecodeError):
        History(tmp_path / "broken.json")


# --- Who takes writes, where all could (Galera) ------------------------------------------------------


def galera(name: str, state: str = decision.ONLINE, writes: bool = False, inside: str = "123") -> Report:
    present = [f"192.0.2.{number}" for number in inside]
    members = [f"db{number}=192.0.2.{number}" for number in "123"]
    return member(name, state=state, writes=writes, present=present, members=members)


def leaders(*reports: Report | None) -> list[str]:
    known = dict(zip(NAMES, reports, strict=True))
    return [
        name
        for name, me in known.items()
        if me and decision.leads(me, {other: report for other, report in known.items() if other != name})
    ]


def test_the_first_of_those_that_are_online_takes_writes() -> None:
    assert leaders(*map(galera, NAMES)) == ["db1"]
    assert leaders(galera("db1", decision.JOINING), galera("db2"), galera("db3")) == ["db2"]
    assert leaders(None, galera("db2", inside="23"), galera("db3", inside="23")) == ["db2"]


def test_nobody_begins_who_does_not_know_itself_in_the_cluster() -> None:
    assert leaders(galera("db1", inside=""), galera("db2", inside="23"), None) == []


def test_who_takes_writes_goes_on() -> None:
    assert leaders(galera("db1"), galera("db2"), galera("db3", writes=True)) == ["db3"]


def test_of_two_that_take_writes_one_goes_on() -> None:
    assert leaders(galera("db1"), galera("db2", writes=True), galera("db3", writes=True)) == ["db2"]


def test_the_one_that_an_operator_wants_waits_for_the_other_to_end_writes() -> None:
    wanted = replace(galera("db3"), rank=-1)
    assert leaders(galera("db1", writes=True), galera("db2"), wanted) == []
    assert leaders(galera("db1"), galera("db2"), wanted) == ["db3"]
    assert leaders(galera("db1"), galera("db2"), replace(wanted, writes=True)) == ["db3"]


def test_one_that_is_wanted_and_cannot_take_writes_moves_nothing() -> None:
    for state in (decision.JOINING, decision.LOST):
        assert leaders(galera("db1", writes=True), galera("db2"), replace(galera("db3", state), rank=-1)) == ["db1"]


def test_of_two_that_are_wanted_one_takes_writes() -> None:
    first, second = replace(galera("db2"), rank=-2), replace(galera("db3"), rank=-1)
    assert leaders(galera("db1"), first, second) == ["db2"]
    assert leaders(galera("db1"), replace(first, writes=True), second) == ["db2"]


def test_nobody_begins_before_everybody_was_asked() -> None:
    assert leaders(None, galera("db2"), galera("db3")) == []
    assert leaders(None, galera("db2"), galera("db3", writes=True)) == ["db3"]


def test_without_a_majority_nobody_takes_writes() -> None:
    assert leaders(galera("db1", decision.LOST, writes=True, inside="1"), None, None) == []


# --- Sets of transactions ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mine", "theirs", "missing"),
    [
        (f"{GROUP}:1-10", [f"{GROUP}:1-10"], ""),
        (f"{GROUP}:1-10", [f"{GROUP}:1-20"], ""),
        (f"{GROUP}:1-10", [f"{GROUP}:1-4", f"{GROUP}:5-10"], ""),
        (f"{GROUP}:1-10", [f"{GROUP}:3-4:8"], f"{GROUP}:1-2,{GROUP}:5-7,{GROUP}:9-10"),
        (f"{GROUP}:5", [""], f"{GROUP}:5-5"),
        ("", [f"{GROUP}:1-10"], ""),
        (f"{GROUP}:1-3:tag:1-2", [f"{GROUP}:1-3"], f"{GROUP}:tag:1-2"),
        (f"{GROUP.upper()}:1-3,\n {GROUP}:tag:7", [f"{GROUP}:1-3:tag:1-9"], ""),
    ],
)
def test_missing(mine: str, theirs: list[str], missing: str) -> None:
    assert missing_in(mine, theirs) == missing


@pytest.mark.parametrize("text", ["nonsense", "1-2-3", f"{GROUP}:1-", f"{GROUP}:a-b"])
def test_what_is_no_set_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no set of transactions"):
        parse(text)


def test_reports_survive_the_way() -> None:
    assert Report.of(member("db1").record()) == member("db1")
    # Another release says more, or less.
    assert Report.of(member("db1").record() | {"more": 1}) == member("db1")
    assert Report.of({key: value for key, value in member("db1").record().items() if key != "begun"}) == member("db1")
    for nonsense in ([], {}, {"name": "db1"}, member("db1").record() | {"rank": "1"}):
        with pytest.raises(ValueError, match="this is not a member"):
            Report.of(nonsense)
