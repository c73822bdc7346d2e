"""One request is found by its id on every tier; and no host's journal grows without end."""

from collections.abc import Iterator

import pytest

from tests.monitoring.conftest import Site
from tests.support.http import post
from tests.support.wait import wait_until

SQL = "$(command -v mariadb || command -v mysql) -N -B -e %s"


@pytest.fixture
def general_log(site: Site) -> Iterator[None]:
    """The database writes down each statement, for a moment."""
    db1 = site.host("db1")
    db1.check_output(SQL, "SET GLOBAL log_output = 'TABLE'; SET GLOBAL general_log = ON")
    yield
    db1.check_output(SQL, "SET GLOBAL general_log = OFF; SET GLOBAL log_output = 'FILE'")


@pytest.mark.usefixtures("general_log")
def test_a_request_is_found_on_every_tier_by_its_id(site: Site) -> None:
    answer = post("https://www.tandem.test/notes", {"text": "find me"}, address=site.address("lb1"))
    number = answer.headers["x-request-id"]
    asked = {
        "HAProxy's log": ("lb1", f"journalctl -b -u haproxy | grep {number}"),
        "nginx's log": ("web1", f"grep {number} /var/log/nginx/access.log"),
        "the application's log": ("web1", f"journalctl -b -u notes | grep {number}"),
    }
    for what, (host, command) in asked.items():
        wait_until(lambda: site.host(host).run(command).rc == 0, 10, f"{number} in {what}")  # noqa: B023
    statements = site.host("db1").check_output(
        SQL, f"SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log WHERE argument LIKE '%INSERT%{number}%'"
    )
    assert "INSERT INTO notes" in statements


@pytest.mark.parametrize("host", ["lb1", "web1", "db1", "mon1"])
def test_the_journal_ends_by_size(site: Site, host: str) -> None:
    """In the journal's own words."""
    said = site.host(host).check_output("journalctl -b -u systemd-journald --no-pager")
    assert "/var/log/journal" in said
    assert [line for line in said.splitlines() if "System Journal" in line][-1].count("max 1G")
