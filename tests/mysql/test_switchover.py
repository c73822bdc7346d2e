"""The primary is moved, on purpose and by need; the old one comes back. The same tests serve both engines.

They run after those of replication, from top to bottom, on whatever servers there are by then.
"""

import re
import subprocess
from collections.abc import Iterator

import pytest

from tests.support.databases import SOON, Database, Topology, answers, has, replicated
from tests.support.wait import wait_until

SWITCHOVER, FAILOVER = "switchover_replication", "failover"


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest) -> Topology:
    return Topology.that_is_there(request.config.option.ansible_inventory)


def replicas(site: Topology) -> list[Database]:
    return [server for server in site.servers.values() if server.role("replica").status == 200]


def words(output: str) -> str:
    """Return what a playbook printed on one line, as it wraps its messages."""
    return " ".join(output.split())


# --- On purpose -------------------------------------------------------------------------------------


def test_check_mode_says_what_would_happen(site: Topology) -> None:
    old, new = site.primary(), replicas(site)[0]
    output = words(site.move(SWITCHOVER, "--check", mysql_new_primary=new.name))
    assert f"{old.name} ends writes; {new.name} takes them over" in output
    assert site.primary() is old


def test_switchover(site: Topology) -> None:
    old, new = site.primary(), replicas(site)[0]
    output = words(site.move(SWITCHOVER, mysql_new_primary=new.name))
    assert re.search(rf"{new.name} is the primary. No server took writes for \d+\.\d\d s", output)
    assert "changed=0" in site.move(SWITCHOVER, mysql_new_primary=new.name)
    answers(new, "primary", 200)
    site.write("on the new one")
    for server in site.servers.values():
        if server is not new:
            answers(server, "replica", 200)
            assert server.replication()["Source_Host"] == new.address
            replicated(server, "on the new one")
            assert server.status("Rpl_semi_sync_source_status") == "OFF"
    assert new.status("Rpl_semi_sync_source_status") == "ON"
    assert not old.host.file("/run/mysql-resume.hold").exists


def test_the_role_changes_nothing_after_that(site: Topology) -> None:
    output = site.converge()
    assert set(re.findall(r"changed=(\d+)", output)) == {"0"}


def test_a_replica_that_does_not_replicate_stops_it(site: Topology) -> None:
    old, broken = site.primary(), replicas(site)[-1]
    broken.sql("STOP REPLICA SQL_THREAD")
    try:
        output = words(site.move(SWITCHOVER, fails=True, mysql_new_primary=broken.name))
        assert f"{broken.name} applies nothing (it was stopped)" in output
    finally:
        broken.sql("START REPLICA SQL_THREAD")
    answers(broken, "replica", 200)
    assert site.primary() is old


@pytest.fixture
def open_transaction(site: Topology) -> Iterator[Database]:
    """Leave a transaction open on the primary."""
    primary = site.primary()
    statement = "START TRANSACTION; INSERT INTO notes.notes (text) VALUES ('open'); DO SLEEP(300)"
    command = ["docker", "exec", primary.variables["ansible_host"], primary.engine, "-e", statement]
    client = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    wait_until(lambda: primary.value("COUNT(*) FROM information_schema.innodb_trx") != "0", SOON, "the transaction")
    yield primary
    wake(primary)
    client.wait()


def wake(server: Database) -> None:
    """End every client that sleeps on purpose."""
    for row in server.sql("SELECT id FROM information_schema.processlist WHERE info LIKE 'DO SLEEP%'"):
        server.host.run("%s -e %s", server.engine, f"KILL {row[0]}")


def age(server: Database) -> int:
    return int(
        server.value("COALESCE(MAX(TIMESTAMPDIFF(SECOND, trx_started, NOW())), 0) FROM information_schema.innodb_trx")
    )


def test_an_old_transaction_stops_it(site: Topology, open_transaction: Database) -> None:
    target = replicas(site)[0]
    wait_until(lambda: age(open_transaction) > 0, SOON, "a second to pass")
    output = words(site.move(SWITCHOVER, fails=True, mysql_new_primary=target.name, mysql_switchover_max_transaction=0))
    assert f"{open_transaction.name} has a transaction that has been open for" in output
    assert site.primary() is open_transaction


def test_servers_that_cannot_ask_each_other_stop_it(site: Topology) -> None:
    old, new = site.primary(), replicas(site)[0]
    old.host.check_output("systemctl stop mysql-role-check.socket mysql-role-check.service")
    try:
        output = words(site.move(SWITCHOVER, fails=True, mysql_new_primary=new.name))
        assert f"{new.name} cannot ask {old.name}" in output
    finally:
        old.host.check_output("systemctl start mysql-role-check.socket")
    answers(old, "primary", 200)


@pytest.mark.once
def test_a_target_that_cannot_take_over_leaves_the_old_primary_in_place(site: Topology) -> None:
    old, new = site.primary(), replicas(site)[0]
    command = ["docker", "exec", new.variables["ansible_host"], new.engine, "-e"]
    lock = subprocess.Popen([*command, "FLUSH TABLES WITH READ LOCK; DO SLEEP(120)"])
    try:
        wait_until(lambda: "SLEEP" in str(new.sql("SHOW PROCESSLIST")), SOON, "the lock")
        site.write("not applied")
        output = words(site.move(SWITCHOVER, fails=True, mysql_new_primary=new.name, mysql_switchover_max_lag=60))
        assert "The primary was not moved" in output
        # On MariaDB the third server, which has it, cannot even follow one that lacks it.
        assert re.search(r"It still lacks transactions|It cannot follow", output)
    finally:
        wake(new)
        lock.wait()
    answers(old, "primary", 200)
    for server in site.servers.values():
        if server is not old:
            answers(server, "replica", 200)
            assert server.replication()["Source_Host"] == old.address
            assert not server.host.file("/run/mysql-resume.hold").exists
    assert old.status("Rpl_semi_sync_source_status") == "ON"
    site.write("goes on")


# --- By need ----------------------------------------------------------------------------------------


def test_a_primary_that_answers_is_not_replaced(site: Topology) -> None:
    old = site.primary()
    output = words(site.move(FAILOVER, fails=True))
    assert f"{old.name} still answers" in output
    assert site.primary() is old


@pytest.fixture(scope="module")
def lost(site: Topology) -> Iterator[Database]:
    """Lose the primary, with a transaction that no replica has."""
    old, survivors = site.primary(), replicas(site)
    site.write("seen by all")
    for server in survivors:
        replicated(server, "seen by all")
        server.sql("STOP REPLICA IO_THREAD")
    site.write("seen by nobody")
    subprocess.run(["docker", "kill", old.variables["ansible_host"]], check=True, capture_output=True)
    yield old
    subprocess.run(["docker", "start", old.variables["ansible_host"]], check=True, capture_output=True)


def test_failover(site: Topology, lost: Database) -> None:
    others = [server for server in site.servers.values() if server is not lost]
    assert f"{lost.name} is cut off from writes" in words(site.move(FAILOVER, "--check"))
    assert {server.role("primary").status for server in others} == {503}
    output = words(site.move(FAILOVER))
    assert f"is the primary in place of {lost.name}" in output
    assert re.search(r"this took \d+\.\d\d s; the routing led to it after \d+\.\d\d s", output), output[-900:]
    [new] = [server for server in others if server.role("primary").status == 200]
    new.sql("INSERT INTO notes.notes (text) VALUES ('after the failover')")
    for server in others:
        replicated(server, "after the failover")
        assert has(server, "seen by all")


def test_the_old_primary_comes_back_read_only_and_says_what_only_it_holds(site: Topology, lost: Database) -> None:
    subprocess.run(["docker", "start", lost.variables["ansible_host"]], check=True, capture_output=True)
    answers(lost, "primary", 503, "takes writes now")
    output = words(site.converge(fails=True))
    path = re.search(r"/var/backups/mysql-errant-\w+\.sql", output)[0]
    saved = lost.host.file(path)
    assert (saved.mode, saved.user) == (0o600, "root")
    assert "seen by nobody" in saved.content_string
    assert "seen by all" not in saved.content_string
    assert has(lost, "seen by nobody"), "nothing was given up"
    assert not lost.replication()


def test_it_is_seeded_again_when_told(site: Topology, lost: Database) -> None:
    output = site.converge(mysql_reseed_errant=True)
    assert f"{lost.name} is seeded from" in output
    answers(lost, "replica", 200)
    assert has(lost, "after the failover")
    assert not has(lost, "seen by nobody")
    assert lost.host.run("ls /var/backups/mysql-errant-*.sql").succeeded
