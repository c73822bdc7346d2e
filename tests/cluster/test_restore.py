"""A whole cluster is given the data of a moment: one member from its backup, the others from that member."""

import time

import pytest

from tests.support.cluster import Cluster
from tests.support.databases import SOON, Database
from tests.support.play import play
from tests.support.wait import wait_until


def test_the_whole_is_restored_to_a_moment(request: pytest.FixtureRequest) -> None:
    site = Cluster(request.config.option.ansible_inventory)
    site.healthy()
    db1, db2 = site.servers["db1"], site.servers["db2"]
    if site.primary() is db1:
        # A replica's backup, as usual: on Galera it has numbers of its own for what another one wrote.
        site.move(db2)
    site.play("backup")
    db1.host.check_output("tandem-backup run")
    wanted, unwanted = (f"{word} {time.time_ns()}" for word in ("wanted", "unwanted"))

    def holds(server: Database, text: str) -> bool:
        return server.value(f"COUNT(*) FROM notes.notes WHERE text = '{text}'") == "1"

    site.write(wanted)
    wait_until(lambda: holds(db1, wanted), SOON, "the note on db1")
    time.sleep(1.1)  # a moment is a second on MariaDB
    then = db1.host.check_output("date -u '+%F %T.%6N'")
    time.sleep(1.1)
    site.write(unwanted)
    wait_until(lambda: holds(db1, unwanted), SOON, "the other on db1")
    db1.host.check_output("tandem-backup archive")

    where = {"site_domain": "www.tandem.test", "restore_host": "db1", "restore_to": then}
    refused = play(site.inventory, "playbooks/restore.yml", **where)
    assert "add -e restore_confirm=www.tandem.test" in " ".join(refused.stdout.split())
    done = play(site.inventory, "playbooks/restore.yml", **where, restore_confirm="www.tandem.test")
    assert done.returncode == 0
    # The playbook gave the servers the accounts of a site, which this scenario is not.
    site.converge()
    site.healthy()
    assert site.primary() is db1
    for server in site.servers.values():
        assert holds(server, wanted)
        assert not holds(server, unwanted)
