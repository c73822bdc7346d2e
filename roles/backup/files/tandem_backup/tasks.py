"""What the timers start. Each returns numbers for its metric file."""

from __future__ import annotations

import fcntl
import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import archive, engine, fingerprint, metrics, restore, retention
from .lease import turn
from .repository import Repository, Snapshot, utc
from .settings import Failure, Settings, write

LOCK = Path("/run/tandem-backup.lock")
Numbers = dict[str, Any]


@contextmanager
def alone(settings: Settings, name: str, wait: bool = False) -> Iterator[None]:
    """Hold this host's lock of a task: a timer and an operator do not meet in one directory."""
    with LOCK.with_suffix(f".{name}").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise Failure(f"{settings.name} is at work on another {name} just now; see its journal.") from None
        yield


def _fresh(repository: Repository, kind: str, since: float) -> str:
    newest = [each for each in repository.snapshots(kind) if each.time >= since]
    return f"{newest[-1].host} has done it, and holds {utc(newest[-1].time)} UTC" if newest else ""


def _rank(settings: Settings) -> int:
    return engine.rank(engine.connect(settings), settings.max_lag)


def run(settings: Settings, since: float = 0) -> Numbers:
    """Back this host's data up, if it is its turn and nobody has since then (a Unix time)."""
    repository = Repository(settings)
    since = since or time.time() - settings.fresh
    numbers: Numbers = {}
    with (
        alone(settings, "backup"),
        turn(repository, settings, "backup", _rank(settings), lambda: _fresh(repository, "base", since)) as mine,
    ):
        if mine:
            numbers = _base(repository, settings)
            _go_on(repository, settings)
    return numbers | {"newest_timestamp_seconds": {"base": _newest(repository)}}


def _newest(repository: Repository) -> float:
    return max((each.time for each in repository.snapshots("base")), default=0)


def _base(repository: Repository, settings: Settings) -> Numbers:
    copy = settings.work_dir / "copy"
    try:
        print(f"Copies the data of {settings.name}.")
        server = engine.connect(settings)
        own = engine.own_numbers(server)  # before the copy, in whose hours this connection may end
        about = engine.copy(server, settings, copy)
        if own:
            about["timeline"] = archive.timeline(server, settings)
        write(copy / "tandem.json", json.dumps(about, indent=1) + "\n", 0o600)
        print(f"Saves {about['size'] >> 20} MiB in {repository.url}.")
        # Not before the moment that it holds, whole seconds though they are.
        summary = repository.save([copy], "base", when=math.ceil(about["holds"]))
    finally:
        engine.empty(copy)
    added = summary.get("data_added", 0)
    print(f"Saved, {added >> 20} MiB of it new.")
    return {"size_bytes": about["size"], "added_bytes": added}


def _go_on(repository: Repository, settings: Settings) -> None:
    """Save the binary logs that go on from a new backup: without them nobody could restore it to the latest yet."""
    holds = _newest(repository)
    try:
        with alone(settings, "archive", wait=True):
            # Those of a replica may lack the last seconds.
            for _ in range(5):
                if archive.archive(repository, settings)["archive_until"] >= holds:
                    break
                time.sleep(1)
    except Failure as failure:
        print(f"The backup is saved; the logs after it come with the next archive: {failure}")


def archive_logs(settings: Settings) -> Numbers:
    """Save this host's binary logs."""
    with alone(settings, "archive", wait=True):
        numbers = archive.archive(Repository(settings), settings)
    return {"archive_until_timestamp_seconds": numbers["archive_until"], "added_bytes": numbers["added"]}


def take_fingerprint(settings: Settings, since: float = 0) -> Numbers:
    """Leave row counts and checksums in the repository, for the proof."""
    repository = Repository(settings)
    since = since or time.time() - settings.fresh
    with (
        alone(settings, "fingerprint"),
        turn(
            repository,
            settings,
            "fingerprint",
            _rank(settings),
            lambda: _fresh(repository, "fingerprint", since) or _for_another(repository, settings),
        ) as mine,
    ):
        if mine:
            found = fingerprint.take(settings)
            found["timeline"] = archive.timeline(engine.connect(settings), settings)
            repository.note("/fingerprint.json", json.dumps(found), "fingerprint", when=math.ceil(found["time"]))
            print(f"{len(found['tables'])} tables at {found['file']}:{found['position']}.")
    return {}


def _for_another(repository: Repository, settings: Settings) -> str:
    """Return whose task a fingerprint is, if not this host's: the newest backup leads to points of some logs only."""
    bases = repository.snapshots("base")
    if not bases or bases[-1].host == settings.name or not engine.own_numbers(engine.connect(settings)):
        return ""
    return f"only the binary logs of {bases[-1].host} go on from the newest backup"


def maintain(settings: Settings) -> Numbers:
    """Forget what is too old, and verify a part of what is kept."""
    repository = Repository(settings)
    since = time.time() - settings.fresh
    with (
        alone(settings, "maintenance"),
        turn(repository, settings, "maintenance", 0, lambda: _fresh(repository, "maintenance", since)) as mine,
    ):
        if mine:
            old = retention.superfluous(_everything(repository), time.time(), settings.keep_days, settings.keep_weeks)
            # Locks of hosts that died; those of the living stay.
            repository.run("unlock", doing="remove old locks")
            for part in range(0, len(old), 200):
                ids = [each.id for each in old[part : part + 200]]
                patiently(lambda ids=ids: repository.run("forget", *ids, doing="forget old backups", timeout=None))
            patiently(lambda: repository.run("prune", "--max-unused=10%", doing="free its space", timeout=None))
            part = f"--read-data-subset={settings.check_percent}%"
            patiently(lambda: repository.run("check", part, doing="be verified", timeout=None))
            repository.note("/maintenance", "done", "maintenance", when=time.time())
            print(f"{len(old)} snapshots forgotten; the repository is sound.")
    return {}


def _everything(repository: Repository) -> list[Snapshot]:
    return [each for kind in retention.KINDS for each in repository.snapshots(kind)]


def patiently(work: Any, limit: float = 900) -> None:
    """Do it when nobody else works on the repository; the archive does so for seconds of each minute."""
    deadline = time.monotonic() + limit
    while True:
        try:
            work()
            return
        except Failure as failure:
            if "another process works on it" not in str(failure) or time.monotonic() > deadline:
                raise
            time.sleep(2)


def prove(settings: Settings) -> Numbers:
    """Restore the newest backup and its logs into a scratch server, and compare it with the fingerprint."""
    repository = Repository(settings)
    place = settings.work_dir / "proof"
    # Until it has come to its end, nothing is proven.
    metrics.update(settings.metrics_dir, "prove", {"proof_ok": 0})
    with alone(settings, "proof"):
        marks = repository.snapshots("fingerprint")
        asked = time.time()
        reach = {each.host: each.time for each in repository.snapshots("binlog")}
        usable = [each for each in marks if each.time <= reach.get(each.host, 0)]
        if not usable:
            raise Failure(
                f"The repository {repository.url} holds no fingerprint that its binary logs reach; see "
                "tandem-backup-fingerprint and tandem-backup-archive on the database hosts."
            )
        wanted = json.loads(repository.text(usable[-1], "/fingerprint.json"))
        goal = restore.Target(
            moment=wanted["time"],
            host=usable[-1].host,
            timeline=wanted["timeline"],
            file=wanted["file"],
            position=wanted["position"],
        )
        begun = time.monotonic()
        chosen = restore.plan(repository, settings, goal)
        newest = [each for each in repository.snapshots("base") if each.time <= goal.moment][-1]
        if chosen.base != newest:
            raise Failure(
                f"Nothing goes on from the newest backup, of {utc(newest.time)} UTC by {newest.host}; only that of "
                f"{utc(chosen.base.time)} UTC can be restored."
            )
        try:
            restored = restore.make(repository, settings, chosen, place)
            took = time.monotonic() - begun
            try:
                restored.scratch.server.query("SET SESSION time_zone = '+00:00'")
                found = fingerprint.tables(restored.scratch.server)
                lacks = restored.scratch.server.gtid_missing_in(wanted["gtid"], restored.state)
            finally:
                restored.scratch.stop()
        finally:
            restore.remove(place)
    problems = fingerprint.differences(wanted["tables"], found)
    if lacks:
        problems.append(f"the transactions {lacks} are missing")
    if problems:
        raise Failure(
            f"The backup of {utc(chosen.base.time)} UTC, restored to {goal.file}:{goal.position} of {goal.host}, is "
            f"not what the server had: {'; '.join(problems[:5])}."
        )
    rows = sum(each[0] for each in found.values())
    lost = max(0, asked - max(reach.values()))
    print(
        f"The backup of {utc(chosen.base.time)} UTC and {restored.replayed} transactions after it are what {goal.host} "
        f"had: {len(found)} tables, {rows} rows; restored in {took:.1f} s, {lost:.0f} s would be lost."
    )
    return {
        "proof_ok": 1,
        "proof_backup_timestamp_seconds": chosen.base.time,
        "proof_recovery_seconds": {
            "fetch": restored.fetch_seconds,
            "start": restored.start_seconds,
            "replay": restored.replay_seconds,
            "total": took,
        },
        "proof_recovery_point_seconds": lost,
        "proof_transactions": restored.replayed,
        "proof_tables": len(found),
        "proof_rows": rows,
    }
