"""Measures; called by bin/bench."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.drills.tandem_drill.report import machine

from .lab import ROOT, BenchError, Cost, Lab
from .table import update

# A setting of nginx that nobody notices, and that is another one each time.
SETTING = '{{"nginx_worker_connections": {}}}'


def arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(prog="bin/bench", description=__doc__)
    parser.add_argument("inventory", nargs="*", default=["inventory/lab"], help="inventories of labs (inventory/lab)")
    parser.add_argument("--repeat", type=int, default=5, metavar="N", help="runs of each (5)")
    parser.add_argument("--accelerated", action="store_true", help="with Mitogen")
    parser.add_argument("--docs", metavar="REPORT", help="put this report.json in docs/performance.md and end")
    return parser.parse_args()


def measure(lab: Lab, repeat: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Return what everything costs on one inventory: a list of each, in the order of the runs."""
    costs: dict[str, list[Cost]] = {}
    apt: list[float] = []

    def take(name: str, cost: Cost) -> None:
        costs.setdefault(name, []).append(cost)
        say(f"{lab.inventory} {name}: {cost.wall:.1f} s, {cost.cpu:.1f} CPU-s here, {cost.changed} changed")

    for number in range(repeat):
        lab.bare()
        take("check on bare hosts", lab.site("--check"))
        take("cold", lab.site())
        take("no-op", lab.site())
        take("check", lab.site("--check"))
        take("one setting of nginx", lab.site("--tags", "nginx", "-e", SETTING.format(4100 + number)))
        for module in ("ping", "setup"):
            command = ["ansible", "all:!clients", "-i", lab.inventory, "-m", module]
            take(f"floor: {module}", lab.run(command))
        wanted, sources = lab.packages(), lab.sources()
        lab.bare()
        apt.append(lab.install(wanted, sources))
        say(f"{lab.inventory} floor: apt alone: {apt[-1]:.1f} s")
    lab.remove()
    for cost in costs["no-op"]:
        if cost.changed:
            raise BenchError(f"a second run changed {cost.changed} things; it measures no no-op")
    return {
        "inventory": lab.inventory,
        "hosts": len(wanted),
        "accelerated": bool(lab.accelerator),
        "floor_apt": apt,
        "plays": {
            name: {
                **{key: [getattr(cost, key) for cost in each] for key in ("wall", "cpu", "memory_mib", "changed")},
                "tasks": len(each[-1].tasks),
                "roles": each[-1].roles(),
                "slowest": sorted(each[-1].tasks, key=lambda task: -task[1])[:10],
            }
            for name, each in costs.items()
        },
    }


def main() -> int:
    """Do what the command line says; return 0 when everything was measured."""
    given = arguments()
    if given.docs:
        update(json.loads(Path(given.docs).read_text(encoding="utf-8")), ROOT / "docs/performance.md")
        return 0
    folder = ROOT / "reports/bench" / datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    folder.mkdir(parents=True)
    result: dict[str, Any] = {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "sites": [],
    }
    for inventory in given.inventory:
        lab = Lab(inventory, given.accelerated)
        try:
            result["sites"].append(measure(lab, given.repeat, lambda line: print(line, flush=True)))
        except BenchError as error:
            print(error, file=sys.stderr)
            return 1
        (folder / "report.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
    print(f"\n{folder}/report.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
