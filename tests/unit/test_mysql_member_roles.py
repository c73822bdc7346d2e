"""What the role check answers for a member of a cluster, without a server."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from tests.support.roles import ROOT

spec = importlib.util.spec_from_file_location("cluster_roles", ROOT / "roles/mysql/files/mysql_role_check_cluster.py")
roles = importlib.util.module_from_spec(spec)
spec.loader.exec_module(roles)

MAX_LAG = 2.0


class Base:
    """What the role check gives: the rows of a statement, and when the server was heard."""

    heard, error = float("-inf"), "it is away"

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {}

    def query(self, statement: str) -> list[dict[str, Any]]:
        return next(rows for words, rows in self.rows.items() if words in statement)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    now = {"now": 100.0}
    monkeypatch.setattr(roles.time, "monotonic", lambda: now["now"])
    return now


def group(
    own: str = "ONLINE", role: str = "PRIMARY", others: tuple[str, ...] = ("ONLINE", "ONLINE"), **facts: Any
) -> Any:
    watch = roles.watch(Base, "mysql")
    members = [{"own": 1, "state": own, "role": role}]
    members += [{"own": 0, "state": state, "role": "SECONDARY"} for state in others]
    watch.rows = {"replication_group_members": members, "read_only": [{"read_only": 0, "behind": 0} | facts]}
    watch.ask()
    return watch


def told(watch: Any, path: str, now: float = 100.0) -> tuple[bool, str]:
    return watch.answer(path, MAX_LAG, now)


@pytest.mark.usefixtures("clock")
def test_a_primary() -> None:
    assert told(group(), "/primary") == (True, "the server takes writes")
    assert told(group(), "/replica")[0] is False
    assert told(group(read_only=1), "/primary") == (False, "the server is read-only")


@pytest.mark.usefixtures("clock")
def test_a_secondary() -> None:
    watch = group(role="SECONDARY", read_only=1, behind=1_500_000)
    assert told(watch, "/primary")[0] is False
    assert told(watch, "/replica") == (True, "2 s behind, of 2 allowed")
    assert told(group(role="SECONDARY", read_only=1, behind=3_000_000), "/replica")[0] is False


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("path", ["/primary", "/replica"])
@pytest.mark.parametrize("own", ["OFFLINE", "RECOVERING", "ERROR"])
def test_one_that_is_not_in_the_cluster(own: str, path: str) -> None:
    fit, why = told(group(own=own), path)
    assert not fit
    assert own in why
    assert told(group(own=own), "/alive")[0] is True


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("role", ["PRIMARY", "SECONDARY"])
def test_one_without_a_majority(role: str) -> None:
    watch = group(role=role, others=("UNREACHABLE", "UNREACHABLE"))
    for path in ("/primary", "/replica"):
        assert told(watch, path) == (False, "the server is cut off from the majority of its cluster")
    assert told(group(others=("UNREACHABLE", "ONLINE")), "/primary")[0] is True


def test_a_primary_that_stood_still_is_not_believed(clock: dict[str, float]) -> None:
    watch = group()
    clock["now"] += 5.0
    watch.ask()
    assert told(watch, "/primary", 105.0) == (False, "the server stood still, and may have been replaced meanwhile")
    clock["now"] += roles.NOTICES
    watch.heard = clock["now"] - 0.2
    watch.ask()
    assert told(watch, "/primary", clock["now"])[0] is True


def test_what_is_old_counts_for_nothing(clock: dict[str, float]) -> None:
    assert told(group(), "/primary", clock["now"] + 1.5) == (False, "the server does not answer: it is away")


def galera(status: str = "Primary", inside: str = "Synced", ready: str = "ON", read_only: int = 0) -> Any:
    watch = roles.watch(Base, "mariadb")
    names = {"wsrep_cluster_status": status, "wsrep_local_state_comment": inside, "wsrep_ready": ready}
    rows = [{"Variable_name": name, "Value": value} for name, value in names.items()]
    watch.rows = {"wsrep": rows, "read_only": [{"read_only": read_only}]}
    watch.ask()
    return watch


@pytest.mark.usefixtures("clock")
def test_galera_says_why_a_server_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roles, "STATUS", tmp_path / "status")
    silent = roles.watch(Base, "mariadb")
    roles.STATUS.write_text("it waits for db3\n")
    assert told(silent, "/primary") == (False, "the server does not run: it waits for db3")
    # It is in its cluster, as far as the unit knows: then it is the server itself.
    roles.STATUS.write_text("")
    assert told(silent, "/alive") == (False, "the server does not answer: it is away")


@pytest.mark.usefixtures("clock")
def test_galera() -> None:
    assert told(galera(), "/primary")[0] is True
    assert told(galera(read_only=1), "/primary")[0] is False
    assert told(galera(read_only=1), "/replica")[0] is True
    assert told(galera(), "/replica")[0] is False
    # One that gives its data to another goes on taking writes, and serves no reads.
    assert told(galera(inside="Donor/Desynced"), "/primary")[0] is True
    assert told(galera(inside="Donor/Desynced", read_only=1), "/replica")[0] is False
    for path in ("/primary", "/replica"):
        assert told(galera(status="non-Primary", ready="OFF"), path)[0] is False
        assert told(galera(inside="Joined", ready="OFF"), path)[0] is False
