"""One request is found by its id on every tier; and no host's journal grows without end."""

import json
import time
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


def test_one_place_has_the_journals_of_all_hosts(site: Site) -> None:
    answer = post("https://www.tandem.test/notes", {"text": "find me there"}, address=site.address("lb1"))
    number = answer.headers["x-request-id"]

    def hosts() -> bool:
        found = site.mon1.run("journalctl -m -o json --output-fields=_HOSTNAME --grep %s", number).stdout
        return {json.loads(line)["_HOSTNAME"] for line in found.splitlines()} >= {"lb1", "web1"}

    wait_until(hosts, 30, f"{number} of lb1 and web1")


def test_a_journal_is_sent_later_when_it_cannot_be_now(site: Site) -> None:
    mark = f"said meanwhile {time.time_ns()}"
    site.mon1.check_output("systemctl stop systemd-journal-remote.socket systemd-journal-remote.service")
    try:
        site.host("db1").check_output("logger %s", mark)
    finally:
        site.mon1.check_output("systemctl start systemd-journal-remote.socket")
    wait_until(lambda: mark in site.mon1.run("journalctl -m --grep %s", mark).stdout, 60, f"{mark!r} of db1")


def test_journals_travel_encrypted_to_a_receiver_that_proves_itself(site: Site) -> None:
    where = f"{site.address('mon1')}:19532/upload"
    # Verified by the internal CA; it answers, and wants something posted.
    assert 400 <= site.fetch("web1", f"https://{where}")[0] < 500
    assert site.fetch("web1", f"http://{where}")[0] == 0


@pytest.mark.parametrize("host", ["lb1", "web1", "db1", "mon1"])
def test_the_journal_ends_by_size(site: Site, host: str) -> None:
    """In the journal's own words."""
    said = site.host(host).check_output("journalctl -b -u systemd-journald --no-pager")
    assert "/var/log/journal" in said
    assert [line for line in said.splitlines() if "System Journal" in line][-1].count("max 1G")
