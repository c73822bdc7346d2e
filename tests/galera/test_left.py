"""A server that has given up its membership, and runs on: what Galera alone has."""

import pytest

from tests.support.cluster import Cluster
from tests.support.databases import SOON
from tests.support.wait import wait_until


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest) -> Cluster:
    return Cluster(request.config.option.ansible_inventory)


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
