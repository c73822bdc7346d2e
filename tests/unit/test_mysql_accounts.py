"""What servers say about accounts, understood without a server."""

import pytest

from plugins.module_utils import mysql, mysql_gtid
from plugins.module_utils import mysql_accounts as accounts


@pytest.mark.parametrize(
    ("network", "engine", "pattern"),
    [
        ("localhost", "mysql", "localhost"),
        ("192.0.2.21", "mysql", "192.0.2.21"),
        ("192.0.2.21/32", "mariadb", "192.0.2.21"),
        ("192.0.2.0/28", "mysql", "192.0.2.0/28"),
        ("192.0.2.0/28", "mariadb", "192.0.2.0/255.255.255.240"),
        ("2001:db8::21", "mysql", "2001:db8::21"),
    ],
)
def test_host_pattern(network: str, engine: str, pattern: str) -> None:
    assert accounts.host_pattern(network, engine) == pattern


def test_privileges_are_spelled_as_the_server_does() -> None:
    wanted = {"app_data.*": ["select", "ALL"], "*.*": ["replication  client"], "a_b.t_1": ["SELECT (id, name)"]}
    assert accounts.privileges(wanted, "mysql") == {
        r"`app\_data`.*": {"SELECT", "ALL PRIVILEGES"},
        "*.*": {"REPLICATION CLIENT"},
        "`a_b`.`t_1`": {"SELECT (ID, NAME)"},
    }
    assert accounts.privileges(wanted, "mariadb")["*.*"] == {"BINLOG MONITOR"}


def test_grants_are_read_by_level() -> None:
    lines = [
        "GRANT USAGE ON *.* TO `notes`@`192.0.2.21` IDENTIFIED BY PASSWORD '*00' REQUIRE SSL",
        "GRANT SELECT, INSERT ON `notes`.* TO `notes`@`192.0.2.21` WITH GRANT OPTION",
        "GRANT REPLICATION SLAVE ON *.* TO `r`@`192.0.2.31`",
        "GRANT BACKUP_ADMIN ON *.* TO `r`@`192.0.2.31`",
        "GRANT SELECT (`a`, `b`), UPDATE ON `notes`.`t` TO `notes`@`192.0.2.21`",
    ]
    assert accounts.parse_grants(lines) == {
        "`notes`.*": {"SELECT", "INSERT", "GRANT OPTION"},
        "*.*": {"REPLICATION SLAVE", "BACKUP_ADMIN"},
        "`notes`.`t`": {"SELECT (`a`, `b`)", "UPDATE"},
    }


def test_sha256_crypt_as_published() -> None:
    # The first test vector of the algorithm's specification.
    assert accounts._sha256_crypt(b"Hello world!", b"saltstring", 5000) == "5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"


def test_password_of_a_stored_string() -> None:
    salt = b"twenty characters ab"
    stored = b"$A$005$" + salt + accounts._sha256_crypt(b"correct", salt, 5000).encode()
    assert accounts.sha2_matches("correct", stored)
    assert not accounts.sha2_matches("wrong", stored)
    assert not accounts.sha2_matches("correct", b"")
    assert not accounts.sha2_matches("correct", stored[:-1])


def test_native_hash() -> None:
    assert accounts.native_hash("password") == "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19"


@pytest.mark.parametrize(
    ("mine", "theirs", "missing"),
    [
        ("", "0-1-100", ""),
        ("0-1-100", "0-1-100", ""),
        ("0-1-90", "0-1-100", ""),
        ("0-1-101", "0-1-100", "0-1-101"),
        ("0-1-100,0-2-101", "0-1-100", "0-2-101"),
        ("0-1-100,0-2-101", "0-1-100, 0-2-140", ""),
        ("0-1-105", "0-1-100,0-2-110", "0-1-105"),
        ("1-1-1", "0-1-100", "1-1-1"),
    ],
)
def test_transactions_another_mariadb_lacks(mine: str, theirs: str, missing: str) -> None:
    assert mysql_gtid.mariadb_missing(mine, theirs) == missing


@pytest.mark.parametrize(
    ("configured", "running"),
    [("128M", 134217728), ("ON", "1"), ("off", 0), ("1.0", "1.000000"), ("8g", "8589934592"), (100, "100")],
)
def test_values_that_mean_the_same(configured: object, running: object) -> None:
    assert mysql.canonical(configured) == mysql.canonical(running)


@pytest.mark.parametrize(("configured", "running"), [("ON", "OFF"), ("/a", "/A"), ("10", "100"), ("utf8mb4", "latin1")])
def test_values_that_differ(configured: object, running: object) -> None:
    assert mysql.canonical(configured) != mysql.canonical(running)
