"""May the primary be moved, and to whom: every gate, without a server."""

from typing import Any

import pytest
from ansible.plugins.loader import init_plugin_loader

init_plugin_loader()  # finds the collection, of which one filter uses another

from ansible_collections.tandem.web.plugins.filter.mysql_move import (  # noqa: E402
    mysql_cluster_switchover,
    mysql_failover,
    mysql_outdated,
    mysql_successor,
    mysql_switchover,
    mysql_witnesses,
)
from ansible_collections.tandem.web.plugins.module_utils.mysql_gtid import count, missing  # noqa: E402

ADDRESS = {"db1": "192.0.2.31", "db2": "192.0.2.32", "db3": "192.0.2.33"}


def primary(name: str, **state: Any) -> dict[str, Any]:
    known = {"installed": True, "running": True, "writable": True, "blank": False, "version": "9.7.0"}
    known |= {"replication": {}, "oldest_transaction": 0, "gtid": ""}
    return {"item": {"name": name, "address": ADDRESS[name]}, "state": known | state}


def replica(name: str, follows: str = "db1", **given: Any) -> dict[str, Any]:
    replication = {"source": ADDRESS.get(follows, follows), "receiver": "Yes", "applier": "Yes", "lag": 0}
    replication |= {"receiver_error": "", "applier_error": ""}
    replication |= {key: given.pop(key) for key in list(given) if key in replication}
    return primary(name, writable=False, replication=replication, **given)


def unreachable(name: str) -> dict[str, Any]:
    return {"item": {"name": name, "address": ADDRESS[name]}, "unreachable": True}


def stopped(name: str) -> dict[str, Any]:
    return primary(name, running=False, writable=False, blank=True)


# --- Switchover -----------------------------------------------------------------------------------
def refused(plan: dict[str, Any], *words: str) -> None:
    assert len(plan["problems"]) == 1, plan["problems"]
    for word in words:
        assert word in plan["problems"][0]


def test_switchover() -> None:
    plan = mysql_switchover([primary("db1"), replica("db2"), replica("db3")], "db2")
    assert plan["problems"] == []
    assert (plan["old"]["name"], plan["new"]["name"], [m["name"] for m in plan["others"]]) == ("db1", "db2", ["db3"])
    assert not plan["done"]


def test_it_is_the_primary_already() -> None:
    assert mysql_switchover([primary("db1"), replica("db2")], "db1")["done"]


@pytest.mark.parametrize("wanted", ["", "db9"])
def test_nobody_of_that_name(wanted: str) -> None:
    refused(mysql_switchover([primary("db1"), replica("db2")], wanted), "mysql_new_primary is", "write db2")


def test_no_server_takes_writes() -> None:
    refused(mysql_switchover([primary("db1", writable=False), replica("db2")], "db2"), "No server takes writes")


def test_two_take_writes() -> None:
    refused(mysql_switchover([primary("db1"), primary("db2")], "db2"), "db1 and db2 all take writes")


@pytest.mark.parametrize("other", [unreachable("db3"), stopped("db3")])
def test_a_member_that_is_away_would_follow_the_old_one(other: dict[str, Any]) -> None:
    refused(mysql_switchover([primary("db1"), replica("db2"), other], "db2"), "db3 does not answer", "inventory")


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"follows": "192.0.2.99"}, "db2 does not follow db1"),
        ({"applier": "No", "applier_error": "duplicate key"}, "db2 applies nothing (duplicate key)"),
        ({"receiver": "Connecting", "receiver_error": "refused"}, "db2 receives nothing (refused)"),
        ({"lag": 6}, "db2 is 6 s behind db1, over the limit of 5 s"),
        ({"lag": None}, "db2 is an unknown time behind db1"),
    ],
)
def test_a_target_that_is_not_healthy(state: dict[str, Any], said: str) -> None:
    refused(mysql_switchover([primary("db1"), replica("db2", **state), replica("db3")], "db2"), said)


def test_a_transaction_that_is_open_for_long() -> None:
    results = [primary("db1", oldest_transaction=11), replica("db2")]
    refused(mysql_switchover(results, "db2"), "open for 11 s", "limit of 10 s")
    assert mysql_switchover(results, "db2", max_transaction=12)["problems"] == []


def test_an_older_server_cannot_follow_a_newer_one() -> None:
    results = [primary("db1", version="8.4.3"), replica("db2", version="9.7.0")]
    refused(mysql_switchover(results, "db2"), "db1 runs 8.4.3", "upgrade db1 first")
    assert mysql_switchover([primary("db1", version="9.7.0"), replica("db2", version="9.7.1")], "db2")["problems"] == []


# --- Switchover of a cluster ----------------------------------------------------------------------
def member(name: str, takes_writes: str = "db1", away: str = "", **state: Any) -> dict[str, Any]:
    view = [
        {"address": address, "state": "ONLINE", "own": one == name, "primary": one == takes_writes}
        for one, address in ADDRESS.items()
        if one != away
    ]
    cluster = {"state": "ONLINE", "majority": True, "members": view, "formed": True}
    return primary(name, writable=name == takes_writes, cluster=cluster, **state)


def test_a_cluster_moves_its_primary() -> None:
    plan = mysql_cluster_switchover([member(name) for name in ADDRESS], "db3")
    assert plan["problems"] == []
    assert (plan["old"]["name"], plan["new"]["name"]) == ("db1", "db3")
    assert mysql_cluster_switchover([member(name) for name in ADDRESS], "db1")["done"]


def test_a_cluster_that_is_not_whole_does_not() -> None:
    members = [member("db1", away="db3"), member("db2", away="db3"), unreachable("db3")]
    refused(mysql_cluster_switchover(members, "db2"), "db3 is not online")


def test_a_cluster_that_ends_a_transaction_does_not() -> None:
    members = [member("db1", oldest_transaction=11), member("db2"), member("db3")]
    refused(mysql_cluster_switchover(members, "db2"), "db1 has a transaction", "11 s")


def test_a_cluster_does_not_know_that_member() -> None:
    refused(mysql_cluster_switchover([member(name) for name in ADDRESS], "db9"), "db9", "write db2 or db3")


def test_there_is_no_cluster() -> None:
    fresh = [primary(name, writable=False, blank=True, cluster={}) for name in ADDRESS]
    refused(mysql_cluster_switchover(fresh, "db2"), "There is no cluster yet")


# --- Failover -------------------------------------------------------------------------------------
@pytest.mark.parametrize("lost", [unreachable("db1"), stopped("db1")])
def test_failover(lost: dict[str, Any]) -> None:
    plan = mysql_failover([lost, replica("db2", receiver="Connecting"), replica("db3")], [])
    assert plan["problems"] == []
    assert (plan["old"]["name"], [m["name"] for m in plan["survivors"]]) == ("db1", ["db2", "db3"])


def test_the_old_primary_answers() -> None:
    results = [primary("db1"), replica("db2"), replica("db3")]
    refused(mysql_failover(results, []), "db1 still answers (Ansible asked)", "mysql_failover_by_force")
    assert mysql_failover(results, [], by_force=True)["problems"] == []


def test_the_old_primary_answers_a_web_server_only() -> None:
    answers = mysql_witnesses(
        [
            {"item": "web1", "states": {"db1": None}},
            {"item": "web2", "states": {"db1": {"writable": True}}},
            {"item": "web3", "unreachable": True},
        ]
    )
    results = [unreachable("db1"), replica("db2"), replica("db3")]
    refused(mysql_failover(results, answers), "db1 still answers (web2 asked)")


def test_a_read_only_primary_that_restarted_answers_too() -> None:
    results = [primary("db1", writable=False), replica("db2"), replica("db3")]
    refused(mysql_failover(results, []), "db1 still answers")


def test_a_member_that_nobody_can_reach_has_to_be_given_up() -> None:
    results = [unreachable("db1"), replica("db2"), unreachable("db3")]
    refused(mysql_failover(results, []), "db3 cannot be reached", "mysql_failover_gone=db3")
    plan = mysql_failover(results, [], gone=["db3"])
    assert plan["problems"] == []
    assert [member["name"] for member in plan["survivors"]] == ["db2"]


def test_nobody_survives() -> None:
    refused(mysql_failover([unreachable("db1"), unreachable("db2")], []), "No replica answers")


def test_two_that_follow_different_servers() -> None:
    results = [unreachable("db1"), replica("db2", "db1"), replica("db3", "192.0.2.99")]
    refused(mysql_failover(results, []), "cannot be told", "db3 follows 192.0.2.99")


def test_a_switchover_was_cut_before() -> None:
    plan = mysql_failover([unreachable("db1"), replica("db2", "db1"), replica("db3", "db2")], [])
    assert plan["problems"] == []
    assert (plan["old"]["name"], len(plan["survivors"])) == ("db1", 2)


def test_one_that_follows_nobody_could_have_been_promoted() -> None:
    results = [unreachable("db1"), primary("db2", writable=False), replica("db3")]
    refused(mysql_failover(results, []), "db2 follows nobody")


# --- Who has most ---------------------------------------------------------------------------------
def held(name: str, gtid: str, complete: bool = True) -> dict[str, Any]:
    return {"item": {"name": name, "address": ADDRESS[name]}, "gtid": gtid, "complete": complete}


@pytest.mark.parametrize(
    ("engine", "more", "less"),
    [("mysql", "a:1-10,b:1-2", "a:1-9,b:1-2"), ("mariadb", "0-31-10,0-32-12", "0-31-10,0-32-11")],
)
def test_the_one_with_the_most_transactions(engine: str, more: str, less: str) -> None:
    plan = mysql_successor([held("db2", less), held("db3", more)], engine)
    assert (plan["new"]["name"], [m["name"] for m in plan["others"]]) == ("db3", ["db2"])
    assert mysql_successor([held("db2", more), held("db3", more)], engine)["new"]["name"] == "db2"
    assert mysql_successor([held("db2", more), held("db3", more)], engine, "db3")["new"]["name"] == "db3"
    wanted = mysql_successor([held("db2", less), held("db3", more)], engine, "db2")
    assert "db2 lacks transactions" in wanted["problem"]
    assert "write db3" in wanted["problem"]


def test_survivors_that_diverge() -> None:
    plan = mysql_successor([held("db2", "a:1-9,b:1"), held("db3", "a:1-10")], "mysql")
    assert plan["problem"] == (
        "Each survivor lacks transactions of another: db2 lacks a:10 of db3; db3 lacks b:1 of db2"
    )


def test_one_that_has_not_applied_all() -> None:
    plan = mysql_successor([held("db2", "a:1-9"), held("db3", "a:1-9", complete=False)], "mysql")
    assert plan["problem"].startswith("db3 has not applied all")


def test_one_that_does_not_survive_is_wanted() -> None:
    assert "db1, which does not survive" in mysql_successor([held("db2", "a:1")], "mysql", "db1")["problem"]


# --- Sets -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("mine", "theirs", "lacking"),
    [
        ("", "", ""),
        ("a:1-5", "", "a:1-5"),
        ("a:1-5", "a:1-5", ""),
        ("a:1-5", "a:2-3", "a:1:4-5"),
        ("a:1-5:8", "a:1-5", "a:8"),
        ("a:1-5,\nb:1-3", "a:1-9", "b:1-3"),
        ("a:1-5:tag:1-2", "a:1-5", "a:tag:1-2"),
        ("a:1-5:tag:1-2", "a:1-5:tag:1", "a:tag:2"),
        ("a:5-10", "a:1-4:8-20", "a:5-7"),
    ],
)
def test_what_another_mysql_lacks(mine: str, theirs: str, lacking: str) -> None:
    assert missing("mysql", mine, theirs) == lacking


def test_a_number_to_show() -> None:
    assert count("mysql", "a:1-5:8,b:1") == 7
    assert count("mariadb", "0-31-100,0-32-140") == 140
    assert count("mysql", "") == count("mariadb", "") == 0


# --- Versions -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("own", "source", "refused"),
    [
        ("9.7.1", "9.7.2", False),
        ("9.7.0", "8.4.6", False),
        ("8.0.43", "8.4.6", True),
        ("10.11.14-MariaDB-0+deb12u2-log", "11.8.3-MariaDB-0+deb13u1-log", True),
        ("", "9.7.0", False),  # it does not run yet
    ],
)
def test_a_replica_of_an_older_series(own: str, source: str, refused: bool) -> None:
    said = mysql_outdated({"version": own}, {"version": source}, "db1")
    assert bool(said) is refused
    if refused:
        assert f"{own} and cannot replicate from db1, which runs {source}" in said
