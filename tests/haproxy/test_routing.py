"""Writes and reads find their database, whoever is primary. web1 starts as the primary."""

import subprocess

import pytest

from tests.support.wait import wait_until

WRITE, READ = 3306, 3307
SOON = 20  # seconds


@pytest.fixture(autouse=True)
def roles(lb, web1, web2):
    """Leave each test with web1 as the primary and web2 as its replica."""
    yield
    web1.become("primary")
    web2.become("replica")
    wait_until(lambda: lb.fit("mysql-write", "web1", "web2") == {"web1"}, SOON, "web1 as primary", 0.1)
    wait_until(lambda: lb.fit("mysql-read", "web1", "web2") == {"web2"}, SOON, "web2 as replica", 0.1)


def test_writes_go_to_the_primary_and_reads_to_the_replica(lb):
    assert {lb.database(WRITE) for _ in range(4)} == {"web1"}
    assert {lb.database(READ) for _ in range(4)} == {"web2"}


def test_writes_and_reads_follow_a_switchover(lb, web1, web2):
    web1.become("replica")
    web2.become("primary")
    wait_until(lambda: lb.database(WRITE) == "web2", SOON, "writes on web2", 0.1)
    wait_until(lambda: {lb.database(READ) for _ in range(4)} == {"web1"}, SOON, "reads on web1", 0.1)


def test_old_primary_loses_its_connections(lb, web1, web2):
    """An application that kept one would otherwise write to a server that takes no writes."""
    client = f"docker exec {lb.host.backend.name} timeout {SOON} socat -u TCP:127.0.0.1:{WRITE} -"
    connection = subprocess.Popen(client.split(), stdout=subprocess.PIPE, text=True)
    assert connection.stdout.readline() == "web1\n"
    web1.become("replica")
    web2.become("primary")
    assert connection.wait(SOON) == 0, "closed by HAProxy, not by the time-out"


def test_primary_serves_reads_while_no_replica_is_fit(lb, web2):
    web2.become("broken")
    wait_until(lambda: lb.database(READ) == "web1", SOON, "reads on web1", 0.1)
    web2.become("replica")
    wait_until(lambda: {lb.database(READ) for _ in range(4)} == {"web2"}, SOON, "reads on web2", 0.1)


def test_whoever_answers_serves_reads_while_nobody_is_fit(lb, web1, web2):
    """The primary is lost: no replica can tell any more how far behind it is."""
    web1.become("broken")
    web2.become("lagging")
    wait_until(lambda: lb.fit("mysql-read", "web1", "web2") == set(), SOON, "no replica to be fit", 0.1)
    wait_until(lambda: lb.database(READ) == "web2", SOON, "reads on web2", 0.1)
    assert lb.database(WRITE) == ""


def test_no_primary_means_no_writes(lb, web1):
    web1.become("broken")
    wait_until(lambda: lb.fit("mysql-write", "web1", "web2") == set(), SOON, "web1 to be down", 0.1)
    assert lb.database(WRITE) == ""


def test_replica_gets_no_write_after_a_reload(lb):
    for _ in range(3):
        lb.reload()
        assert {lb.database(WRITE) for _ in range(4)} == {"web1"}
