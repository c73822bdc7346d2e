"""The steps of a handover on servers of Python: in which order, and what is left alone when something is in the way."""

from typing import Any

import pytest

from plugins.module_utils import mysql, mysql_errant, mysql_handover


class Server(mysql.Server):
    """A server that remembers its statements; `transactions` are what it holds, `replication` whom it follows."""

    def __init__(self, engine: str, replication: dict[str, Any] | None = None, clients: int = 1) -> None:
        self.engine, self.words = engine, mysql.WORDS[engine]
        self.said: list[str] = []
        self.status = replication or {}
        self.clients = clients
        self.transactions = ["a:1-5"]

    def query(self, statement: str, values: tuple | None = None) -> list[dict[str, Any]]:
        if statement == "SHOW REPLICA STATUS":
            return [self.status] if self.status else []
        if statement.startswith("SHOW GLOBAL STATUS LIKE"):
            return [{"Value": str(self.clients)}]
        self.said.append(statement)
        return []

    def replication(self) -> dict[str, Any]:
        return self.status

    def gtid(self) -> str:
        return self.transactions.pop(0) if len(self.transactions) > 1 else self.transactions[0]


FOLLOWS = {"source": "192.0.2.32", "port": 3306, "user": "u", "password": "p", "tls_ca": "/ca.pem"}
WORKS = {"receiver": "Yes", "applier": "Yes", "receiver_errno": 0, "receiver_error": "", "applier_error": ""}


@pytest.mark.parametrize("engine", ["mysql", "mariadb"])
def test_writes_begin_last(engine: str) -> None:
    server = Server(engine, replication=WORKS)
    mysql_handover.promote(server)
    assert server.said[:2] == ["STOP REPLICA", "RESET REPLICA ALL"]
    assert server.said[2:] == [f"SET GLOBAL {server.words['semi_sync']} = 1", "SET GLOBAL read_only = OFF"]


def test_no_commit_waits_for_a_replica_that_is_not_there() -> None:
    server = Server("mysql", replication=WORKS, clients=0)
    mysql_handover.promote(server)
    assert server.said == ["STOP REPLICA", "RESET REPLICA ALL", "SET GLOBAL read_only = OFF"]


def test_a_primary_that_becomes_a_replica_counts_what_it_wrote() -> None:
    server = Server("mariadb")
    mysql_handover.follow(server, FOLLOWS)
    assert "SET GLOBAL gtid_slave_pos = @@GLOBAL.gtid_current_pos" in server.said
    assert server.said[-1] == "START REPLICA"


def test_a_source_that_is_behind_for_a_moment_is_asked_again() -> None:
    server = Server("mariadb", replication=WORKS | {"receiver": "No", "receiver_errno": 1236, "receiver_error": "gone"})
    assert mysql_handover.connected(server, 0.12) == "gone"
    assert server.said.count("START REPLICA") >= 1


def test_waits_for_transactions() -> None:
    server = Server("mysql")
    server.transactions = ["a:1-5", "a:1-6", "a:1-9"]
    assert mysql_handover.applied(server, "a:1-8", 5) == ""
    assert mysql_handover.applied(server, "a:1-11", 0.1) == "a:10-11"


def test_nobody_answers_on_a_closed_port() -> None:
    assert mysql_handover.ask("127.0.0.1", 1, timeout=0.5) is None


def test_what_is_saved_of_errant_transactions() -> None:
    [command] = mysql_errant.commands("mysql", "a:6", "a:1-5")
    assert command == ["mysqlbinlog", "-vv", "--include-gtids=a:6"]
    commands = mysql_errant.commands("mariadb", "0-31-140,0-39-12", "0-31-130,0-32-150")
    assert commands == [
        ["mariadb-binlog", "-vv", "--server-id=31", "--start-position=0-31-130"],
        ["mariadb-binlog", "-vv", "--server-id=39"],
    ]
