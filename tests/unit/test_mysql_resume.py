"""May a primary that restarted take writes again? Every constellation of the others, without a server."""

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from typing import Any

import pytest

from tests.support.roles import ROOT

LOADER = SourceFileLoader("mysql_resume", str(ROOT / "roles/mysql/files/mysql-resume"))
resume = module_from_spec(spec_from_loader("mysql_resume", LOADER))
LOADER.exec_module(resume)

NUMBER = {"db1": 31, "db2": 32, "db3": 33, "db9": 39}


@pytest.fixture(params=["mysql", "mariadb"], autouse=True)
def uuids(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let servers have a UUID, as on MySQL, or none, as on MariaDB."""
    monkeypatch.setattr(f"{__name__}.UUIDS", request.param == "mysql")


UUIDS = True


def server(name: str, follows: str = "", writable: bool = False, receiver: str = "Yes") -> dict[str, Any]:
    def identity(who: str) -> dict[str, Any]:
        return {"server_id": NUMBER[who], "server_uuid": f"uuid-of-{who}" if UUIDS else ""}

    source = identity(follows) | {"receiver": receiver} if follows else None
    return identity(name) | {"writable": writable, "source": source}


def decide(**others: dict[str, Any] | None) -> tuple[bool, str]:
    return resume.decide(server("db1"), others)


def test_alone() -> None:
    assert decide()[0]


def test_a_replica_that_follows_is_enough() -> None:
    fit, reason = decide(db2=server("db2", "db1"))
    assert fit
    assert "db2 follows this server" in reason
    assert decide(db2=server("db2", "db1"), db3=None)[0], "who is silent counts neither way"
    assert decide(db2=server("db2", "db1"), db3=server("db3"))[0], "nor does a new one"
    assert decide(db2=server("db2", "db1"), db3=server("db3", "db2"))[0], "one that follows a replica of this server"


def test_silence_is_never_enough() -> None:
    fit, reason = decide(db2=None, db3=None)
    assert not fit
    assert "db2 and db3 does not answer" in reason


@pytest.mark.parametrize("receiver", ["No", "Connecting", "Preparing"])
def test_a_replica_that_is_not_connected_confirms_nothing(receiver: str) -> None:
    fit, reason = decide(db2=server("db2", "db1", receiver=receiver), db3=None)
    assert not fit
    assert "no replica confirms" in reason


def test_servers_that_follow_nobody_confirm_nothing() -> None:
    assert not decide(db2=server("db2"), db3=server("db3"))[0]


def test_another_one_takes_writes() -> None:
    fit, reason = decide(db2=server("db2", writable=True), db3=server("db3", "db1"))
    assert not fit
    assert "db2 takes writes now" in reason


@pytest.mark.parametrize("above", ["db2", "db9"])
def test_one_that_follows_another_server(above: str) -> None:
    """A failover is under way, or was done: db3 was given to another, who may be silent."""
    fit, reason = decide(db2=server("db2"), db3=server("db3", above))
    assert not fit
    assert "db3 follows another server" in reason
    assert not decide(db2=server("db2", "db1"), db3=server("db3", "db9"))[0]


def test_servers_that_follow_each_other() -> None:
    assert not decide(db2=server("db2", "db3"), db3=server("db3", "db2"))[0]


def test_after_a_failover_that_reached_everybody_no_subset_of_answers_confirms() -> None:
    """What the playbooks leave behind: one takes writes, every other one follows it."""
    after = {"db2": server("db2", writable=True), "db3": server("db3", "db2")}
    for silent in ((), ("db2",), ("db3",), ("db2", "db3")):
        assert not decide(**{name: None if name in silent else state for name, state in after.items()})[0]


def test_before_a_failover_promotes_no_subset_of_answers_confirms_either() -> None:
    before = {"db2": server("db2"), "db3": server("db3", "db2")}
    for silent in ((), ("db2",), ("db3",), ("db2", "db3")):
        assert not decide(**{name: None if name in silent else state for name, state in before.items()})[0]
