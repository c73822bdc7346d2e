"""Packages and settings are rolled through a primary and its replicas. The same tests serve both engines.

They run last, on whatever servers there are by then.
"""

import re
from pathlib import Path

import pytest

from tests.support.databases import Topology, answers, has, replicated
from tests.support.packages import offer_newer, version
from tests.support.play import play

pytestmark = pytest.mark.once
PACKAGE = {"mysql": "mysql-server", "mariadb": "mariadb-server"}
SETTING = {"back_log": 80}  # takes a restart


class Site(Topology):
    """The servers of the scenario, and the playbook that upgrades them."""

    def upgrade(self, *arguments: str, fails: bool = False, **variables: object) -> str:
        """Do what upgrade.yml does, and return what it printed on one line."""
        scenario = Path(self.inventory).parent.name
        variables = {"scenario_hosts": self.members, **variables}
        done = play(self.inventory, f"molecule/{scenario}/upgrade.yml", *arguments, **variables)
        assert bool(done.returncode) == fails, done.stdout[-4000:]
        return " ".join(done.stdout.split())


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest) -> Site:
    return Site.that_is_there(request.config.option.ansible_inventory)


@pytest.fixture(scope="module")
def newer(site: Site) -> str:
    """Offer every server a newer package; return its name."""
    package = PACKAGE[site.db1.engine]
    for server in site.servers.values():
        offer_newer(server.host, package)
    return package


def test_check_mode_says_what_would_happen(site: Site, newer: str) -> None:
    old = site.primary()
    before = {server: (version(server.host, newer), server.value("@@back_log")) for server in site.servers.values()}
    output = site.upgrade("--check", mysql_settings=SETTING)
    assert re.search(rf"db\d: {newer} \S+ -> \S+\+tandem1, back_log \(by a restart\)", output)
    assert f"takes the place of {old.name}" in output
    assert site.primary() is old
    for server, state in before.items():
        assert (version(server.host, newer), server.value("@@back_log")) == state


def test_a_replica_that_does_not_replicate_stops_it(site: Site, newer: str) -> None:
    old = site.primary()
    broken = [server for server in site.servers.values() if server is not old][-1]
    broken.sql("STOP REPLICA SQL_THREAD")
    try:
        output = site.upgrade(fails=True, mysql_settings=SETTING)
        assert f"{broken.name} applies nothing" in output
    finally:
        broken.sql("START REPLICA SQL_THREAD")
    answers(broken, "replica", 200)
    assert not [server for server in site.servers.values() if version(server.host, newer).endswith("+tandem1")]


def test_it_is_rolled(site: Site, newer: str) -> None:
    old = site.primary()
    site.write("before the upgrade")
    output = site.upgrade(mysql_settings=SETTING)
    assert re.search(rf"the primary in place of {old.name}. Writes paused for \d+\.\d\d s", output)
    new = site.primary()
    assert new is not old
    site.write("after the upgrade")
    for server in site.servers.values():
        assert version(server.host, newer).endswith("+tandem1")
        assert server.value("@@back_log") == "80"
        if server is not new:
            answers(server, "replica", 200)
            replicated(server, "after the upgrade")
            assert has(server, "before the upgrade")


def test_then_nothing_is_due(site: Site) -> None:
    primary = site.primary()
    output = site.upgrade(mysql_settings=SETTING)
    assert "Nothing is due." in output
    assert re.findall(r"changed=(\d+)", output) == ["0"] * len(site.servers)
    assert site.primary() is primary
