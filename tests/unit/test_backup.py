"""The parts of the backup program that decide: what is kept, what is restored from what, who does it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from tests.support.roles import ROOT

sys.path.insert(0, str(ROOT / "roles/backup/files"))
# On a host it lies beside the program.
seam = ModuleType("tandem_seam")
seam.mysql = SimpleNamespace(DatabaseError=type("DatabaseError", (Exception,), {}), Server=object)
sys.modules.setdefault("tandem_seam", seam)

from tandem_backup import (  # noqa: E402
    binlog,
    console,
    engine,
    fingerprint,
    gtid,
    lease,
    metrics,
    repository,
    restore,
    retention,
    tasks,
)
from tandem_backup.repository import Snapshot  # noqa: E402
from tandem_backup.settings import Failure  # noqa: E402

ONE, TWO = "3e11fa47-71ca-11e1-9e33-c80aa9429562", "4e11fa47-71ca-11e1-9e33-c80aa9429562"


def snapshot(name: str, time: float, *tags: str, host: str = "db1") -> Snapshot:
    return Snapshot(id=name, time=time, host=host, tags=tags, path="/srv/copy")


# --- Transactions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "one", "held"),
    [
        (f"{ONE}:1-5:7", f"{ONE}:5", True),
        (f"{ONE}:1-5:7", f"{ONE}:6", False),
        (f"{ONE}:1-5:7", f"{ONE}:7", True),
        (f"{ONE}:1-5, {TWO}:1", f"{TWO}:1", True),
        (f"{ONE}:1-5", f"{TWO}:1", False),
        (f"{ONE}:1-5:tag:1-3", f"{ONE}:tag:3", True),
        (f"{ONE}:1-5:tag:1-3", f"{ONE}:tag:4", False),
        ("", f"{ONE}:1", False),
    ],
)
def test_mysql_set_holds(known: str, one: str, held: bool) -> None:
    assert gtid.holds(known, one, "mysql") is held


@pytest.mark.parametrize(
    ("known", "one", "held"),
    [
        ("0-1-10", "0-1-10", True),
        ("0-1-10", "0-2-11", False),
        ("0-1-3,0-2-10", "0-1-7", True),
        ("1-1-9", "0-1-1", False),
    ],
)
def test_mariadb_state_holds(known: str, one: str, held: bool) -> None:
    assert gtid.holds(known, one, "mariadb") is held


@pytest.mark.parametrize(
    ("known", "other", "engine", "covered"),
    [
        (f"{ONE}:1-9,{TWO}:1-3", f"{ONE}:2-9", "mysql", True),
        (f"{ONE}:1-9", f"{ONE}:1-10", "mysql", False),
        (f"{ONE}:1-9", f"{TWO}:1", "mysql", False),
        (f"{ONE}:1-9", "", "mysql", True),
        ("0-1-9", "0-2-8,0-1-9", "mariadb", True),
        ("0-1-9", "0-2-10", "mariadb", False),
    ],
)
def test_one_set_covers_another(known: str, other: str, engine: str, covered: bool) -> None:
    assert gtid.covers(known, other, engine) is covered


def test_mariadb_state_after_more_transactions() -> None:
    assert gtid.newest(["0-1-3,0-2-10", "0-2-10", "0-1-11", "0-1-12"]) == "0-2-10,0-1-12"
    assert gtid.position("0-2-10,0-1-12") == "0-1-12"


# --- Binary logs as text ----------------------------------------------------------------------------

MYSQL = f"""\
# at 157
#251124  4:00:00 server id 1  end_log_pos 234 CRC32 0x1 \tGTID\toriginal_committed_timestamp=1763956800500000\t
SET @@SESSION.GTID_NEXT= '{ONE.upper()}:8'/*!*/;
# at 234
#251124  4:00:00 server id 1  end_log_pos 300 CRC32 0x1 \tQuery\tthread_id=9
# at 331
#251124  4:00:01 server id 1  end_log_pos 400 CRC32 0x1 \tXid = 9
""".splitlines()

MARIADB = """\
# at 329
#251124  4:00:02 server id 7  end_log_pos 371 CRC32 0x2 \tGTID 0-7-12 trans
/*M!100001 SET @@session.gtid_seq_no=12*//*!*/;
# at 371
#251124  4:00:02 server id 7  end_log_pos 402 CRC32 0x3 \tXid = 30
""".splitlines()


def test_mysql_transactions_have_the_microsecond_of_their_commit() -> None:
    assert list(binlog.transactions(MYSQL)) == [binlog.Transaction(f"{ONE}:8", 157, 1763956800.5)]


def test_mariadb_transactions_have_the_second() -> None:
    assert list(binlog.transactions(MARIADB)) == [binlog.Transaction("0-7-12", 329, 1763956802.0)]


# --- Where to restore to ----------------------------------------------------------------------------


def test_a_moment_is_utc_unless_it_says_otherwise() -> None:
    assert restore.target("2026-11-23 04:00:00", "mysql").moment == 1795406400
    assert restore.target("2026-11-23 05:00:00+01:00", "mysql").moment == 1795406400
    assert restore.target("2026-11-23T04:00:00Z", "mysql").moment == 1795406400


def test_a_transaction_or_the_latest() -> None:
    assert restore.target(f"{ONE}:9", "mysql").before == f"{ONE}:9"
    assert restore.target("0-1-9", "mariadb").before == "0-1-9"
    assert restore.target("latest", "mysql") == restore.Target()


@pytest.mark.parametrize("text", ["yesterday", "4 o'clock", "0-1-9", f"{ONE}:1-9"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(Failure, match="write restore_to as"):
        restore.target(text, "mysql")


def plan(goal: restore.Target, bases: list, archives: list, about: dict) -> restore.Plan:
    """Plan on a repository that holds these."""
    holds = {"base": bases, "binlog": archives}
    fake = SimpleNamespace(
        url="/repository",
        snapshots=lambda kind: holds[kind],
        text=lambda snapshot, path: __import__("json").dumps(about[snapshot.id]),
    )
    return restore.plan(fake, SimpleNamespace(engine="mysql"), goal)


ABOUT = {
    "b1": {"engine": "mysql", "version": "9", "complete_until": 99, "gtid": f"{ONE}:1-5", "gtid_after": f"{ONE}:1-6"},
    "b2": {
        "engine": "mysql",
        "version": "9",
        "complete_until": 199,
        "gtid": f"{ONE}:1-50",
        "gtid_after": f"{ONE}:1-60",
    },
    "a1": {
        "engine": "mysql",
        "gtid": f"{ONE}:1-58",
        "before": "",
        "files": [
            {"name": "log.1", "created": 10},
            {"name": "log.2", "created": 90},
            {"name": "log.3", "created": 140},
        ],
    },
}
ABOUT["a2"] = ABOUT["a1"] | {"gtid": f"{ONE}:1-90"}
BASES = [snapshot("b1", 100, "base"), snapshot("b2", 200, "base")]
ARCHIVES = [snapshot("a1", 150, "binlog", "timeline-x"), snapshot("a2", 250, "binlog", "timeline-x")]


def test_the_latest_is_the_newest_backup_and_the_newest_archive() -> None:
    chosen = plan(restore.Target(), BASES, ARCHIVES, ABOUT)
    assert (chosen.base.id, chosen.logs.id) == ("b2", "a2")


def test_a_moment_is_reached_from_the_backup_before_it_by_the_first_archive_after_it() -> None:
    chosen = plan(restore.Target(moment=145), BASES, ARCHIVES, ABOUT)
    assert (chosen.base.id, chosen.logs.id) == ("b1", "a1")
    assert [file["name"] for file in chosen.files()] == ["log.2", "log.3"]


def test_a_transaction_is_reached_from_a_backup_without_it() -> None:
    chosen = plan(restore.Target(before=f"{ONE}:30"), BASES, ARCHIVES, ABOUT)
    assert chosen.base.id == "b1"


@pytest.mark.parametrize(
    ("goal", "words"),
    [
        (restore.Target(moment=99), "before the oldest backup"),
        (restore.Target(moment=260), "outside the archive"),
        (restore.Target(moment=10**11), "in the future"),
        (restore.Target(before=f"{ONE}:6"), "before the oldest backup"),
        (restore.Target(before=f"{ONE}:400"), "No archive of binary logs holds"),
    ],
)
def test_what_is_outside_is_refused(goal: restore.Target, words: str) -> None:
    with pytest.raises(Failure, match=words):
        plan(goal, BASES, ARCHIVES, ABOUT)


def test_an_empty_repository_is_said_to_be() -> None:
    with pytest.raises(Failure, match="holds no backup yet"):
        plan(restore.Target(), [], [], {})


def test_logs_that_begin_after_the_backup_are_no_archive_for_it() -> None:
    late = ABOUT | {"a2": ABOUT["a2"] | {"before": f"{ONE}:1-70", "files": [{"name": "log.9", "created": 230}]}}
    with pytest.raises(Failure, match="No archive of binary logs goes on"):
        plan(restore.Target(), BASES, ARCHIVES[1:], late)


def test_logs_of_a_server_that_was_made_anew_are_no_archive_for_an_older_backup() -> None:
    anew = ABOUT | {"a2": ABOUT["a2"] | {"gtid": f"{TWO}:1-9"}}
    assert plan(restore.Target(), BASES, ARCHIVES, ABOUT).logs.id == "a2"
    with pytest.raises(Failure, match="No archive of binary logs goes on"):
        plan(restore.Target(), BASES, ARCHIVES[1:], anew)


def test_on_galera_only_the_logs_of_the_host_that_made_the_backup_go_on_from_it() -> None:
    mine = {**ABOUT, "b1": ABOUT["b1"] | {"timeline": "y"}, "b2": ABOUT["b2"] | {"timeline": "x"}}
    assert plan(restore.Target(), BASES, ARCHIVES, mine).logs.id == "a2"
    others = [snapshot("a2", 250, "binlog", "timeline-x", host="db2")]
    assert plan(restore.Target(), BASES, others, ABOUT).logs.id == "a2"
    with pytest.raises(Failure, match="No archive of binary logs goes on"):
        plan(restore.Target(), BASES, others, mine)
    with pytest.raises(Failure, match="No archive of binary logs goes on"):
        plan(restore.Target(), BASES, ARCHIVES, mine | {"b2": ABOUT["b2"] | {"timeline": "z"}})


def test_the_backup_before_is_taken_where_nothing_goes_on_from_the_newest() -> None:
    away = ABOUT | {"b2": ABOUT["b2"] | {"complete_until": 5}}
    assert plan(restore.Target(), BASES, ARCHIVES, away).base.id == "b1"


def test_the_latest_is_not_what_is_much_older_than_other_logs() -> None:
    later = [*ARCHIVES, snapshot("a3", 5000, "binlog", "timeline-z", host="db2")]
    anew = ABOUT | {"a3": ABOUT["a1"] | {"gtid": f"{TWO}:1-9"}}
    with pytest.raises(Failure, match=r"leads to 1970-01-01 00:04:10 UTC only.*Restore to '1970-01-01 00:04:09'"):
        plan(restore.Target(), BASES, later, anew)
    assert plan(restore.Target(moment=249), BASES, later, anew).logs.id == "a2"


def test_a_transaction_is_found_in_the_archives_of_older_days() -> None:
    day = 86400
    later = [ARCHIVES[0], snapshot("a2", 250 + day, "binlog", "timeline-x")]
    purged = ABOUT | {"a2": ABOUT["a2"] | {"before": f"{ONE}:1-55", "files": [{"name": "log.9", "created": day}]}}
    assert plan(restore.Target(before=f"{ONE}:30"), BASES, later, purged).logs.id == "a1"


@pytest.mark.parametrize(
    ("state", "fitness"),
    [
        ({"writable": True}, 2),
        ({"replication": {"receiver": "Yes", "applier": "Yes", "lag": 0}}, 0),
        ({"replication": {"receiver": "Yes", "applier": "Yes", "lag": 900}}, 1),
        ({"replication": {"receiver": "Yes", "applier": "No", "lag": None}}, 3),
        ({}, 3),  # a former primary that nobody follows, and that follows nobody
    ],
)
def test_who_is_fit_to_be_backed_up(state: dict, fitness: int) -> None:
    server = SimpleNamespace(state=lambda: {"writable": False, "replication": {}, "cluster": {}} | state)
    assert engine.rank(server, 60) == fitness


# --- What is kept -----------------------------------------------------------------------------------

NOW = 1_800_000_000.0
DAY = retention.DAY


def forgotten(*snapshots: Snapshot) -> set[str]:
    return {each.id for each in retention.superfluous(snapshots, NOW, keep_days=14, keep_weeks=8)}


def test_backups_of_the_last_days_are_kept_and_then_one_of_each_week() -> None:
    daily = [snapshot(f"d{age}", NOW - age * DAY, "base") for age in range(100)]
    kept = {each.id for each in daily} - forgotten(*daily)
    assert {f"d{age}" for age in range(14)} <= kept
    assert len([age for age in range(14, 100) if f"d{age}" in kept]) == 8


def test_the_newest_backup_is_kept_however_old_it_is() -> None:
    assert forgotten(snapshot("old", 0, "base"), snapshot("newer", 9, "base")) == {"old"}


def test_of_older_archives_the_last_of_each_day_and_of_each_sequence_is_kept() -> None:
    day = NOW - NOW % DAY - 3 * DAY
    archives = [snapshot(f"h{hour}", day + hour * 3600, "binlog", "timeline-x") for hour in range(20)]
    reseeded = snapshot("y", day + 3600, "binlog", "timeline-y")
    assert forgotten(*archives, reseeded) == {f"h{hour}" for hour in range(19)}


def test_a_backup_that_is_kept_can_be_restored() -> None:
    old = NOW - NOW % (7 * DAY) - 4 * 7 * DAY
    base = snapshot("week", old + 60, "base")
    archives = [snapshot(f"m{minute}", old + 60 * minute, "binlog", "timeline-x") for minute in range(5)]
    assert forgotten(base, snapshot("newest", NOW, "base"), *archives) == {"m0", "m1", "m3", "m4"}


def test_what_others_saved_is_left_alone() -> None:
    assert forgotten(snapshot("theirs", 0, "photos")) == set()


# --- Who does it ------------------------------------------------------------------------------------


def claim(name: str, token: str, since: float, until: float, serial: int, host: str = "db1") -> Snapshot:
    tags = ("lease", f"token-{token}", f"since-{since}", f"until-{until}", f"serial-{serial}")
    return snapshot(name, int(since), *tags, host=host)


def test_the_first_valid_claim_counts() -> None:
    claims = [claim("1", "a", 10, 100, 1, "db1"), claim("2", "b", 11, 100, 1, "db2")]
    assert [host for _, _, host in lease.owners(claims, 50)] == ["db1", "db2"]


def test_a_claim_that_was_given_up_or_ran_out_counts_no_more() -> None:
    claims = [claim("1", "a", 10, 100, 1), claim("2", "a", 10, 0, 2), claim("3", "b", 12, 40, 1)]
    assert lease.owners(claims, 50) == []


def test_a_claim_that_was_renewed_goes_on() -> None:
    claims = [claim("1", "a", 10, 40, 1), claim("2", "a", 10, 80, 2)]
    assert len(lease.owners(claims, 50)) == 1


# --- What is said -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("Fatal: wrong password or no key found", "the key does not open it"),
        ("ssh: connect to host 192.0.2.41 port 2022: Connection refused", "it does not answer"),
        ("Host key verification failed.", "not the one that was pinned"),
        ("tandem-backup@192.0.2.41: Permission denied (publickey).", "does not accept this host's key"),
        ('{"message_type":"exit_error","code":1,"message":"Fatal: write: no space left on device"}', "no space left"),
        ("Fatal: unable to open config file: stat: file does not exist", "there is no repository"),
        ("ciphertext verification failed", "its data is damaged"),
        ("Fatal: something else", "something else"),
    ],
)
def test_a_failure_of_the_repository_is_one_sentence(said: str, words: str) -> None:
    sentence = repository.explain("/repository", "save a backup", said)
    assert words in sentence
    assert "\n" not in sentence


def test_differences_are_named() -> None:
    wanted = {"a.same": [1, 5], "a.rows": [2, 5], "a.sum": [3, 5], "a.gone": [4, 5]}
    found = {"a.same": [1, 5], "a.rows": [1, 5], "a.sum": [3, 6], "a.more": [1, 1]}
    assert fingerprint.differences(wanted, found) == [
        "the table a.gone is missing",
        "the table a.more should not be there",
        "a.rows has 1 rows instead of 2",
        "a.sum has as many rows, but not the same",
    ]


def test_names_are_quoted() -> None:
    assert "`a``b`.`c`" in fingerprint.statement("a`b", "c", ["d"])


def test_metrics_keep_what_is_not_given_again(tmp_path) -> None:
    metrics.update(tmp_path, "run", {"failed": 0, "size_bytes": 5, "newest_timestamp_seconds": {"base": 7}})
    metrics.update(tmp_path, "run", {"failed": 1})
    text = (tmp_path / "backup-run.prom").read_text()
    assert 'tandem_backup_failed{task="run"} 1\n' in text
    assert 'tandem_backup_size_bytes{task="run"} 5\n' in text
    assert 'tandem_backup_newest_timestamp_seconds{task="run",kind="base"} 7.000\n' in text


def test_metrics_can_be_read_by_those_who_export_them(tmp_path: Path) -> None:
    """Everything else that the program writes is root's alone."""
    before = os.umask(0o077)
    try:
        metrics.update(tmp_path, "run", {"failed": 0})
    finally:
        os.umask(before)
    assert (tmp_path / "backup-run.prom").stat().st_mode & 0o777 == 0o644


def test_what_was_made_ready_last_is_what_is_put_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not what a run before it left half-way."""
    settings = SimpleNamespace(name="db1", engine="mysql", work_dir=tmp_path / "work", data_dir=tmp_path / "data")
    ready, half_way = settings.work_dir / console.PLACE, settings.data_dir / ".restored"
    for place, moment in ((ready, "03:00"), (half_way, "04:00")):
        place.mkdir(parents=True)
        (place / "tandem-restored.json").write_text(moment)
        (place / "table").write_text(moment)
    (half_way / ".old-data-is-gone").touch()
    (settings.data_dir / "other-table").write_text("04:00")
    monkeypatch.setattr(tasks, "LOCK", tmp_path / "lock")
    monkeypatch.setattr(console.subprocess, "run", lambda *_, **__: None)
    console.swap(settings, SimpleNamespace(galera=False))
    assert {path.name: path.read_text() for path in settings.data_dir.iterdir()} == {"table": "03:00"}
    assert not ready.exists()


def test_data_that_would_not_fit_in_its_place_is_refused_before_anything_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The place where it was made ready may be another disk."""
    ready, data = tmp_path / "ready", tmp_path / "data"
    ready.mkdir()
    data.mkdir()
    (ready / "table").write_bytes(bytes(2 << 20))
    monkeypatch.setattr("tandem_backup.engine.shutil.disk_usage", lambda _: SimpleNamespace(free=1 << 20))
    console.beside(ready, data)  # one disk: it lies on it already
    other = Path("/dev/shm")  # noqa: S108 - nothing is written there
    with pytest.raises(Failure, match="1 MiB free, and what is restored, beside the old data, needs 2 MiB"):
        console.beside(ready, other)
    assert not ready.exists()
