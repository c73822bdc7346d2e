"""Back this host's databases up, restore them, and prove that they can be restored.

    tandem-backup run [--since TIME] [--at-once]  copy the data into the repository, if it is this host's turn
    tandem-backup archive                the binary logs, each minute
    tandem-backup fingerprint [--since TIME]  row counts and checksums for the proof
    tandem-backup maintain               forget what is too old, verify what is kept
    tandem-backup prove                  restore the newest backup into a scratch server and compare
    tandem-backup status                 what the repository holds
    tandem-backup plan --to WHEN         what a restore would do, without doing it
    tandem-backup prepare --to WHEN      make the data of a moment ready beside the server's own
    tandem-backup swap [--galera]        put it in the place of the server's data, which is gone then
    tandem-backup extract --to WHEN --database NAME [--table NAME] --into SCHEMA
    tandem-backup init                   make the repository where there is none
    tandem-backup report TASK            systemd's: the task ended, however that was

With --since (a Unix time), only what was made after it counts as done already; with --at-once, no fitter host is
waited for. WHEN is `latest`, a time
('2026-11-23 04:00:00', UTC), or the GTID to stop before. A failure is one sentence on stderr and exit status 1, and a
metric. Settings are in /etc/tandem/backup, written by the role backup.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from . import console, metrics, tasks
from .settings import Failure, Settings

TIMED: dict[str, Callable[..., dict[str, Any]]] = {
    "run": tasks.run,
    "archive": tasks.archive_logs,
    "fingerprint": tasks.take_fingerprint,
    "maintain": tasks.maintain,
    "prove": tasks.prove,
}
ASKED: dict[str, Callable[[Settings, argparse.Namespace], None]] = {
    "init": console.init,
    "status": console.status,
    "plan": console.show_plan,
    "prepare": console.prepare,
    "swap": console.swap,
    "extract": console.extract,
}


def timed(settings: Settings, options: argparse.Namespace) -> None:
    """Do a timer's task; its outcome becomes a metric."""
    begun = time.time()
    work = TIMED[options.verb]
    numbers = work(settings, since=options.since) if options.since else work(settings)
    ended = time.time()
    numbers |= {"last_success_timestamp_seconds": ended, "duration_seconds": ended - begun}
    report(settings, options.verb, failed=False, **numbers)


def report(settings: Settings, task: str, failed: bool, **numbers: Any) -> None:
    """Write how a task ended."""
    values = {"failed": int(failed), "last_run_timestamp_seconds": time.time()} | numbers
    metrics.update(settings.metrics_dir, task, values)


def arguments() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(prog="tandem-backup", usage=__doc__)
    parser.add_argument("verb", choices=[*TIMED, *ASKED, "report"])
    parser.add_argument("task", nargs="?", default="")
    parser.add_argument("--since", type=float, default=0)
    parser.add_argument("--to", default="latest")
    parser.add_argument("--at-once", action="store_true")
    parser.add_argument("--galera", action="store_true")
    for name in ("--database", "--table", "--into"):
        parser.add_argument(name, default="")
    return parser.parse_args()


def main() -> int:
    """Run one verb; return the exit status."""
    options = arguments()
    os.umask(0o077)
    try:
        settings = Settings.read()
        if options.at_once:
            settings = dataclasses.replace(settings, patience=0)
        if options.verb == "report":
            # A program that was killed could not say so itself.
            report(settings, options.task, failed=os.environ.get("SERVICE_RESULT", "success") != "success")
        elif options.verb in TIMED:
            timed(settings, options)
        else:
            ASKED[options.verb](settings, options)
    except Failure as failure:
        print(failure, file=sys.stderr)
        if options.verb in TIMED:
            report(settings, options.verb, failed=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
