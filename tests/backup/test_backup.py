"""What is backed up, by whom, what can be restored from it, and what is said when it cannot be.

The tests run from top to bottom; the last one leaves a damaged repository behind. They serve both engines.
"""

import re
import subprocess
import time
from typing import Any

import pytest
import testinfra
from testinfra.host import Host

from tests.support.databases import Database, databases
from tests.support.inventory import read_inventory
from tests.support.play import play
from tests.support.wait import wait_until

METRICS = "/var/lib/prometheus/node-exporter"
WORK = "/var/lib/tandem-backup"
ROW = "INSERT INTO notes.notes (text) VALUES ('{}')"
SITE = "www.tandem.test"


class Site:
    """The database hosts, the host that keeps the backups, and what the program says on each."""

    def __init__(self, inventory: str) -> None:
        self.inventory = inventory
        self.servers = databases(inventory)
        self.db1, self.db2 = self.servers["db1"], self.servers["db2"]
        self.variables = read_inventory(inventory)["_meta"]["hostvars"]
        self.mon1 = testinfra.get_host(f"docker://{self.variables['mon1']['ansible_host']}")

    def restore(self, fails: bool = False, **variables: Any) -> str:
        """Run the playbook and return what it printed."""
        done = play(self.inventory, "playbooks/restore.yml", **variables)
        assert bool(done.returncode) == fails
        return done.stdout

    def archive(self) -> None:
        """Save the binary logs of each host now."""
        for server in self.servers.values():
            tool(server.host, "archive")


def tool(host: Host, *words: str) -> str:
    """Run the program and return what it printed."""
    run = host.run("tandem-backup" + " %s" * len(words), *words)
    assert run.succeeded, run.stderr
    return run.stdout


def refused(host: Host, *words: str) -> str:
    """Run the program, which has to fail, and return its one sentence."""
    done = host.run("tandem-backup" + " %s" * len(words), *words)
    assert done.failed, done.stdout
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done.stderr


def metric(host: Host, task: str, name: str) -> float:
    """Return a number that the node exporter would export."""
    text = host.file(f"{METRICS}/backup-{task}.prom").content_string
    return float(re.search(rf"^tandem_backup_{name}\{{.*\}} (\S+)$", text, re.MULTILINE)[1])


def now(host: Host) -> str:
    """Return the moment on a host, in UTC, with its microseconds."""
    return host.check_output("date -u '+%F %T.%6N'")


def rows(server: Database, table: str = "notes.notes") -> list[str]:
    return [row[0] for row in server.sql(f"SELECT text FROM {table} ORDER BY id")]


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest) -> Site:
    return Site(request.config.option.ansible_inventory)


@pytest.fixture(scope="module", autouse=True)
def table(site: Site) -> None:
    site.db1.sql("CREATE TABLE notes.notes (id INT PRIMARY KEY AUTO_INCREMENT, text VARCHAR(99), nothing INT)")
    site.db1.sql("CREATE TABLE notes.other (id INT PRIMARY KEY, data MEDIUMBLOB)")
    site.db1.sql("INSERT INTO notes.other VALUES (1, REPEAT('plain to see', 99999))")
    site.db1.sql(ROW.format("before the backup"))
    wait_until(lambda: rows(site.db2), 60, "the replica to have it")


# --- The way to the store ---------------------------------------------------------------------------


def test_keys_are_made_where_they_are_used_and_stay_there(site: Site) -> None:
    private = {name: server.host.file("/etc/tandem/backup/id_ed25519") for name, server in site.servers.items()}
    assert {file.mode for file in private.values()} == {0o600}
    assert len({file.content_string for file in private.values()}) == 2
    for name, server in site.servers.items():
        public = server.host.file("/etc/tandem/backup/id_ed25519.pub").content_string.split()[1]
        assert public in site.mon1.file(f"/etc/tandem/backup-store/keys/{name}").content_string
    assert site.mon1.run("grep -rl 'OPENSSH PRIVATE KEY' /etc/tandem/backup-store/keys").stdout == ""


def test_the_store_gives_files_and_nothing_else(site: Site) -> None:
    way = "-F /etc/tandem/backup/ssh_config -o User=tandem-backup -o Port=2022"
    store = site.variables["mon1"]["topology_address"]
    assert "sftp connections only" in site.db1.host.run(f"ssh {way} {store} id").stdout
    listed = site.db1.host.run(f"echo 'ls /' | sftp {way} -b - {store}")
    assert listed.stdout.split()[-1] == "/repository", listed.stderr


def test_a_store_with_another_host_key_is_refused(site: Site) -> None:
    pinned = "/etc/tandem/backup/known_hosts"
    other = site.db1.host.file("/etc/tandem/backup/id_ed25519.pub").content_string.split()[1]
    site.db1.host.check_output(f"sed -i.before 's|AAAA[^ ]*|{other}|' {pinned}")
    try:
        assert "host key is not the one that was pinned" in refused(site.db1.host, "status")
    finally:
        site.db1.host.check_output(f"mv {pinned}.before {pinned}")


# --- Backups ----------------------------------------------------------------------------------------


def test_nothing_to_restore_yet_is_said(site: Site) -> None:
    assert "holds no backup yet" in refused(site.db1.host, "plan")


def test_the_replica_is_backed_up_and_the_primary_is_not(site: Site) -> None:
    assert play(site.inventory, "playbooks/backup.yml").returncode == 0
    assert re.search("^backup: .* UTC, by db2", tool(site.db1.host, "status"), re.MULTILINE)
    for server in site.servers.values():
        assert metric(server.host, "run", "failed") == 0
        assert metric(server.host, "run", "newest_timestamp_seconds") > time.time() - 300
    assert metric(site.db2.host, "run", "size_bytes") > 10**6


def test_it_can_be_restored_from_at_once(site: Site) -> None:
    tool(site.db2.host, "run", "--since", str(time.time()))
    tool(site.db1.host, "plan")


def test_it_is_encrypted(site: Site) -> None:
    repository = "/srv/tandem-backup/repository"
    assert site.mon1.run(f"grep -rlE 'plain to see|before the backup' {repository}").stdout == ""
    assert site.mon1.run(f"find {repository}/data -type f -size +100k").stdout != ""


def test_a_backup_that_is_fresh_is_not_made_again(site: Site) -> None:
    assert "db2 has done it" in tool(site.db1.host, "run")


def test_binary_logs_are_saved_each_minute(site: Site) -> None:
    site.db1.sql(ROW.format("saved by the timer"))
    written = time.time()
    for server in site.servers.values():
        wait_until(
            lambda server=server: metric(server.host, "archive", "archive_until_timestamp_seconds") > written,
            150,
            f"the timer on {server.name}",
        )
        assert metric(server.host, "archive", "failed") == 0


def test_the_backup_is_proven_by_restoring_it(site: Site) -> None:
    tool(site.db2.host, "fingerprint", "--since", str(time.time()))
    time.sleep(3)  # a replica's archive says of the last two seconds that it may lack something
    site.archive()
    site.mon1.check_output("systemctl start tandem-backup-prove.service")
    assert metric(site.mon1, "prove", "proof_ok") == 1
    assert metric(site.mon1, "prove", "proof_tables") == 2
    assert metric(site.mon1, "prove", "proof_transactions") >= 1
    assert site.mon1.check_output(f"ls {WORK}") == ""


def test_whoever_proves_runs_no_server(site: Site) -> None:
    assert site.mon1.run("pgrep 'mysqld|mariadbd'").stdout == ""


def test_old_backups_are_forgotten_and_the_others_verified(site: Site) -> None:
    assert "the repository is sound" in tool(site.db1.host, "maintain")


# --- Restore beside the data ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def moment(site: Site) -> str:
    """Write before and after a moment, and return it. MariaDB's logs count in whole seconds."""
    for number in range(20):
        site.db1.sql(ROW.format(f"early {number}"))
    time.sleep(1.1)
    then = now(site.db1.host)
    time.sleep(1.1)
    for number in range(20):
        site.db1.sql(ROW.format(f"late {number}"))
    time.sleep(1.1)
    site.archive()
    return then


def test_a_table_as_it_was_at_a_moment(site: Site, moment: str) -> None:
    everything = rows(site.db1)
    site.restore(restore_to=moment, restore_database="notes", restore_table="notes", restore_into="earlier")
    assert rows(site.db1, "earlier.notes") == [text for text in everything if not text.startswith("late")]
    assert site.db1.sql("SHOW TABLES FROM earlier") == [["notes"]]
    assert rows(site.db1) == everything
    wait_until(lambda: rows(site.db2, "earlier.notes"), 60, "the replica to have it too")


def test_a_schema_that_is_there_is_left_alone(site: Site) -> None:
    said = refused(site.db1.host, "extract", "--database", "notes", "--into", "earlier")
    assert "There is a schema earlier already" in said
    site.db1.sql("DROP SCHEMA earlier")


def last_transaction(server: Database) -> str:
    """Return the name of the newest transaction that a primary made itself."""
    if server.engine == "mariadb":
        return server.value("@@gtid_binlog_pos")
    mine = next(part for part in server.value("@@gtid_executed").split(",") if server.value("@@server_uuid") in part)
    return re.sub(r":.*?(\d+)$", r":\1", mine.replace("\\n", "").strip())


def test_a_database_just_before_a_transaction(site: Site, moment: str) -> None:
    before = rows(site.db1)
    site.db1.sql("DELETE FROM notes.notes")
    mistake = last_transaction(site.db1)
    tool(site.db1.host, "archive")
    tool(site.db1.host, "extract", "--to", mistake, "--database", "notes", "--into", "undone")
    assert rows(site.db1) == []
    assert rows(site.db1, "undone.notes") == before
    assert site.db1.sql("SHOW TABLES FROM undone") == [["notes"], ["other"]]
    site.db1.sql("INSERT INTO notes.notes SELECT * FROM undone.notes; DROP SCHEMA undone")


# --- Faults: one sentence, and everything as it was -------------------------------------------------


def test_a_wrong_key(site: Site) -> None:
    key = "/etc/tandem/backup/password"
    site.db1.host.check_output(f"cp -p {key} {key}.before && echo wrong > {key}")
    try:
        assert "the key does not open it" in refused(site.db1.host, "run")
        assert metric(site.db1.host, "run", "failed") == 1
        assert "the key does not open it" in refused(site.db1.host, "prepare")
    finally:
        site.db1.host.check_output(f"mv {key}.before {key}")
    tool(site.db1.host, "run")
    assert metric(site.db1.host, "run", "failed") == 0


def test_a_repository_that_does_not_answer(site: Site) -> None:
    before = rows(site.db1)
    site.mon1.check_output("systemctl stop tandem-backup-store")
    try:
        assert "it does not answer" in refused(site.db1.host, "run")
        assert metric(site.db1.host, "run", "failed") == 1
        assert "it does not answer" in site.restore(fails=True, restore_confirm=SITE)
    finally:
        site.mon1.check_output("systemctl start tandem-backup-store")
    tool(site.db1.host, "run")
    assert metric(site.db1.host, "run", "failed") == 0
    assert rows(site.db1) == before


@pytest.mark.parametrize(
    ("to", "words"),
    [
        ("2020-01-01 00:00:00", "before the oldest backup"),
        ("2099-01-01 00:00:00", "in the future"),
        ("last night", "neither a time nor a transaction"),
    ],
)
def test_a_restore_point_outside_the_archive(site: Site, to: str, words: str) -> None:
    assert words in refused(site.db1.host, "prepare", "--to", to)


def test_no_space(site: Site) -> None:
    site.db2.host.check_output(f"mount -t tmpfs -o size=20m none {WORK}")
    try:
        assert "make room there" in refused(site.db2.host, "run", "--since", str(time.time()))
        assert "make room there" in refused(site.db2.host, "prepare")
    finally:
        site.db2.host.check_output(f"umount {WORK}")


def copies(server: Database) -> bool:
    return server.host.file(f"{WORK}/copy").exists


def follows(server: Database) -> bool:
    return server.role("replica").status == 200


def test_a_server_that_dies_while_it_is_copied(site: Site) -> None:
    run = subprocess.Popen(
        ["docker", "exec", site.db2.variables["ansible_host"], "tandem-backup", "run", "--since", str(time.time())],
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: copies(site.db2), 60, "the copy to begin", interval=0.02)
    site.db2.service("kill --signal=SIGKILL")
    _, said = run.communicate(timeout=120)
    wait_until(lambda: follows(site.db2), 60, "the server to be back")
    if run.returncode:  # a small copy may have been complete just before
        assert re.search("could not be copied|does not answer", said), said
        assert metric(site.db2.host, "run", "failed") == 1
    assert not copies(site.db2)


def test_another_host_takes_over_from_one_that_is_gone(site: Site) -> None:
    since = str(time.time())
    container = site.db2.variables["ansible_host"]
    subprocess.run(["docker", "exec", "-d", container, "tandem-backup", "run", "--since", since], check=True)
    wait_until(lambda: copies(site.db2), 60, "the replica to be at work", interval=0.02)
    subprocess.run(["docker", "kill", container], check=True, capture_output=True)
    try:
        said = tool(site.db1.host, "run", "--since", since)
    finally:
        subprocess.run(["docker", "start", container], check=True, capture_output=True)
    assert "db2 is at work" in said
    assert "Saved" in said
    assert "by db1" in tool(site.db1.host, "status").splitlines()[0]
    wait_until(lambda: follows(site.db2), 60, "the replica to be back")


# --- Restore in the place of the data ---------------------------------------------------------------


def test_data_is_not_replaced_unless_that_is_typed(site: Site) -> None:
    before = rows(site.db1)
    assert f"restore_confirm={SITE}" in site.restore(fails=True)
    assert rows(site.db1) == before


def test_the_whole_is_restored_to_a_moment(site: Site) -> None:
    site.db1.sql(ROW.format("wanted"))
    wanted = rows(site.db1)
    time.sleep(1.1)
    then = now(site.db1.host)
    time.sleep(1.1)
    site.db1.sql("DROP TABLE notes.other")
    site.db1.sql(ROW.format("unwanted"))
    time.sleep(1.1)
    site.archive()

    site.restore(restore_to=then, restore_confirm=SITE)
    for server in site.servers.values():
        wait_until(lambda server=server: rows(server) == wanted, 60, f"the rows on {server.name}")
        assert server.value("COUNT(*) FROM notes.other") == "1"
    assert site.db1.value("@@read_only") == "0"
    assert site.db2.replication()["Source_Host"] == site.db1.address
    site.db1.sql(ROW.format("after the restore"))
    wait_until(lambda: rows(site.db2)[-1] == "after the restore", 60, "the replica to follow")


def test_what_was_restored_is_backed_up_and_proven(site: Site) -> None:
    tool(site.db2.host, "fingerprint", "--since", str(time.time()))
    time.sleep(3)  # a replica's archive says of the last two seconds that it may lack something
    tool(site.db2.host, "archive")
    assert "are what db2 had" in tool(site.mon1, "prove")


# --- The last one -----------------------------------------------------------------------------------


def test_a_damaged_repository_is_no_proof(site: Site) -> None:
    site.mon1.check_output(
        "find /srv/tandem-backup/repository/data -type f -size +100k"
        " -exec dd if=/dev/urandom of={} bs=4k seek=2 count=8 conv=notrunc status=none \\;"
    )
    assert site.mon1.run("systemctl start tandem-backup-prove.service").failed
    assert metric(site.mon1, "prove", "failed") == 1
    assert metric(site.mon1, "prove", "proof_ok") == 0
    assert site.mon1.check_output(f"ls {WORK}") == ""
