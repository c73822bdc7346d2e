"""Who is primary: every constellation of running servers, without a server."""

from typing import Any

import pytest

from plugins.filter.mysql import mysql_buffer_pool, mysql_primary, mysql_server_id

ADDRESS = {"db1": "192.0.2.31", "db2": "192.0.2.32", "db3": "192.0.2.33"}


def member(name: str, **state: Any) -> dict[str, Any]:
    """One answer of the loop over mysql_state: a read-only server with data, unless said otherwise."""
    source = state.pop("follows", "")
    known = {"installed": True, "running": True, "writable": False, "blank": False}
    known["replication"] = {"source": ADDRESS.get(source, source)} if source else {}
    return {"item": {"name": name, "address": ADDRESS[name]}, "state": known | state}


def new(name: str, **state: Any) -> dict[str, Any]:
    """A server that runs and holds nothing."""
    return member(name, blank=True, **state)


def bare(name: str) -> dict[str, Any]:
    """A host without a server."""
    return new(name, installed=False, running=False)


def stopped(name: str) -> dict[str, Any]:
    """A server that does not run."""
    return new(name, running=False)


def unreachable(name: str) -> dict[str, Any]:
    """A host that does not answer."""
    return {"item": {"name": name, "address": ADDRESS[name]}, "unreachable": True}


@pytest.mark.parametrize(
    ("results", "primary"),
    [
        pytest.param([bare("db1"), bare("db2")], "db1", id="bare hosts"),
        pytest.param([new("db1"), new("db2")], "db1", id="new servers"),
        pytest.param([new("db1"), bare("db2")], "db1", id="new server and bare host"),
        pytest.param([bare("db1"), new("db2")], "db2", id="limited to the second host"),
        pytest.param([new("db1", writable=True), new("db2")], "db1", id="interrupted before the first database"),
        pytest.param([new("db1", writable=True), new("db2", follows="db1")], "db1", id="a site without databases"),
        pytest.param([new("db1", writable=True), new("db2", writable=True)], "db1", id="as packages leave them"),
        pytest.param([member("db1", writable=True)], "db1", id="alone"),
        pytest.param([member("db1")], "db1", id="alone, restarted"),
        pytest.param([member("db1", writable=True), member("db2", follows="db1")], "db1", id="healthy"),
        pytest.param([member("db1", follows="db2"), member("db2", writable=True)], "db2", id="after a switchover"),
        pytest.param([member("db1"), member("db2", writable=True)], "db2", id="after a failover"),
        pytest.param([new("db1"), member("db2", writable=True)], "db2", id="the first was lost and is new"),
        pytest.param([member("db1", writable=True), new("db2", writable=True)], "db1", id="a new server takes writes"),
        pytest.param([member("db1", writable=True), unreachable("db2")], "db1", id="a replica is unreachable"),
        pytest.param([stopped("db1"), member("db2", writable=True)], "db2", id="the old primary is down"),
        pytest.param([member("db1"), member("db2", follows="db1")], "db1", id="primary restarted"),
        pytest.param(
            [member("db1"), member("db2", follows="db1"), member("db3", follows="db1")], "db1", id="all restarted"
        ),
        pytest.param(
            [member("db1", follows="db2"), member("db2"), new("db3")], "db2", id="restarted while a member is added"
        ),
        pytest.param([new("db1"), new("db2", follows="db1")], "db1", id="restarted, without databases"),
        pytest.param([new("db1"), member("db2"), bare("db3")], "db2", id="a server with data and new ones"),
    ],
)
def test_primary_is(results: list[dict[str, Any]], primary: str) -> None:
    decision = mysql_primary(results)
    assert (decision["name"], decision["problem"]) == (primary, "")
    assert decision["address"] == ADDRESS[primary]


@pytest.mark.parametrize(
    ("results", "words"),
    [
        pytest.param(
            [member("db1", writable=True), member("db2", writable=True)], ["db1 and db2 all take writes"], id="two"
        ),
        pytest.param(
            [member("db1", writable=True), member("db2", writable=True, follows="db1")],
            ["db1 and db2 all take writes"],
            id="writable replica beside the primary",
        ),
        pytest.param(
            [member("db1", writable=True, follows="db2"), member("db2")],
            ["db1 takes writes and is a replica of db2"],
            id="primary that replicates",
        ),
        pytest.param(
            [member("db1", writable=True, follows="203.0.113.9")], ["replica of 203.0.113.9"], id="of a stranger"
        ),
        pytest.param(
            [member("db1"), member("db2")], ["db1 follows nobody", "db2 follows nobody"], id="none, two heads"
        ),
        pytest.param(
            [member("db1", follows="db2"), member("db2", follows="db1")],
            ["db1 follows db2, db2 follows db1"],
            id="ring",
        ),
        pytest.param(
            [member("db1"), member("db2", follows="db1"), member("db3", follows="db2")],
            ["db3 follows db2"],
            id="chain",
        ),
        pytest.param([member("db1", follows="203.0.113.9")], ["db1 follows 203.0.113.9"], id="follows a stranger"),
        pytest.param([member("db1"), stopped("db2")], ["No server takes writes, and db2 cannot"], id="none, one down"),
        pytest.param(
            [member("db1"), member("db2", follows="db1"), unreachable("db3")],
            ["db3 cannot be asked"],
            id="none, one unreachable, which may have been promoted",
        ),
        pytest.param(
            [new("db1"), member("db2", follows="db1"), member("db3", follows="db1")],
            ["db1 is followed by db2 and db3 and holds no data"],
            id="primary whose disk is not mounted",
        ),
        pytest.param([new("db1"), stopped("db2")], ["db2 cannot be asked"], id="new beside one that is down"),
        pytest.param([unreachable("db1"), unreachable("db2")], ["db1 and db2 cannot be asked"], id="nobody answers"),
    ],
)
def test_contradiction_names_the_hosts(results: list[dict[str, Any]], words: list[str]) -> None:
    decision = mysql_primary(results)
    assert decision["name"] == ""
    for word in words:
        assert word in decision["problem"]


def test_server_id_is_the_hosts_own() -> None:
    ids = [mysql_server_id(address) for address in ("192.0.2.31", "192.0.2.32", "2001:db8::1", "2001:db8::2")]
    assert len(set(ids)) == 4
    assert all(0 < number < 2**32 for number in ids)


@pytest.mark.parametrize(("memory", "size"), [(64, "128M"), (1000, "384M"), (16000, "7936M")])
def test_buffer_pool_is_half_of_the_memory(memory: int, size: str) -> None:
    assert mysql_buffer_pool(memory) == size
