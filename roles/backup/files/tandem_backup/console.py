"""What playbooks and people ask for."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import metrics, restore
from .engine import room, size_of
from .repository import Repository, utc
from .settings import Failure, Settings, write
from .tasks import alone

SERVICES = {"mysql": "mysql", "mariadb": "mariadb"}
PLACE = "restored"


def init(settings: Settings, _: argparse.Namespace) -> None:
    """Make the repository where there is none; print "changed" then."""
    if Repository(settings).create():
        print("changed")


def status(settings: Settings, _: argparse.Namespace) -> None:
    """Print what the repository holds, and what this host knows of the last proof."""
    repository = Repository(settings)
    for kind, words in (("base", "backup"), ("binlog", "binary logs"), ("fingerprint", "fingerprint")):
        found = repository.snapshots(kind)
        newest = f"{utc(found[-1].time)} UTC, by {found[-1].host}" if found else "none"
        oldest = f"; the oldest {utc(found[0].time)} UTC" if found else ""
        print(f"{words}: {newest}{oldest}")
    for (name, _labels), value in metrics.read(settings.metrics_dir / "backup-prove.prom").items():
        if name == "proof_ok":
            print(f"last proof: {'passed' if float(value) else 'failed'}")


def _plan(settings: Settings, options: argparse.Namespace) -> restore.Plan:
    return restore.plan(Repository(settings), settings, restore.target(options.to, settings.engine))


def _words(chosen: restore.Plan) -> dict[str, Any]:
    return {
        "to": chosen.goal.text(),
        "backup": f"{utc(chosen.base.time)} UTC, of {chosen.base.host}",
        "logs": f"{len(chosen.files())} of {chosen.logs.host}, which reach to {utc(chosen.logs.time)} UTC",
        "size": chosen.about["size"],
    }


def show_plan(settings: Settings, options: argparse.Namespace) -> None:
    """Print what a restore would use; it fails as the restore itself would."""
    chosen = _plan(settings, options)
    room(settings.work_dir, chosen.about["size"], "the restored data")
    print(json.dumps(_words(chosen)))


@contextmanager
def _made(settings: Settings, options: argparse.Namespace, name: str) -> Iterator[restore.Restored]:
    chosen = _plan(settings, options)
    place = settings.work_dir / name
    try:
        restored = restore.make(Repository(settings), settings, chosen, place)
    except BaseException:
        restore.remove(place)
        raise
    try:
        yield restored
    finally:
        restored.scratch.stop()


def beside(ready: Path, data: Path) -> None:
    """Refuse data that would not fit beside the old on the server's own disk; on the same disk it does already."""
    if ready.stat().st_dev == data.stat().st_dev:
        return
    try:
        room(data, size_of(ready), "what is restored, beside the old data,", elsewhere=False)
    except BaseException:
        restore.remove(ready)
        raise


def prepare(settings: Settings, options: argparse.Namespace) -> None:
    """Make the data ready in the work directory, and print what it is."""
    with alone(settings, "restore"):
        begun = time.monotonic()
        with _made(settings, options, PLACE) as restored:
            about = _words(restored.plan) | {
                "state": restored.state,
                "position": "" if settings.engine == "mysql" else restore.gtid.position(restored.state),
                "last": f"{utc(restored.last)} UTC" if restored.last else "",
                "replayed": restored.replayed,
            }
        beside(settings.work_dir / PLACE, settings.data_dir)
        # A new identity: its old one's transactions may go on elsewhere, under the numbers that come next here.
        for name in ("auto.cnf", "tandem.json"):
            (settings.work_dir / PLACE / name).unlink(missing_ok=True)
        about["seconds"] = round(time.monotonic() - begun, 1)
        write(settings.work_dir / PLACE / "tandem-restored.json", json.dumps(about))
        print(json.dumps(about))


def swap(settings: Settings, options: argparse.Namespace) -> None:
    """Put the data that is ready in the place of the server's; a run that was cut is finished by the next.

    The server is down meanwhile, and read-only afterwards. The old data is removed when the new lies beside it
    on the same disk. With --galera the server is then the first of a new cluster: it could not start without one.
    """
    ready, incoming = settings.work_dir / PLACE, settings.data_dir / ".restored"
    complete = incoming / "tandem-restored.json"
    newer = (ready / complete.name).exists()  # than what a run before this one left half-way
    with alone(settings, "restore"):
        if not complete.exists() and not newer:
            raise Failure(f"Nothing is ready in {ready}; run tandem-backup prepare first.")
        service = SERVICES[settings.engine]
        subprocess.run(["systemctl", "stop", service], check=True)
        if newer or not complete.exists():
            shutil.rmtree(incoming, ignore_errors=True)
            partial = settings.data_dir / ".restoring"
            shutil.rmtree(partial, ignore_errors=True)
            shutil.move(ready, partial)
            partial.rename(incoming)
        gone = incoming / ".old-data-is-gone"
        for path in settings.data_dir.iterdir() if not gone.exists() else ():
            # debian-*.flag are the package's own.
            if path != incoming and not path.name.startswith("debian-"):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        gone.touch()
        for path in incoming.iterdir():
            if path not in (complete, gone):
                path.rename(settings.data_dir / path.name)
        subprocess.run(["chown", "-R", "mysql:mysql", str(settings.data_dir)], check=True)
        about = complete.read_text()
        shutil.rmtree(incoming)
        subprocess.run(["galera_new_cluster"] if options.galera else ["systemctl", "start", service], check=True)
        restore.remove(ready)
        print(about)


def extract(settings: Settings, options: argparse.Namespace) -> None:
    """Copy a database or a table, as it was, into a schema beside."""
    if not options.database or not options.into:
        raise Failure("extract needs --database and --into.")
    restore.vacant(settings, options.into)
    with alone(settings, "extract"), _made(settings, options, "extract") as restored:
        try:
            restore.dump(settings, restored, options.database, options.table, options.into)
        finally:
            restored.scratch.stop()
            restore.remove(settings.work_dir / "extract")
        print(json.dumps(_words(restored.plan) | {"replayed": restored.replayed}))
