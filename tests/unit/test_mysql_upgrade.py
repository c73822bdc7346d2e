"""What is due on databases and in which order it is done: every decision of playbooks/upgrade.yml, without a server."""

from typing import Any

import pytest
from ansible.plugins.loader import init_plugin_loader

init_plugin_loader()  # finds the collection, of which one filter uses another

from ansible_collections.tandem.web.plugins.filter.mysql_upgrade import mysql_due, mysql_upgrade  # noqa: E402

ADDRESS = {"db1": "192.0.2.31", "db2": "192.0.2.32", "db3": "192.0.2.33"}
POLICY = """mariadb-server:
  Installed: 1:11.8.3-0+deb13u1
  Candidate: {}
  Version table:
     1:11.8.3-0+deb13u1 500
mariadb-backup:
  Installed: 1:11.8.3-0+deb13u1
  Candidate: 1:11.8.3-0+deb13u1
socat:
  Installed: (none)
  Candidate: 1.8.0
"""
NOTHING = {"what": [], "restart": False, "leaps": []}
RUNNING = {"what": ["max_connections"], "restart": False, "leaps": []}
RESTART = {"what": ["back_log (by a restart)"], "restart": True, "leaps": []}


def server(name: str, primary: str = "db1", **given: Any) -> dict[str, Any]:
    follows = {"source": ADDRESS[primary], "receiver": "Yes", "applier": "Yes", "lag": 0}
    state = {
        "installed": True,
        "running": True,
        "blank": False,
        "version": "11.8.3",
        "gtid": "",
        "oldest_transaction": 0,
    }
    state |= {"writable": name == primary, "replication": {} if name == primary else follows}
    return {"item": {"name": name, "address": ADDRESS[name]}, "state": state | given}


def member(name: str, primary: str = "db1", away: str = "") -> dict[str, Any]:
    view = [
        {"address": address, "state": "ONLINE", "own": one == name, "primary": one == primary}
        for one, address in ADDRESS.items()
        if one != away
    ]
    cluster = {"state": "ONLINE", "majority": True, "members": view, "formed": True}
    return server(name, primary, replication={}, cluster=cluster)


def plan(due: list[dict[str, Any]], topology: str = "replication", heir: str = "", **given: Any) -> dict[str, Any]:
    make = server if topology == "replication" else member
    return mysql_upgrade(
        [make(name, **given) for name in ADDRESS], dict(zip(ADDRESS, due, strict=True)), topology, heir
    )


# --- What is due on one host ------------------------------------------------------------------------


def test_a_newer_package_takes_a_restart() -> None:
    due = mysql_due(POLICY.format("1:11.8.4-0+deb13u1"), {})
    assert due == {
        "what": ["mariadb-server 1:11.8.3-0+deb13u1 -> 1:11.8.4-0+deb13u1"],
        "restart": True,
        "leaps": [],
    }


def test_another_series_is_no_minor_upgrade() -> None:
    assert mysql_due(POLICY.format("1:12.3.1-1"), {})["leaps"] == ["mariadb-server 1:11.8.3-0+deb13u1 -> 1:12.3.1-1"]


def test_settings_with_and_without_a_restart() -> None:
    same = POLICY.format("1:11.8.3-0+deb13u1")
    assert mysql_due(same, {"applied": [], "restart": []}) == NOTHING
    assert mysql_due(same, {"applied": ["max_connections"], "restart": []}) == RUNNING
    assert mysql_due(same, {"applied": [], "restart": ["back_log"]}) == RESTART


# --- In which order ---------------------------------------------------------------------------------


@pytest.mark.parametrize("topology", ["replication", "cluster"])
def test_replicas_first_and_the_primary_when_another_one_took_its_place(topology: str) -> None:
    found = plan([RESTART] * 3, topology, primary="db2")
    assert found["problems"] == []
    assert (found["in_place"], found["after_move"], found["heir"]) == (["db1", "db3"], "db2", "db1")
    assert found["lines"] == [
        "db1: back_log (by a restart)",
        "db3: back_log (by a restart)",
        "db1 takes the place of db2",
        "db2: back_log (by a restart)",
    ]


def test_who_takes_the_place_may_be_named() -> None:
    assert plan([RESTART] * 3, heir="db3")["heir"] == "db3"
    [problem] = plan([RESTART] * 3, heir="db9")["problems"]
    assert "mysql_new_primary is db9" in problem


def test_a_primary_that_need_not_restart_is_not_moved() -> None:
    found = plan([RUNNING] * 3)
    assert (found["in_place"], found["after_move"], found["problems"]) == (["db2", "db3", "db1"], "", [])


def test_what_was_done_before_is_left_alone() -> None:
    assert plan([RESTART, NOTHING, NOTHING])["in_place"] == []
    assert plan([RESTART, NOTHING, NOTHING])["after_move"] == "db1"
    found = plan([NOTHING] * 3)
    assert (found["in_place"], found["after_move"], found["lines"]) == ([], "", [])


def test_a_host_that_cannot_be_asked_stops_it() -> None:
    [problem] = plan([RESTART, RESTART, {}])["problems"]
    assert "db3 cannot be asked" in problem


def test_another_series_stops_it() -> None:
    problems = plan([RESTART, RESTART | {"leaps": ["mysql-server 8.0.40 -> 8.4.3"]}, RESTART])["problems"]
    assert problems == [
        "db2: mysql-server 8.0.40 -> 8.4.3 is another series, so no minor upgrade; "
        "read the engine's notes on it, and do it by hand."
    ]


def test_a_replica_that_is_not_fit_stops_it() -> None:
    results = [server("db1"), server("db2"), server("db3", running=False)]
    problems = mysql_upgrade(results, dict.fromkeys(ADDRESS, RESTART), "replication")["problems"]
    assert problems == ["db3 does not answer; start it, or take it out of the inventory."]


def test_a_cluster_that_is_not_whole_stops_it() -> None:
    results = [member("db1", away="db3"), member("db2", away="db3"), server("db3", running=False)]
    [problem] = mysql_upgrade(results, dict.fromkeys(ADDRESS, RESTART), "cluster")["problems"]
    assert "db3 is not online" in problem


def test_a_long_transaction_stops_it_before_a_replica_is_touched() -> None:
    results = [server("db1", oldest_transaction=60), server("db2"), server("db3")]
    [problem] = mysql_upgrade(results, dict.fromkeys(ADDRESS, RESTART), "replication")["problems"]
    assert "db1 has a transaction" in problem


def test_a_server_alone_cannot_be_spared() -> None:
    [problem] = mysql_upgrade([server("db1")], {"db1": RESTART}, "replication")["problems"]
    assert "db1 is alone" in problem
    assert mysql_upgrade([server("db1")], {"db1": RUNNING}, "replication")["problems"] == []


def test_nobody_takes_writes() -> None:
    results = [server(name, writable=False) for name in ADDRESS]
    [problem] = mysql_upgrade(results, dict.fromkeys(ADDRESS, RESTART), "replication")["problems"]
    assert "No server takes writes" in problem
