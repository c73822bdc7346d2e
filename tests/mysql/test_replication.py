"""What a primary and its replicas do, asked of the running servers. The same tests serve both engines.

They run from top to bottom: each leaves a healthy topology behind.
"""

import re
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.support.databases import SOON, Database, Topology, answers, has, replicated
from tests.support.play import play
from tests.support.wait import wait_until

SETTINGS = "Configure | Settings"


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest) -> Topology:
    return Topology(request.config.option.ansible_inventory)


@pytest.fixture(scope="module", autouse=True)
def table(site: Topology) -> None:
    site.db1.sql("CREATE TABLE IF NOT EXISTS notes.notes (id INT PRIMARY KEY AUTO_INCREMENT, text VARCHAR(99))")


# --- What the role made -----------------------------------------------------------------------------


def test_engine(site: Topology) -> None:
    assert ("MariaDB" in site.db1.value("VERSION()")) == (site.db1.engine == "mariadb")


def test_a_note_written_on_the_primary_is_read_from_the_replica(site: Topology) -> None:
    site.write("first")
    replicated(site.db2, "first")
    assert "first" in site.client(site.db2, "SELECT text FROM notes.notes")


def test_the_replica_takes_no_writes(site: Topology) -> None:
    statement = "INSERT INTO notes.notes (text) VALUES ('never')"
    password = site.db2.variables["secret_mysql_app"]
    attempts = [site.db2.client(site.db2.address, "notes", password, statement)]
    if site.db2.engine == "mysql":  # MariaDB's root is above read_only
        attempts.append(site.db2.host.run("mysql -e %s", statement))
    for refused in attempts:
        assert re.search("read.only", refused.stderr), refused.stderr


def test_replication_is_encrypted_and_verified(site: Topology) -> None:
    status = site.db2.replication()
    assert status["Source_SSL_Allowed"] == "Yes"
    assert status["Source_SSL_Verify_Server_Cert"] == "Yes"
    assert status["Auto_Position" if site.db2.engine == "mysql" else "Using_Gtid"] in ("1", "Slave_Pos")


@pytest.mark.parametrize("account", ["notes", "replication"])
def test_without_tls_nobody_is_let_in(site: Topology, account: str) -> None:
    password = site.db2.variables["secret_mysql_app" if account == "notes" else "mysql_replication_password"]
    assert site.db2.client(site.db1.address, account, password, "SELECT 1").succeeded
    refused = site.db2.client(site.db1.address, account, password, "SELECT 1", tls=False)
    assert refused.failed
    assert re.search("insecure transport|Access denied", refused.stderr), refused.stderr


def test_another_network_is_refused(site: Topology) -> None:
    refused = site.db1.client(site.db1.address, "notes", site.db1.variables["secret_mysql_app"], "SELECT 1")
    assert refused.failed
    assert re.search("not allowed to connect|Access denied", refused.stderr), refused.stderr


def test_the_application_may_do_no_more_than_declared(site: Topology) -> None:
    password = site.db2.variables["secret_mysql_app"]
    for statement in ("DROP TABLE notes.notes", "SELECT * FROM mysql.user", "CREATE DATABASE other"):
        refused = site.db2.client(site.db1.address, "notes", password, statement)
        assert "denied" in refused.stderr, statement


def test_no_leftovers(site: Topology) -> None:
    accounts = {tuple(row) for row in site.db1.sql("SELECT User, Host FROM mysql.user")}
    assert not [name for name, _host in accounts if name == ""]
    assert [host for name, host in accounts if name == "root"] == ["localhost"]
    assert {name for name, host in accounts if host != "localhost"} == {"notes", "replication"}
    assert site.db1.sql("SHOW DATABASES LIKE 'test'") == []


def test_only_the_address_listens(site: Topology) -> None:
    for server in (site.db1, site.db2):
        ports = server.host.check_output("ss -Hltn 'sport != 22 and not src 127.0.0.11'")
        assert {line.split()[3] for line in ports.splitlines()} == {f"{server.address}:3306", f"{server.address}:9200"}


def test_crash_safe(site: Topology) -> None:
    for server in (site.db1, site.db2):
        assert server.value("CONCAT(@@sync_binlog, @@innodb_flush_log_at_trx_commit, @@binlog_format)") == "11ROW"


def test_a_commit_waits_for_a_replica(site: Topology) -> None:
    acknowledged = int(site.db1.status("Rpl_semi_sync_source_yes_tx"))
    site.write("semi-synchronous")
    assert site.db1.status("Rpl_semi_sync_source_status") == "ON"
    assert int(site.db1.status("Rpl_semi_sync_source_yes_tx")) > acknowledged
    assert site.db2.status("Rpl_semi_sync_source_status") == "OFF"


# --- The role check ---------------------------------------------------------------------------------


def test_role_check_tells_primary_from_replica(site: Topology) -> None:
    answers(site.db1, "primary", 200, "takes writes")
    answers(site.db1, "replica", 503, "not a replica")
    answers(site.db2, "primary", 503, "read-only")
    answers(site.db2, "replica", 200, "0 s behind")
    answers(site.db2, "alive", 200)
    assert site.db2.role("other").status == 404


def test_role_check_is_fast(site: Topology) -> None:
    begin = time.monotonic()
    for _turn in range(50):
        site.db2.role("replica", expect=200)
    assert (time.monotonic() - begin) / 50 < 0.1


def test_role_check_may_only_ask(site: Topology) -> None:
    refused = site.db2.host.run("runuser -u mysql-check -- %s -e 'SELECT * FROM notes.notes'", site.db2.engine)
    assert "denied" in refused.stderr
    asroot = site.db2.host.run("%s -u mysql-check -e 'SELECT 1'", site.db2.engine)
    assert "denied" in asroot.stderr  # root is not that user
    assert site.db2.host.check_output("ps -o user= -C mysql-role-check").strip() == "mysql-check"


def test_resume_may_only_end_read_only(site: Topology) -> None:
    for statement in ("SELECT * FROM notes.notes", "CREATE DATABASE other", "SELECT * FROM mysql.user"):
        refused = site.db2.host.run("runuser -u mysql-resume -- %s -e %s", site.db2.engine, statement)
        assert re.search("denied|read.only", refused.stderr), refused.stderr


def test_role_check_says_what_a_server_is(site: Topology) -> None:
    primary, replica = site.db1.role("state").json(), site.db2.role("state").json()
    assert (primary["writable"], primary["source"]) == (True, None)
    assert not replica["writable"]
    assert replica["source"] == {
        "server_id": primary["server_id"],
        "server_uuid": primary["server_uuid"],
        "receiver": "Yes",
    }


def test_a_stopped_replica_is_not_fit(site: Topology) -> None:
    site.db2.sql("STOP REPLICA SQL_THREAD")
    answers(site.db2, "replica", 503, "nothing is applied")
    site.db2.sql("START REPLICA SQL_THREAD; STOP REPLICA IO_THREAD")
    answers(site.db2, "replica", 503, "nothing is received")
    site.db2.sql("START REPLICA IO_THREAD")
    answers(site.db2, "replica", 200)


def test_a_replica_that_lags_is_not_fit(site: Topology) -> None:
    lock = subprocess.Popen(
        [
            *("docker", "exec", site.db2.variables["ansible_host"], site.db2.engine, "-e"),
            "FLUSH TABLES WITH READ LOCK; DO SLEEP(120)",
        ]
    )
    try:
        wait_until(
            lambda: site.db2.sql("SHOW PROCESSLIST") and "SLEEP" in str(site.db2.sql("SHOW PROCESSLIST")), SOON, "lock"
        )
        site.write("late")
        answers(site.db2, "replica", 503, "2 allowed")
    finally:
        for row in site.db2.sql("SHOW PROCESSLIST"):
            if "SLEEP" in row[-1] or "SLEEP" in row[-2]:
                site.db2.sql(f"KILL {row[0]}")
        lock.wait()
    answers(site.db2, "replica", 200)
    replicated(site.db2, "late")


def test_a_frozen_server_is_noticed(site: Topology) -> None:
    site.db2.service("kill --signal=SIGSTOP")
    try:
        for path in ("alive", "replica", "primary"):
            answers(site.db2, path, 503, "does not answer")
    finally:
        site.db2.service("kill --signal=SIGCONT")
    answers(site.db2, "replica", 200)


# --- Restarts ---------------------------------------------------------------------------------------


def test_a_replica_that_restarts_follows_again_and_is_read_only(site: Topology) -> None:
    site.db2.service("restart")
    answers(site.db2, "replica", 200)
    answers(site.db2, "primary", 503, "read-only")


@pytest.mark.parametrize("verb", ["restart", "kill --signal=KILL --kill-whom=all"])
def test_a_primary_that_restarts_takes_writes_again(site: Topology, verb: str) -> None:
    started = site.db1.host.check_output("date +%s.%6N")
    site.db1.service(verb)
    wait_until(
        lambda: f"The server takes writes again: {site.db2.name}" in journal(site.db1, started),
        SOON,
        "its confirmation",
    )
    answers(site.db1, "primary", 200)
    assert site.db1.status("Rpl_semi_sync_source_status") == "ON"
    site.write(f"after {verb}")
    replicated(site.db2, f"after {verb}")


def journal(server: Database, since: str) -> str:
    return server.host.check_output("journalctl -u mysql-resume --since=@%s -o cat", since)


def test_a_primary_that_nobody_confirms_stays_read_only(site: Topology) -> None:
    # An answer is no confirmation.
    site.db2.sql("STOP REPLICA")
    site.db1.service("restart")
    answers(site.db1, "primary", 503, "no replica confirms that it follows this server\n")
    site.db2.service("stop")
    answers(site.db1, "primary", 503, "no replica confirms that it follows this server; db2 does not answer")
    site.db2.service("start")
    answers(site.db1, "primary", 200)
    answers(site.db2, "replica", 200)


@pytest.fixture(scope="module")
def verbose(site: Topology) -> str:
    """Give the output of a verbose run: the first one after the servers changed without it."""
    return site.converge("-vvv")


def test_a_primary_whose_replica_was_promoted_meanwhile_stays_read_only(
    site: Topology, request: pytest.FixtureRequest
) -> None:
    site.db1.service("stop")
    site.db2.sql("STOP REPLICA")
    site.db2.sql("RESET REPLICA ALL")
    site.db2.read_only(False)
    site.db1.service("start")
    answers(site.db1, "primary", 503, "db2 takes writes now")
    # It is back as it was: nothing was written on db2.
    site.db2.read_only(True)
    site.db1.read_only(False)
    assert "db2 is seeded from" not in request.getfixturevalue("verbose")
    answers(site.db2, "replica", 200)


def test_nobody_takes_writes_by_himself_while_the_primary_is_moved(site: Topology) -> None:
    hold = "/run/mysql-resume.hold"
    site.db1.host.check_output(f"touch {hold}")
    site.db1.service("restart")
    answers(site.db1, "primary", 503, f"somebody moves the primary ({hold} is there)")
    site.db1.host.check_output(f"rm {hold}")
    answers(site.db1, "primary", 200)


def test_no_password_is_printed_or_listed(site: Topology, verbose: str) -> None:
    secrets = [site.db1.variables[name] for name in ("secret_mysql_app", "mysql_replication_password")]
    processes = site.db1.host.check_output("ps axww") + site.db2.host.check_output("ps axww")
    assert not [secret for secret in secrets if secret in verbose or secret in processes]


def test_a_certificate_that_a_cut_off_run_brought_is_used_after_the_next_one(site: Topology) -> None:
    def presented() -> list[str]:
        ask = "openssl s_client -starttls mysql -connect %s:3306 < /dev/null 2>/dev/null | openssl x509 -noout -serial"
        return [server.host.check_output(ask, server.address) for server in (site.db1, site.db2)]

    before = presented()
    # It installs certificates, and tells no server.
    assert play(site.inventory, "molecule/mysql/prepare.yml", pki_renew_days=400).returncode == 0
    assert presented() == before
    site.converge()
    assert not set(presented()) & set(before)
    assert re.findall(r"changed=(\d+)", site.converge()) == ["0", "0"]


# --- Members come, break and move -------------------------------------------------------------------


def first_data_are_not_complete(server: Database) -> None:
    """Let the first attempt of MySQL's package to make data fail, as it does by itself now and then."""
    if server.engine == "mysql":
        broken = "/etc/mysql/conf.d/broken.cnf"
        once = f'DPkg::Post-Invoke {{"test ! -e /var/lib/mysql/auto.cnf || rm -f {broken}";}};'
        server.host.check_output("mkdir -p /etc/mysql/conf.d")
        server.host.check_output(f"echo %s > {broken}", "[mysqld]\ninnodb_data_file_path = ibdata1:1M")
        server.host.check_output("echo %s > /etc/apt/apt.conf.d/broken", once)


def test_a_third_member_joins_when_the_first_binary_logs_are_gone(site: Topology) -> None:
    for number in range(3):
        site.write(f"old {number}")
        site.db1.sql("FLUSH BINARY LOGS")
    replicated(site.db2, "old 2")
    last = site.db1.sql("SHOW BINARY LOGS")[-1][0]
    site.db1.sql(f"PURGE BINARY LOGS TO '{last}'")

    site.members = "databases:later"
    first_data_are_not_complete(site.db3)
    output = site.converge(begin="")
    assert ("[MY-013236]" in output) == (site.db3.engine == "mysql")
    assert "db3 is seeded from db1: it holds no data yet" in output
    assert "db2 is seeded" not in output
    assert has(site.db3, "old 0")
    answers(site.db3, "replica", 200)
    site.write("for three")
    replicated(site.db3, "for three")


def test_broken_replicas_are_repaired(site: Topology) -> None:
    """One that only stopped is started again; one whose data differs is seeded again."""
    site.write("disputed")
    for server in (site.db2, site.db3):
        replicated(server, "disputed")
    site.db2.read_only(False)
    site.db2.sql("SET sql_log_bin = 0; DELETE FROM notes.notes WHERE text = 'disputed'")
    site.db2.read_only(True)
    site.db1.sql("DELETE FROM notes.notes WHERE text = 'disputed'")
    answers(site.db2, "replica", 503, "nothing is applied")
    site.db3.sql("STOP REPLICA")

    output = site.converge()
    assert "db2 is seeded from db1: its applier stopped" in output
    assert "db3 is seeded" not in output
    site.write("repaired")
    for server in (site.db2, site.db3):
        answers(server, "replica", 200)
        replicated(server, "repaired")


def test_transactions_only_a_replica_holds_are_not_lost_silently(site: Topology) -> None:
    site.db3.read_only(False)
    site.db3.sql("INSERT INTO notes.notes (id, text) VALUES (9999, 'errant')")
    site.db3.read_only(True)

    output = site.converge("--limit", "db3", fails=True)
    assert "holds transactions that the primary" in output
    assert has(site.db3, "errant")


def test_a_seed_that_has_no_room_leaves_the_data_as_they_are(site: Topology) -> None:
    ballast = "/var/lib/mysql/.ballast"  # servers pass over such names
    with on_a_small_disk(site.db3):
        site.db1.host.check_output(f"fallocate -l 300M {ballast}")
        try:
            output = site.converge("--limit", "db3", fails=True, mysql_reseed_errant=True)
        finally:
            site.db1.host.check_output(f"rm {ballast}")
        assert re.search(r"db3 has room for .* of data in\s+/var/lib/mysql", output)
        assert has(site.db3, "errant")


@contextmanager
def on_a_small_disk(server: Database) -> Iterator[None]:
    """Let a server have its data on a disk with 32 MiB left."""
    server.service("stop")
    server.host.check_output(
        "mkdir -p /mnt/small && mount -t tmpfs -o size=$(( $(du -sm /var/lib/mysql | cut -f 1) + 32 ))m none /mnt/small"
        " && cp -a /var/lib/mysql/. /mnt/small && chown --reference=/var/lib/mysql /mnt/small"
        " && chmod --reference=/var/lib/mysql /mnt/small && mount --bind /mnt/small /var/lib/mysql"
    )
    server.service("start")
    try:
        yield
    finally:
        server.service("stop")
        server.host.check_output("umount /var/lib/mysql && umount /mnt/small")
        server.service("start")


def test_a_wrong_password_leaves_the_data_as_they_are(site: Topology) -> None:
    """The primary keeps the right one: it is not in the run."""
    answers(site.db2, "replica", 200)
    output = site.converge("--limit", "db2", fails=True, mysql_replication_password="not the right one")  # noqa: S106
    assert re.search(r"Replication from \S+ does not start: .*Access denied", " ".join(output.split()))
    assert "not the right one" not in output
    assert has(site.db2, "repaired")
    assert "db2 is seeded" not in site.converge("--limit", "db2")
    answers(site.db2, "replica", 200)


def test_a_donor_that_dies_does_no_harm(site: Topology) -> None:
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(site.converge, "--limit", "db3", fails=None, mysql_reseed_errant=True)
        wait_until(lambda: run.done() or copying(site), SOON * 3, "the copy to begin", interval=0.02)
        site.db1.service("kill --signal=KILL --kill-whom=all")
        site.db1.host.run("pkill -KILL mariadb-backup")
        output = " ".join(run.result().split())
    answers(site.db1, "primary", 200)
    if "db3 is seeded from db1" in output and "failed=1" in output:  # a small copy may have been complete just before
        assert re.search("did not send its data to the end|cannot be copied", output), output
        if site.db3.engine == "mariadb":  # CLONE gives the old data up first, as agreed
            assert has(site.db3, "errant")


def copying(site: Topology) -> bool:
    """Tell whether a copy of db1 is on its way to db3."""
    if site.db3.engine == "mysql":
        rows = site.db3.host.run("mysql -NBe %s", "SELECT state FROM performance_schema.clone_status").stdout
        return "In Progress" in rows
    return site.db1.host.run("pgrep mariadb-backup").succeeded


def test_what_only_a_replica_holds_is_given_up_when_told(site: Topology) -> None:
    output = site.converge("--limit", "db3", mysql_reseed_errant=True)
    assert "db3 is seeded from db1" in output or "changed=0" in output
    assert not has(site.db3, "errant")
    answers(site.db3, "replica", 200)


def test_a_primary_moved_by_hand_stays_where_it_is(site: Topology) -> None:
    site.db1.read_only(True)
    wait_until(lambda: site.db2.role("replica").body.startswith("0 s"), SOON, "db2 to have everything")
    site.db2.sql("STOP REPLICA")
    site.db2.sql("RESET REPLICA ALL")
    site.db2.read_only(False)

    output = site.converge(begin=SETTINGS, mysql_settings={"max_connections": 77, "back_log": 70})
    assert "db2 is the primary" in output
    assert "is seeded from" not in output
    site.write("moved")
    for server in (site.db1, site.db3):
        assert server.replication()["Source_Host"] == site.db2.address
        replicated(server, "moved")
    # One setting that servers change while they run, and one that took a restart, of the primary too.
    for server in site.servers.values():
        assert server.value("CONCAT(@@max_connections, ' ', @@back_log)") == "77 70"
    assert site.db2.status("Rpl_semi_sync_source_status") == "ON"
    assert site.db1.status("Rpl_semi_sync_source_status") == "OFF"


def test_then_nothing_changes_any_more(site: Topology) -> None:
    output = site.converge(begin=SETTINGS, mysql_settings={"max_connections": 77, "back_log": 70})
    assert re.findall(r"changed=(\d+)", output) == ["0"] * 3


def test_a_member_that_is_down_stops_no_other(site: Topology) -> None:
    container = site.db3.variables["ansible_host"]
    subprocess.run(["docker", "stop", "--time", "5", container], check=True, capture_output=True)
    try:
        assert "db2 is the primary" in site.converge("--limit", "db1,db2")
    finally:
        subprocess.run(["docker", "start", container], check=True, capture_output=True)
    answers(site.db3, "replica", 200)


def test_two_servers_that_take_writes_are_an_error(site: Topology) -> None:
    site.db1.read_only(False)
    try:
        output = site.converge("--limit", "db3", fails=True)  # it asks the others
    finally:
        site.db1.read_only(True)
    assert "db1 and db2 all take writes" in output


def test_a_wrong_setting_never_reaches_the_server(site: Topology) -> None:
    before = site.db3.host.check_output("cat /etc/mysql/*/zz-tandem.cnf")
    output = site.converge("--limit", "db3", begin=SETTINGS, fails=True, mysql_settings={"max_conections": 5})
    assert "max_conections" in output
    assert site.db3.host.check_output("cat /etc/mysql/*/zz-tandem.cnf") == before


@pytest.mark.once
def test_replicas_that_do_not_come_back_keep_the_primary_from_restarting(site: Topology) -> None:
    """Whatever no validation finds wrong, such as another size of a file that is there."""
    primary = site.primary()
    ask = f"systemctl show --property=ActiveEnterTimestampMonotonic --value {primary.engine}"
    began = primary.host.check_output(ask)
    site.converge(begin=SETTINGS, fails=True, mysql_settings={"innodb_data_file_path": "ibdata1:99M:autoextend"})
    assert primary.host.check_output(ask) == began
    assert site.primary() is primary
    site.converge(begin=SETTINGS)
    for server in (site.db1, site.db2):
        answers(server, "primary" if server is primary else "replica", 200)
