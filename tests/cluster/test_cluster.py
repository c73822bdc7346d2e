"""What a cluster does, asked of the running servers. The same tests serve both engines.

The scenario begins with a primary that has data, and a replica; the role has made a cluster of three of them.
The tests run from top to bottom: each leaves a healthy cluster behind.
"""

import json
import re
import time

import pytest

from tests.support.cluster import Cluster, docker, says
from tests.support.databases import SOON
from tests.support.play import play
from tests.support.wait import wait_until

KEEPER = 9201
ASK = "python3 /usr/local/lib/mysql-cluster /etc/mysql/tandem-cluster.json ask"


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest) -> Cluster:
    return Cluster(request.config.option.ansible_inventory)


# --- What the role made -----------------------------------------------------------------------------


def test_data_from_before_are_on_every_member(site: Cluster) -> None:
    site.healthy()
    for server in site.servers.values():
        assert server.value("COUNT(*) FROM notes.notes WHERE text = 'before the cluster'") == "1"


def test_replication_from_a_primary_has_ended(site: Cluster) -> None:
    for server in site.servers.values():
        assert server.replication().get("Source_Host", "") in ("", "<NULL>")


def test_every_member_knows_of_every_other(site: Cluster) -> None:
    """Also one that was getting its data when another one came."""
    everybody = sorted(server.address for server in site.servers.values())
    reports = json.loads(site.servers["db1"].host.check_output(ASK))
    assert {name: sorted(report["present"]) for name, report in reports.items()} == dict.fromkeys(
        site.servers, everybody
    )


def test_only_the_primary_takes_writes(site: Cluster) -> None:
    primary = site.primary()
    for server in site.others(primary):
        asker = site.others(server)[0]
        refused = asker.client(
            server.address, "notes", site.password, "INSERT INTO notes.notes (text) VALUES ('never')"
        )
        assert re.search("read.only", refused.stderr), refused.stderr


def test_only_the_address_listens(site: Cluster) -> None:
    """Group Replication cannot be told where to listen: its allow-list and the firewall close that port."""
    for server in site.servers.values():
        engine = "*:33061" if site.engine == "mysql" else f"{server.address}:4567"
        ports = server.host.check_output("ss -Hltn 'sport != 22 and not src 127.0.0.11'")
        listening = {line.split()[3] for line in ports.splitlines()}
        assert listening == {engine, *(f"{server.address}:{port}" for port in (3306, 9200, KEEPER))}


@pytest.mark.parametrize("port", ["engine", "keeper"])
def test_members_prove_who_they_are(site: Cluster, port: str) -> None:
    """Each speaks TLS with a certificate of the internal CA, and wants one. Group Replication has a list instead."""
    number = {"engine": 33061 if site.engine == "mysql" else 4567, "keeper": KEEPER}[port]
    db1, db2 = site.servers["db1"], site.servers["db2"]
    command = (
        f"openssl s_client -connect {db1.address}:{number} -CAfile /etc/tandem/pki/ca.pem -verify_return_error"
        f" -verify_ip {db1.address}"
    )
    own = " -cert /etc/tandem/pki/mysql.pem -key /etc/tandem/pki/mysql.key"
    words = "LC_ALL=C tr -cd '[:print:]\n'"  # Galera begins to talk, and not in words
    assert "Verification: OK" in db2.host.run(f"{command}{own} </dev/null 2>&1 | {words}").stdout
    if port == "engine" and site.engine == "mysql":
        return
    # In TLS 1.3 the refusal comes after the handshake, with the first answer.
    without = db2.host.run(f"(printf 'GET / HTTP/1.0\\r\\n\\r\\n'; sleep 1) | {command} 2>&1 | {words}")
    assert "certificate required" in without.stdout or "handshake failure" in without.stdout, without.stdout


def test_no_password_is_in_the_configuration_or_a_process(site: Cluster) -> None:
    for server in site.servers.values():
        found = server.host.check_output("ps axww; cat /etc/mysql/tandem-cluster.json; journalctl -u mysql-cluster")
        for name in ("secret_mysql_app", "mysql_replication_password"):
            assert server.variables[name] not in found


# --- On purpose -------------------------------------------------------------------------------------


def test_switchover(site: Cluster) -> None:
    """To the one with the highest server id, which Galera's members would not have chosen."""
    old, *_, new = [server for server in site.servers.values() if server is not site.primary()]
    assert f"{new.name} takes them over" in site.move(new, "--check")
    assert site.primary() is not new
    output = site.move(new)
    assert re.search(rf"{new.name} is the primary. No server took writes for \d+\.\d\d s", output)
    assert site.primary() is new
    site.healthy()
    assert site.primary() is new
    assert "changed=0" in site.move(new)
    site.move(old)
    site.healthy()
    assert site.primary() is old


# --- One member -------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["server", "host"])
def test_a_member_that_dies_comes_back_by_itself(site: Cluster, how: str) -> None:
    primary = site.primary()
    victim = site.others(primary)[0]
    if how == "server":
        victim.service("kill --signal=KILL")
    else:
        docker("kill", victim)
        try:
            site.write("while one is away")
            assert site.primary() is primary
        finally:
            docker("start", victim)
    site.healthy()
    assert site.primary() is primary


def test_a_primary_that_dies_is_replaced(site: Cluster) -> None:
    primary = site.primary()
    docker("kill", primary)
    try:
        heir = site.primary()
        assert heir is not primary
        site.write("by the heir")
    finally:
        docker("start", primary)
    site.healthy()
    assert site.primary() is heir


def test_a_primary_that_freezes_is_replaced_and_comes_back(site: Cluster) -> None:
    """It was expelled when it wakes up, and enters again by itself."""
    primary = site.primary()
    docker("pause", primary)
    try:
        wait_until(lambda: site.primary() is not primary, SOON, "another primary", interval=0.1)
        site.write("while it slept")
    finally:
        docker("unpause", primary)
    site.healthy()
    assert site.primary() is not primary


# --- Power cuts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["together", "primary first", "primary last"])
def test_all_hosts_lose_power_and_come_back(site: Cluster, order: str) -> None:
    primary = site.primary()
    others = site.others(primary)
    note = f"before: {order} {time.time_ns()}"
    site.write(note)
    docker("kill", *site.servers.values())
    if order == "together":
        docker("start", *site.servers.values())
    else:
        first = [primary, others[0]] if order == "primary first" else others
        last = next(server for server in site.servers.values() if server not in first)
        docker("start", *first)
        for server in first:
            says(server, f"it waits for {last.name}")
        assert site.named("primary") == []
        for server in first:
            refused = server.client(
                server.address, "notes", site.password, "INSERT INTO notes.notes (text) VALUES ('x')"
            )
            assert refused.failed
        docker("start", last)
    site.healthy()
    assert site.primary().value(f"COUNT(*) FROM notes.notes WHERE text = '{note}'") == "1"


def test_a_member_that_is_lost_for_good_is_given_up_by_name(site: Cluster) -> None:
    """When it comes back after all, it stays out with what nobody else had: others have those numbers by then."""
    primary = site.primary()
    lost, *rest = site.others(primary)
    site.write_alone(lost, "only on the lost one")
    docker("kill", *site.servers.values())
    docker("start", primary, *rest)
    try:
        says(primary, f"it waits for {lost.name}")
        refused = play(site.inventory, "playbooks/recover.yml")
        assert refused.returncode
        assert f"-e mysql_recover_without={lost.name}" in refused.stdout
        assert site.named("primary") == []
        wrong = play(site.inventory, "playbooks/recover.yml", mysql_recover_without=primary.name)
        assert wrong.returncode
        done = play(site.inventory, "playbooks/recover.yml", mysql_recover_without=lost.name)
        assert f"{primary.name} is in the cluster" in done.stdout
        for _ in range(9):
            site.write("without the lost one")
    finally:
        docker("start", lost)
    says(lost, "it holds transactions that the cluster does not")
    refused = site.converge("--limit", lost.name, fails=True)
    if site.engine == "mysql":
        [saved] = set(re.findall(r"/var/backups/mysql-errant-\w+\.sql", refused))
        assert "only on the lost one" in lost.host.check_output("cat %s", saved)
    site.converge("--limit", lost.name, mysql_reseed_errant=True)
    site.healthy()
    assert lost.value("COUNT(*) FROM notes.notes WHERE text = 'only on the lost one'") == "0"


def test_a_host_whose_data_were_wiped_is_seeded_by_the_next_run(site: Cluster) -> None:
    victim = site.others(site.primary())[0]
    victim.host.check_output("systemctl stop mysql-cluster %s", site.engine)
    victim.host.check_output("find /var/lib/mysql -mindepth 1 -delete")
    site.converge("--limit", victim.name)
    site.healthy()


# --- The role on a cluster that is not well ----------------------------------------------------------


@pytest.mark.once
def test_a_degraded_cluster_is_reported_and_not_restarted(site: Cluster) -> None:
    site.healthy()
    victim = site.others(site.primary())[0]
    limit = ",".join(server.name for server in site.others(victim))
    docker("kill", victim)
    try:
        wait_until(lambda: len(site.named("replica")) == 1, SOON, "the other replica")
        assert f"{victim.name} is not online" in site.move(site.named("replica")[0], fails=True)
        output = site.converge("--limit", limit)
        assert f"The cluster is degraded: {victim.name}" in output
        assert re.findall(r"changed=(\d+)", output) == ["0", "0"]

        uptime = {server: int(server.status("Uptime")) for server in site.others(victim)}
        output = site.converge("--limit", limit, fails=True, mysql_settings={"back_log": 70})
        assert "needs a restart" in output
        assert victim.name in output
        assert all(int(server.status("Uptime")) >= before for server, before in uptime.items())
    finally:
        docker("start", victim)
    site.healthy()


def test_a_restart_is_rolled_and_nobody_is_without_a_primary(site: Cluster) -> None:
    site.healthy()
    output = site.converge(mysql_settings={"back_log": 70})
    assert "failed=0" in output
    for server in site.servers.values():
        assert server.value("@@back_log") == "70"
    site.healthy()


@pytest.mark.once
def test_then_nothing_changes_any_more(site: Cluster) -> None:
    output = site.converge(mysql_settings={"back_log": 70})
    assert re.findall(r"changed=(\d+)", output) == ["0"] * 3


@pytest.mark.once
def test_an_upgrade_restarts_the_primary_when_another_one_took_its_place(site: Cluster) -> None:
    old = site.primary()
    wanted = {"back_log": 80, "max_connections": 99}
    output = site.play("upgrade", "--check", mysql_settings=wanted)
    assert f"'{old.name}: back_log (by a restart), max_connections'" in output
    assert site.primary() is old
    output = site.play("upgrade", mysql_settings=wanted)
    assert re.search(rf"the primary in place of {old.name}. Writes paused for \d+\.\d\d s", output)
    assert site.primary() is not old
    for server in site.servers.values():
        assert server.value("CONCAT(@@back_log, ' ', @@max_connections)") == "80 99"
    site.healthy()
    assert "Nothing is due." in site.play("upgrade", mysql_settings=wanted)
