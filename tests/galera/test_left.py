"""A server that has given up its membership, and runs on: what Galera alone has."""

import uuid

import pytest

from tests.support.cluster import Cluster, says
from tests.support.databases import SOON
from tests.support.wait import wait_until


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest) -> Cluster:
    return Cluster(request.config.option.ansible_inventory)


def test_a_member_without_room_for_the_data_is_not_begun(site: Cluster) -> None:
    """Galera itself finds out when the disk is full."""
    site.healthy()
    primary = site.primary()
    victim = site.others(primary)[0]
    ballast = "/var/lib/mysql/.ballast"  # servers pass over such names
    victim.host.check_output("systemctl stop mysql-cluster mariadb")
    victim.host.check_output("find /var/lib/mysql -mindepth 1 -delete")
    victim.host.check_output("mount -t tmpfs -o size=400m,mode=0700,uid=$(id -u mysql) none /var/lib/mysql")
    primary.host.check_output("fallocate -l 800M %s", ballast)
    try:
        output = " ".join(site.converge("--limit", victim.name, fails=True).split())
    finally:
        primary.host.check_output("rm %s", ballast)
        victim.host.check_output("umount /var/lib/mysql")
    assert f"{victim.name} has room for" in output
    assert "Nothing was changed; make room there" in output
    site.converge("--limit", victim.name)
    site.healthy()


def test_a_server_whose_data_differ_gets_those_of_the_others(site: Cluster) -> None:
    site.healthy()
    primary = site.primary()
    victim = site.others(primary)[0]
    site.write("contested")
    wait_until(lambda: victim.value("COUNT(*) FROM notes.notes WHERE text = 'contested'") == "1", SOON, "the note")
    began = victim.host.check_output("systemctl show -p ActiveEnterTimestampMonotonic --value mariadb")
    victim.sql("SET SESSION wsrep_on = OFF; DELETE FROM notes.notes WHERE text = 'contested'")
    # What it cannot apply, the others vote it out for.
    primary.sql("UPDATE notes.notes SET text = 'settled' WHERE text = 'contested'")

    def again() -> bool:
        return victim.host.check_output("systemctl show -p ActiveEnterTimestampMonotonic --value mariadb") != began

    wait_until(again, SOON, "another start")
    site.healthy()
    assert victim.value("COUNT(*) FROM notes.notes WHERE text = 'settled'") == "1"
    assert site.primary() is primary


def test_a_server_with_a_history_of_its_own_stays_out_until_it_may_give_that_up(site: Cluster) -> None:
    site.healthy()
    victim = site.others(site.primary())[0]
    own = str(uuid.uuid4())
    victim.host.check_output("systemctl stop mysql-cluster mariadb")
    change = f"s/^uuid:.*/uuid: {own}/; s/^seqno:.*/seqno: 7/"
    victim.host.check_output("sed -i %s /var/lib/mysql/grastate.dat", change)
    victim.host.check_output("systemctl start mysql-cluster")
    says(victim, "it holds transactions that the cluster does not")
    output = " ".join(site.converge("--limit", victim.name, fails=True).split())
    assert f"The server stays out of its cluster: it holds transactions that the cluster does not: {own}:1-7" in output
    site.converge("--limit", victim.name, mysql_reseed_errant=True)
    site.healthy()
