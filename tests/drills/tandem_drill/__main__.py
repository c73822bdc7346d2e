"""The command line of bin/drill."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from . import report
from .commands import CommandFailedError
from .drill import UnhealthyError, drills, install_client, run_all
from .hosts import Site
from .load import Settings

ROOT = Path(__file__).parents[3]


class Terminal:
    """One line that is written over where there is a terminal, nothing where there is none."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()

    def progress(self, text: str) -> None:
        """Show what is happening now."""
        if self._live:
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()

    def line(self, text: str) -> None:
        """Print a line that stays."""
        self.progress("")
        print(text, flush=True)


def arguments() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(
        prog="bin/drill", description="Breaks the lab under load, counts every request, and heals what it broke."
    )
    parser.add_argument("drill", nargs="*", help="names of drills; all if none is given")
    parser.add_argument("--list", action="store_true", help="list the drills and end")
    parser.add_argument("--inventory", default=str(ROOT / "inventory/lab"), help="inventory of the lab")
    parser.add_argument("--rate", type=float, default=200, metavar="N", help="requests per second (200)")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="runs of each drill (1)")
    parser.add_argument("--no-alerts", action="store_true", help="do not wait for alerts, nor judge them")
    parser.add_argument("--url", help="scheme and name to ask for (what the inventory says)")
    parser.add_argument("--ca", metavar="FILE", help="CA of its certificate, on the client host (the lab's ACME CA)")
    parser.add_argument(
        "--readme", nargs="+", metavar="REPORT", help="put the table of these report.json in README.md and end"
    )
    return parser.parse_args()


ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, a service manager, a terminal that is closed."""


def interrupted(number: int, _frame: object) -> None:
    """End in good order on the first of these signals; the site is healed, so a second one must wait."""
    for each in ENDING:
        signal.signal(each, signal.SIG_IGN)
    print("\ninterrupted: healing the site", file=sys.stderr, flush=True)
    raise KeyboardInterrupt(number)


def main() -> int:
    """Do what the command line says; return 0 only if every drill held."""
    given = arguments()
    if given.readme:
        report.update_readme([json.loads(Path(path).read_text("utf-8")) for path in given.readme], ROOT / "README.md")
        return 0
    known = {drill.name: drill for drill in drills(ROOT / "tests/drills")}
    if given.list:
        width = max(map(len, known))
        print("\n".join(f"{name:{width}}  {drill.shows}" for name, drill in known.items()))
        return 0
    if unknown := [name for name in given.drill if name not in known]:
        print(f"no such drill: {', '.join(unknown)}; see bin/drill --list", file=sys.stderr)
        return 2

    terminal = Terminal()
    site = Site(given.inventory, given.url, given.ca)
    if given.no_alerts:
        site.monitoring = []
    settings = Settings(url=site.url, addresses=site.addresses, run="", ca=site.ca, rate=given.rate)
    chosen = []
    for drill in [known[name] for name in given.drill] or known.values():
        if lacks := drill.missing(site):
            terminal.line(f"left out: {drill.name} {lacks}")
        else:
            chosen.append(drill)
    folder = ROOT / "reports/drills" / datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    folder.mkdir(parents=True)

    for each in ENDING:
        signal.signal(each, interrupted)
    terminal.line(
        f"{settings.rate:g} requests/s to {site.url} at {', '.join(site.addresses)}, "
        f"{settings.writes:.0%} writes; time-outs {settings.connect_timeout:g} s to connect, "
        f"{settings.total_timeout:g} s in all; nothing is sent twice"
    )
    result, code = report.begin(site, settings, given.repeat), 0
    try:
        install_client(site)
        for drill, outcomes in run_all(chosen, site, settings, given.repeat, folder, terminal.progress):
            record = report.add(result, drill, outcomes)
            code |= not record["passed"]
            terminal.line(
                f"{'held  ' if record['passed'] else 'FAILED'} {drill.name}: "
                + ", ".join(f"{key} {text}" for key, text in report.cells(record).items() if key != "drill")
            )
    except UnhealthyError as error:
        terminal.line(f"the site is not healthy, so it is left alone: {error}")
        code = 1
    except CommandFailedError as error:
        terminal.line(str(error))
        code = 1
    except KeyboardInterrupt as error:
        code = 128 + error.args[0]
    report.save(result, folder)
    terminal.line(f"\n{report.table(result)}\n\n{folder}/report.html")
    return code


if __name__ == "__main__":
    sys.exit(main())
