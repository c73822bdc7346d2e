"""What a cluster is: every constellation of running servers, without a server."""

import json
from typing import Any

import pytest
from ansible.plugins.loader import init_plugin_loader

init_plugin_loader()  # finds the collection, of which one filter uses another

from ansible_collections.tandem.web.plugins.filter.mysql_cluster import (  # noqa: E402
    endpoints,
    mysql_cluster,
    mysql_recovery,
)

ADDRESS = {"db1": "192.0.2.31", "db2": "192.0.2.32", "db3": "192.0.2.33"}
STRANGER = "192.0.2.99"


def answer(name: str, **state: Any) -> dict[str, Any]:
    """One answer of the loop over mysql_state: a read-only server with data and no cluster, unless said otherwise."""
    source = state.pop("follows", "")
    known = {"installed": True, "running": True, "writable": False, "blank": False, "cluster": {}}
    known["replication"] = {"source": ADDRESS[source]} if source else {}
    return {"item": {"name": name, "address": ADDRESS[name]}, "state": known | state}


def inside(name: str, primary: str = "db1", away: str = "", also: str = "", majority: bool = True) -> dict[str, Any]:
    """A member that is online."""
    view = [
        {"address": address, "state": "ONLINE", "primary": one == primary, "own": one == name}
        for one, address in ADDRESS.items()
        if one != away
    ]
    view += [{"address": also, "state": "ONLINE", "primary": primary == also, "own": False}] if also else []
    return answer(name, cluster={"state": "ONLINE", "majority": majority, "members": view, "formed": True})


def outside(name: str, formed: bool = True) -> dict[str, Any]:
    """A server that could be in the cluster, and is not."""
    return answer(name, cluster={"state": "OFFLINE", "majority": False, "members": [], "formed": formed})


def bare(name: str) -> dict[str, Any]:
    return answer(name, installed=False, running=False, blank=True)


def unreachable(name: str) -> dict[str, Any]:
    return {"item": {"name": name, "address": ADDRESS[name]}, "unreachable": True}


def test_a_healthy_cluster() -> None:
    found = mysql_cluster([inside(name, primary="db2") for name in ADDRESS])
    assert found["primary"] == {"name": "db2", "address": ADDRESS["db2"]}
    assert (found["exists"], found["missing"], found["strangers"], found["problem"]) == (True, [], [], "")


def two_and_an_arbitrator(voting: int) -> list[dict[str, Any]]:
    members = [inside(name, away="db3") for name in ("db1", "db2")]
    for member in members:
        member["state"]["cluster"]["arbitrators"] = voting
    return members


def test_an_arbitrator_is_counted_by_the_members() -> None:
    assert mysql_cluster(two_and_an_arbitrator(1), ["mon1"])["missing"] == []
    assert mysql_cluster(two_and_an_arbitrator(0), ["mon1"])["missing"] == ["mon1"]
    assert mysql_cluster(two_and_an_arbitrator(0), [])["missing"] == []


@pytest.mark.parametrize("third", [outside("db3"), unreachable("db3")])
def test_a_member_that_is_away(third: dict[str, Any]) -> None:
    found = mysql_cluster([inside("db1", away="db3"), inside("db2", away="db3"), third])
    assert (found["primary"]["name"], found["missing"], found["problem"]) == ("db1", ["db3"], "")
    assert found["belong"] == ["db1", "db2", "db3"]


@pytest.mark.parametrize("third", [bare("db3"), outside("db3", formed=False), answer("db3", blank=True)])
def test_a_new_member_is_not_missing(third: dict[str, Any]) -> None:
    found = mysql_cluster([inside("db1", away="db3"), inside("db2", away="db3"), third])
    assert (found["missing"], found["belong"]) == ([], ["db1", "db2"])


def test_one_who_is_no_member_any_more() -> None:
    found = mysql_cluster([inside(name, also=STRANGER) for name in ADDRESS])
    assert (found["strangers"], found["problem"]) == ([STRANGER], "")
    found = mysql_cluster([inside(name, primary=STRANGER, also=STRANGER) for name in ADDRESS])
    assert STRANGER in found["problem"]


def test_a_view_without_a_majority_counts_for_nothing() -> None:
    stale = inside("db1", primary="db1", majority=False)
    found = mysql_cluster([stale, inside("db2", primary="db2", away="db1"), inside("db3", primary="db2", away="db1")])
    assert (found["primary"]["name"], found["missing"]) == ("db2", ["db1"])


def test_a_cluster_that_is_down() -> None:
    found = mysql_cluster([outside("db1"), outside("db2"), unreachable("db3")])
    assert "db3 cannot be asked" in found["problem"]
    assert "recover.yml" in found["problem"]
    assert "no member is in a majority" in mysql_cluster([outside(name) for name in ADDRESS])["problem"]


@pytest.mark.parametrize(
    ("results", "primary"),
    [
        pytest.param([bare(name) for name in ADDRESS], "db1", id="bare hosts"),
        pytest.param([answer(name, running=False, blank=True) for name in ADDRESS], "db1", id="never started"),
        pytest.param([answer("db1", writable=True), bare("db2"), bare("db3")], "db1", id="a single server"),
        pytest.param(
            [answer("db1", follows="db2"), answer("db2", writable=True), bare("db3")], "db2", id="replication before"
        ),
        pytest.param([outside("db1"), bare("db2"), bare("db3")], "db1", id="a first run that was interrupted"),
    ],
)
def test_a_cluster_that_is_to_be(results: list[dict[str, Any]], primary: str) -> None:
    found = mysql_cluster(results)
    assert (found["primary"]["name"], found["exists"], found["problem"]) == (primary, False, "")


# --- playbooks/recover.yml ---------------------------------------------------------------------------


def host(name: str, state: str = "offline", last: int = 10, silent: bool = False) -> dict[str, Any]:
    report = {"name": name, "state": state, "holds": f"uuid:1-{last}"}
    asked = {"unreachable": True} if silent else {"stdout": json.dumps({name: report})}
    return {"inventory_hostname": name, "__recover_asked": asked}


def test_a_recovery_names_who_is_given_up() -> None:
    hosts = [host("db1"), host("db2"), host("db3", silent=True)]
    assert "-e mysql_recover_without=db3" in mysql_recovery(hosts, "")["problem"]
    assert "(not db2)" in mysql_recovery(hosts, "db2")["problem"]
    found = mysql_recovery(hosts, "db3")
    assert (found["problem"], found["missing"]) == ("", ["db3"])
    assert found["lines"] == ["db1: offline, holds uuid:1-10", "db2: offline, holds uuid:1-10", "db3: cannot be asked"]


def test_two_that_are_lost() -> None:
    hosts = [host("db1"), host("db2", silent=True), host("db3", state="down")]
    assert mysql_recovery(hosts, "db3, db2")["problem"] == ""


@pytest.mark.parametrize(
    ("hosts", "words"),
    [
        ([host("db1", state="online"), host("db2", silent=True)], "is alive"),
        ([host("db1"), host("db2")], "Every member answers"),
        ([host("db1", silent=True), host("db2", silent=True)], "No member can be asked"),
    ],
)
def test_nothing_to_recover(hosts: list[dict[str, Any]], words: str) -> None:
    assert words in mysql_recovery(hosts, "db2")["problem"]


def test_endpoints() -> None:
    assert endpoints(["192.0.2.31", "2001:db8::31"], 33061) == ["192.0.2.31:33061", "[2001:db8::31]:33061"]
