"""From the repository to a server that holds the data of a moment.

A restore to a moment holds what the primary had committed before that moment, and nothing that it committed at it or
later. On MySQL that is by the microsecond in which it was committed, on MariaDB by the second. Whatever the restored
data is for, it is made beside everything else, by a scratch server without a network; only when it is complete does
anybody put it anywhere. So a restore that fails, fails before it has changed anything.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from . import archive, binlog, gtid
from .engine import PROGRAMS, Scratch, connect, empty, last_words, room
from .repository import Repository, Snapshot, utc
from .settings import Failure, Settings

ABREAST = 600
"""So far apart, in seconds, are the archives of hosts that are well: each makes one a minute."""


@dataclass(frozen=True)
class Target:
    """Up to where: a moment, just before a transaction, a place in one host's logs, or as far as it goes."""

    moment: float | None = None
    before: str = ""
    host: str = ""
    timeline: str = ""
    file: str = ""
    position: int = 0

    def text(self) -> str:
        """Return it as a sentence says it."""
        if self.before:
            return f"just before {self.before}"
        return f"{utc(self.moment)} UTC" if self.moment is not None else "the latest"


def target(text: str, engine: str) -> Target:
    """Return what the operator wrote: nothing or `latest`, a time, or the name of a transaction.

    A time without an offset is UTC.

    :raises Failure: when it is neither.
    """
    text = text.strip()
    if text in ("", "latest"):
        return Target()
    if gtid.is_one(text, engine):
        return Target(before=text.lower())
    try:
        when = datetime.fromisoformat(re.sub(r"Z$", "+00:00", text))
    except ValueError:
        one = "UUID:NUMBER" if engine == "mysql" else "DOMAIN-SERVER-NUMBER"
        raise Failure(
            f"{text!r} is neither a time nor a transaction; write restore_to as '2026-11-23 04:00:00' (UTC, or with an "
            f"offset as in '2026-11-23 04:00:00+01:00'), as a GTID ({one}), or as latest."
        ) from None
    return Target(moment=(when if when.tzinfo else when.replace(tzinfo=timezone.utc)).timestamp())


@dataclass(frozen=True)
class Plan:
    """What is restored and replayed."""

    base: Snapshot
    about: dict[str, Any]
    logs: Snapshot
    archive: dict[str, Any]
    goal: Target

    def files(self) -> list[dict[str, Any]]:
        """Return the logs that may hold what the base lacks: from the last one begun before the base was."""
        every = self.archive["files"]
        early = [i for i, file in enumerate(every) if file["created"] <= self.about["complete_until"]]
        last = len(every)
        if self.goal.file:
            last = [file["name"] for file in every].index(self.goal.file) + 1
        return every[max(early, default=0) : last]


def describe(repository: Repository, base: Snapshot) -> dict[str, Any]:
    """Return what a backup says of itself."""
    return json.loads(repository.text(base, f"{base.path}/tandem.json"))


def plan(repository: Repository, settings: Settings, goal: Target) -> Plan:
    """Choose the backup and the archive that lead to the goal.

    :raises Failure: when nothing in the repository does.
    """
    bases = repository.snapshots("base")
    archives = repository.snapshots("binlog")
    if not bases:
        raise Failure(f"The repository {repository.url} holds no backup yet; run playbooks/backup.yml.")
    if goal.moment is not None and goal.moment > time.time():
        raise Failure(f"{goal.text()} is in the future; it is {utc(time.time())} UTC now.")
    problem: Failure | None = None
    for base in reversed(bases):
        if goal.moment is not None and base.time > goal.moment:
            continue
        about = describe(repository, base)
        if goal.before and gtid.holds(about["gtid_after"], goal.before, about["engine"]):
            continue
        if about["engine"] != settings.engine:
            raise problem or Failure(
                f"The backup of {utc(base.time)} is of {about['engine']} {about['version']}, and this site runs "
                f"{settings.engine}; a physical backup is only good for the engine that made it."
            )
        try:
            return _with_archive(repository, archives, base, about, goal)
        except Failure as failure:
            # The one before may lead there, by more logs.
            problem = problem or failure
    raise problem or Failure(
        f"{goal.text()} is before the oldest backup, which holds {utc(bases[0].time)} UTC; choose a later moment."
    )


def candidates(archives: list[Snapshot], goal: Target) -> list[Snapshot]:
    """Return the archives that may lead to the goal, the best first: of each sequence of logs, one.

    For a moment that is the first one that reaches it, because a later one may have lost its oldest logs. Which one
    holds a transaction is not known before it is asked, so of each day there is one.
    """
    best: dict[tuple[str, ...], Snapshot] = {}
    for each in archives:
        sequence: tuple[str, ...] = each.host, each.tagged("timeline-")
        if goal.host and sequence != (goal.host, goal.timeline):
            continue
        if goal.before:
            sequence = *sequence, str(each.time // 86400)
        if goal.moment is None or (each.time > goal.moment and sequence not in best):
            best[sequence] = each
    return sorted(best.values(), key=lambda each: each.time, reverse=goal.moment is None)


def _with_archive(
    repository: Repository, archives: list[Snapshot], base: Snapshot, about: dict[str, Any], goal: Target
) -> Plan:
    reach = max((each.time for each in archives), default=base.time)
    for logs in candidates(archives, goal):
        if goal.moment is None and not goal.before and not goal.file and logs.time < base.time:
            continue
        # On Galera a member numbers its binary logs itself: those of another do not go on from this backup.
        if "timeline" in about and (logs.host, logs.tagged("timeline-")) != (base.host, about["timeline"]):
            continue
        of = archive.about(repository, logs)
        # Begun before the backup was, and by a server that has what is in it: one that was made anew has not.
        begun_before = of["files"][0]["created"] <= about["complete_until"]
        if not begun_before or not gtid.covers(of["gtid"], about["gtid"], of["engine"]):
            continue
        if goal.before and (
            not gtid.holds(of["gtid"], goal.before, of["engine"])
            or gtid.holds(of["before"] or "", goal.before, of["engine"])
        ):
            continue
        if goal.file and goal.file not in [file["name"] for file in of["files"]]:
            continue
        if goal == Target() and reach - logs.time > ABREAST:
            raise Failure(
                f"The backup of {utc(base.time)} UTC leads to {utc(logs.time)} UTC only: the binary logs that reach to "
                f"{utc(reach)} UTC do not go on from it. Restore to '{utc(logs.time - 1)}' if that is enough."
            )
        return Plan(base, about, logs, of, goal)
    if goal.before:
        raise Failure(
            f"No archive of binary logs holds {goal.before} after a backup without it; it reaches to {utc(reach)} UTC."
        )
    if goal.moment is None:
        raise Failure(
            f"No archive of binary logs goes on from the backup of {utc(base.time)} UTC; see tandem-backup-archive on "
            "the database hosts, or restore to the moment of an older backup."
        )
    raise Failure(
        f"{goal.text()} is outside the archive of binary logs, which reaches to {utc(reach)} UTC; choose a moment "
        f"between the backup of {utc(base.time)} UTC and that."
    )


@dataclass
class Restored:
    """A scratch server with the data of the goal, and how that went; times in seconds."""

    scratch: Scratch
    plan: Plan
    state: str
    """Every transaction that it holds."""
    last: float | None
    """When the newest transaction that was replayed was committed."""
    replayed: int
    fetch_seconds: float
    replay_seconds: float
    start_seconds: float


def make(repository: Repository, settings: Settings, chosen: Plan, place: Path, tidy: bool = True) -> Restored:
    """Fetch, start a scratch server, replay. The server runs when this returns; whoever called stops it."""
    room(place.parent, chosen.about["size"], "the restored data")
    data, logs = empty(place), empty(place.with_name(f"{place.name}.logs"))
    begun = time.monotonic()
    _fetch(repository, chosen.base, chosen.base.path, data)
    wanted = chosen.files()
    logs.mkdir()
    received = logs / "all"
    repository.fetch(chosen.logs, received, [file["path"] for file in wanted])
    files = []
    for file in wanted:
        files.append(logs / file["name"])
        source = received / file["path"].lstrip("/")
        if not source.exists():
            raise Failure(f"The archive of {chosen.logs.host} lacks {file['name']}, which it says that it holds.")
        source.rename(files[-1])
    fetched = time.monotonic()
    scratch = Scratch(settings, data, chosen.about)
    try:
        scratch.start()
        started = time.monotonic()
        state, last, count = replay(scratch, chosen, files)
        if settings.engine == "mysql":
            scratch.server.query("RESET REPLICA ALL")
    except BaseException:
        scratch.stop()
        raise
    finally:
        if tidy:
            shutil.rmtree(logs, ignore_errors=True)
    ended = time.monotonic()
    return Restored(scratch, chosen, state, last, count, fetched - begun, ended - started, started - fetched)


def _fetch(repository: Repository, snapshot: Snapshot, path: str, target: Path) -> None:
    received = empty(target.with_name(f"{target.name}.part"))
    received.mkdir()
    repository.fetch(snapshot, received)
    (received / path.lstrip("/")).rename(target)
    shutil.rmtree(received)


def replay(scratch: Scratch, chosen: Plan, files: list[Path]) -> tuple[str, float | None, int]:
    """Apply what the base lacks, up to the goal; return the transactions held, the last one's time, and how many.

    :raises Failure: when something between the base and the logs is missing.
    """
    server, engine, goal = scratch.server, scratch.settings.engine, chosen.goal
    held = server.gtid() if engine == "mysql" else chosen.about["gtid_after"]
    start, stop, last, seen, used = 0, None, None, [], []
    reached = False
    for file in files:
        used.append(file)
        for each in binlog.read(engine, file):
            if goal.file:
                reached = file.name == goal.file and each.at >= goal.position
            else:
                reached = goal.before == each.gtid or (goal.moment is not None and each.time >= goal.moment)
            if reached:
                stop = each.at
                break
            if gtid.holds(held, each.gtid, engine):
                if engine == "mariadb" and seen:
                    raise Failure(
                        f"The archive holds {each.gtid} after newer transactions; several domains are not supported."
                    )
                start = 0
                continue
            if engine == "mariadb" and not seen:
                used, start = [file], each.at
            seen.append(each.gtid)
            last = each.time
        if reached:
            break
    if goal.before and not reached:
        raise Failure(f"{goal.before} is not in the archive of {chosen.logs.host}.")
    _gapless(server, engine, held, chosen)
    if seen:
        if engine == "mysql":
            server.query("SET GLOBAL super_read_only = OFF")
            server.query("SET GLOBAL read_only = OFF")
        binlog.replay(engine, used, scratch.socket, start, stop, held if engine == "mysql" else "")
    if engine == "mariadb":
        return gtid.newest([chosen.about["gtid"], held, *seen]), last, len(seen)
    state = server.gtid()
    lacking = [one for one in seen if not gtid.holds(state, one, engine)]
    if lacking:
        raise Failure(f"After the replay the server still lacks {lacking[0]}; the archive is not whole.")
    return state, last, len(seen)


def _gapless(server: Any, engine: str, held: str, chosen: Plan) -> None:
    missing = server.gtid_missing_in(chosen.archive["before"] or "", held) if engine == "mysql" else ""
    if missing:
        raise Failure(
            f"Between the backup of {utc(chosen.base.time)} UTC and the archive of {chosen.logs.host}, the "
            f"transactions {missing} are missing; restore to the moment of an older backup."
        )


def remove(place: Path) -> None:
    """Remove what a restore made, with its server's socket and log."""
    for suffix in ("", ".part", ".logs"):
        shutil.rmtree(place.with_name(f"{place.name}{suffix}"), ignore_errors=True)
    for suffix in (".sock", ".sock.lock", ".log", ".pid"):
        place.with_name(f"{place.name}{suffix}").unlink(missing_ok=True)


def vacant(settings: Settings, schema: str) -> None:
    """Refuse a schema that is there already."""
    if connect(settings).query("SELECT 1 FROM information_schema.schemata WHERE schema_name = %s", (schema,)):
        raise Failure(f"There is a schema {schema} already; drop it, or name another with restore_into.")


def dump(settings: Settings, restored: Restored, database: str, table: str, into: str) -> None:
    """Copy a database, or one table of it, from the scratch server into another schema of this host's server.

    :raises Failure: when there is no such thing.
    """
    there = connect(settings)
    names = restored.scratch.server.query(
        "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = %s", (database,)
    )
    known = [row["name"] for row in names]
    if not known or (table and table not in known):
        what = f"table {table} in {database}" if known and table else f"database {database}"
        raise Failure(f"At {restored.plan.goal.text()} there was no {what}.")
    programs = PROGRAMS[settings.engine]
    words = [programs["dump"], "--no-defaults", f"--socket={restored.scratch.socket}", "--user=root"]
    words += ["--single-transaction", "--triggers", "--max-allowed-packet=1G"]
    words += ["--set-gtid-purged=OFF", "--no-tablespaces"] if settings.engine == "mysql" else []
    # Not its events: they would begin to run, on the copy or on what it was copied from.
    words += ["--routines"] if not table else []
    client = [programs["client"], "--no-defaults", f"--socket={settings.socket}", "--user=root", into]
    there.query(f"CREATE SCHEMA `{into}`")
    reader = subprocess.Popen(
        [*words, database, *([table] if table else [])], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    writer = subprocess.run(client, stdin=reader.stdout, stderr=subprocess.PIPE, check=False)
    reader.stdout.close()
    said = reader.stderr.read().decode(errors="replace")
    if reader.wait() or writer.returncode:
        there.query(f"DROP SCHEMA `{into}`")
        raise Failure(f"{database} could not be copied: {last_words(writer.stderr.decode(errors='replace') or said)}.")
