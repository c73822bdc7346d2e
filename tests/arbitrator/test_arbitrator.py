"""Two databases and a vote: either database may be lost, and so may the vote.

The tests run from top to bottom: each leaves a healthy cluster behind.
"""

import time
from collections.abc import Callable

import pytest

from tests.support.cluster import Cluster, docker, says
from tests.support.databases import SOON, Database
from tests.support.inventory import read_inventory
from tests.support.wait import wait_until


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest) -> Cluster:
    cluster = Cluster(request.config.option.ansible_inventory)
    cluster.primary().sql(
        "CREATE TABLE IF NOT EXISTS notes.notes (id INT PRIMARY KEY AUTO_INCREMENT, text VARCHAR(99))"
    )
    return cluster


@pytest.fixture(scope="module")
def vote(site: Cluster) -> Database:
    """Return the arbitrator, of whose server only the host is there."""
    variables = read_inventory(site.inventory)["_meta"]["hostvars"]["vote1"]
    return Database("vote1", variables)


def voting(site: Cluster, count: int) -> Callable[[], bool]:
    """Return what tells whether every database that is on counts so many votes."""
    return lambda: {server.status("wsrep_cluster_size") for server in site.named("alive")} == {str(count)}


def whole(site: Cluster) -> None:
    site.healthy()
    wait_until(voting(site, 3), SOON, "three votes")


def test_it_votes_and_holds_no_data(site: Cluster, vote: Database) -> None:
    whole(site)
    assert vote.host.check_output("ps -o user= -C garbd").strip() in ("galera-arbitrator", "galera-+")
    listening = vote.host.check_output("ss -Hltn 'sport != 22 and not src 127.0.0.11'")
    assert {line.split()[3] for line in listening.splitlines()} == {f"{vote.address}:4567"}
    site.write("not on the arbitrator")
    assert vote.host.run("grep -rl 'not on the arbitrator' /var/lib/galera-arbitrator").stdout == ""


def test_a_primary_that_dies_is_replaced(site: Cluster) -> None:
    primary = site.primary()
    docker("kill", primary)
    try:
        heir = site.primary()
        assert heir is not primary
        site.write("by the heir")
    finally:
        docker("start", primary)
    whole(site)
    assert site.primary() is heir


def test_a_primary_that_is_cut_off_takes_no_writes(site: Cluster, vote: Database) -> None:
    """It has one vote of three, and the other database has two."""
    primary = site.primary()
    [other] = site.others(primary)
    for far in (other, vote):
        primary.host.check_output(f"ip route add blackhole {far.address}/32")
    try:
        wait_until(lambda: site.named("primary") == [other], SOON, "the other one", interval=0.1)
        says(primary, "")
        site.write("on the side with two votes")
    finally:
        for far in (other, vote):
            primary.host.check_output(f"ip route del blackhole {far.address}/32")
    whole(site)


def test_a_vote_that_is_lost_costs_nothing_but_safety(site: Cluster, vote: Database) -> None:
    primary = site.primary()
    docker("kill", vote)
    try:
        wait_until(voting(site, 2), SOON, "two votes")
        site.write("without the arbitrator")
        output = site.converge("--limit", "databases")
        assert "The cluster is degraded: vote1" in output
        output = site.converge("--limit", "databases", fails=True, mysql_settings={"back_log": 70})
        assert "needs a restart" in output
        [other] = site.others(primary)
        assert "vote1 is not online" in site.move(other, fails=True)
    finally:
        docker("start", vote)
    assert site.primary() is primary
    whole(site)


@pytest.mark.parametrize("lost", ["databases", "everything"])
def test_after_a_power_cut_it_forms_again(site: Cluster, vote: Database, lost: str) -> None:
    primary = site.primary()
    [other] = site.others(primary)
    hosts = [primary, other] + [vote] * (lost == "everything")
    note = f"before {lost} lost power {time.time_ns()}"
    site.write(note)
    docker("kill", *hosts)
    docker("start", *[host for host in hosts if host is not primary])
    says(other, f"it waits for {primary.name}")
    assert site.named("primary") == []
    docker("start", primary)
    whole(site)
    assert site.primary().value(f"COUNT(*) FROM notes.notes WHERE text = '{note}'") == "1"
