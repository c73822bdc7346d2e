"""Who is told what: alerts arrive, what follows from another does not, and a planned change is no news."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from tests.monitoring.conftest import Site
from tests.support.play import play
from tests.support.wait import wait_until

SOON = 120  # seconds, for a busy machine; how fast it is belongs to the drills


class Mailbox:
    """What was told to whom since this began."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.begin = len(self._lines())

    def _lines(self) -> list[str]:
        return self.site.mon1.run("cat /run/told").stdout.splitlines()

    def alerts(self, path: str = "/operators", status: str = "firing") -> dict[str, dict[str, Any]]:
        """Return the alerts of every message, by name and instance."""
        messages = [json.loads(line) for line in self._lines()[self.begin :]]
        return {
            f"{alert['labels']['alertname']} {alert['labels'].get('instance', '')}".strip(): alert
            for message in messages
            if message["path"] == path
            for alert in message["alerts"]
            if alert["status"] == status
        }


@pytest.fixture
def mailbox(site: Site) -> Mailbox:
    """Begin when nothing fires but what always does, and nothing is silent, as it is after a run that failed."""
    amtool = "amtool --alertmanager.url=http://127.0.0.1:9093 silence"
    site.mon1.check_output(f"{amtool} query --quiet | xargs --no-run-if-empty {amtool} expire")

    def quiet() -> bool:
        firing = {each["metric"]["alertname"] for each in site.query('ALERTS{alertstate="firing"}')}
        # Whoever broke the site for tests has spent its budgets.
        assert {each for each in firing if "Budget" not in each} <= {"Watchdog"}, firing
        return True

    wait_until(quiet, 2 * SOON, "alerts to end", interval=1)
    return Mailbox(site)


@contextmanager
def stopped(site: Site, host: str, unit: str) -> Iterator[None]:
    """Stop a unit for a while."""
    site.host(host).check_output("systemctl stop %s", unit)
    try:
        yield
    finally:
        site.host(host).check_output("systemctl start %s", unit)


def docker(site: Site, command: str, host: str) -> None:
    subprocess.run(["docker", command, site.variables[host]["ansible_host"]], check=True, capture_output=True)


def test_a_call_every_minute_says_that_alerts_get_through(site: Site) -> None:
    box = Mailbox(site)
    wait_until(lambda: box.alerts("/watchdog"), 120, "the next call", interval=1)
    assert set(box.alerts("/watchdog")) == {"Watchdog"}
    assert "Watchdog" not in box.alerts()


def test_a_service_that_is_down_is_told_and_so_is_that_it_is_back(site: Site, mailbox: Mailbox) -> None:
    with stopped(site, "web1", "nginx.service"):
        wait_until(
            lambda: {"NginxDown web1", "WebServersLost"} <= set(mailbox.alerts()), SOON, "the alerts", interval=1
        )
        told = mailbox.alerts()["NginxDown web1"]
        assert told["annotations"]["summary"] == "nginx does not answer on web1."
        assert told["labels"]["site"] == "www.tandem.test"
        assert told["labels"]["tier"] == "webservers"
    wait_until(lambda: "NginxDown web1" in mailbox.alerts(status="resolved"), SOON, "its end to be told", interval=1)


def test_a_host_that_is_down_is_told_and_not_all_that_was_on_it(site: Site, mailbox: Mailbox) -> None:
    docker(site, "kill", "db1")
    try:
        wait_until(lambda: "HostDown db1" in mailbox.alerts(), SOON, "the host's alert", interval=1)
        # TargetDown would be true of it too, were the host not known to be down; DatabaseDown has no series left.
        wait_until(lambda: "NoPrimary" in mailbox.alerts(), SOON, "the databases' alert", interval=1)
        assert [name for name in mailbox.alerts() if name.endswith(" db1")] == ["HostDown db1"]
        # It waits for the primary, which is told already.
        follows = 'ALERTS{alertname="NoWayToWrites",alertstate="firing"}'
        wait_until(lambda: site.query(follows), SOON, "what follows from it", interval=1)
        time.sleep(5)  # what is inhibited would have come with the next message
        assert "NoWayToWrites web1" not in mailbox.alerts()
    finally:
        docker(site, "start", "db1")
    up = 'max(up{job="mysqld"}) == 1 and max(mysql_up) == 1'
    wait_until(lambda: site.query(up), 120, "db1's return", interval=1)


def test_a_planned_change_is_no_news_but_what_clients_notice_is(site: Site, mailbox: Mailbox) -> None:
    """Silenced as site.yml does it, while a run is under way."""
    silence = partial(play, site.inventory, "playbooks/silence.yml", silence_name="test")
    assert silence(silence_state="present").returncode == 0
    try:
        with stopped(site, "web1", "nginx.service"):
            wait_until(lambda: site.query('ALERTS{alertname="WebServersLost",alertstate="firing"}'), SOON, "the alert")
            # The site has but one web server.
            wait_until(lambda: "SiteUnreachable" in mailbox.alerts(), SOON, "what clients notice", interval=1)
            assert not {"WebServersLost", "NginxDown web1"} & set(mailbox.alerts())
            # Back to work: what is still wrong is told.
            assert silence(silence_state="absent").returncode == 0
            wait_until(lambda: "WebServersLost" in mailbox.alerts(), SOON, "the alert after the silence", interval=1)
    finally:
        silence(silence_state="absent")


def test_a_run_takes_its_silence_back(site: Site) -> None:
    assert play(site.inventory, "site.yml", "--tags", "none").returncode == 0
    asked = site.fetch("mon1", "http://127.0.0.1:9093/api/v2/silences")[1]
    silences = [each for each in json.loads(asked) if each["comment"] == "site.yml"]
    assert silences
    assert {each["status"]["state"] for each in silences} == {"expired"}
