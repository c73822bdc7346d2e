"""What the benchmark reads of a play, and what it writes about it."""

import sys
from pathlib import Path
from typing import Any

import pytest

from bench.lab import BenchError, Cost, Lab
from bench.table import table, update

PLAY = """
PLAY RECAP *********
db1                        : ok=63   changed=2    unreachable=0    failed=0
db2                        : ok=61   changed=1    unreachable=0    failed=0


TASKS RECAP ********
Sunday 29 November 2026  12:01:42 +0000 (0:00:00.401)       0:00:07.859 *******
===============================================================================
tandem.web.base : Base | Packages --------------------------------------- 9.56s
tandem.web.base : Base | Names of the other hosts ----------------------- 2.70s
Gathering Facts --------------------------------------------------------- 4.31s
"""


def cost(wall: float, changed: int = 0) -> dict[str, Any]:
    tasks = [("tandem.web.base : Base | Packages", 1.5), ("Gathering Facts", 0.5)]
    return {
        "wall": [wall, wall + 2, wall + 1],
        "cpu": [1.0] * 3,
        "memory_mib": [100.0] * 3,
        "changed": [changed] * 3,
        "tasks": 2,
        "roles": Cost(1, 1, 1, 0, tasks).roles(),
        "slowest": tasks,
    }


@pytest.fixture
def report() -> dict[str, Any]:
    plays = {"cold": cost(100, 9), "no-op": cost(30), "floor: setup": cost(3)}
    site = {"inventory": "inventory/lab", "hosts": 8, "accelerated": False, "floor_apt": [50, 51, 50.5], "plays": plays}
    return {
        "started": "2026-11-29T12:00:00+00:00",
        "machine": {"cpu": "a CPU", "cores": 2, "memory_gib": 24, "kernel": "6"},
        "sites": [site],
    }


def test_a_play_is_measured(tmp_path: Path) -> None:
    (tmp_path / "said").write_text(PLAY)
    found = Lab("inventory/lab", accelerated=False).run(["cat", str(tmp_path / "said")])
    assert found.changed == 3
    assert found.tasks[1] == ("tandem.web.base : Base | Names of the other hosts", 2.7)
    assert list(found.roles()) == ["base", "play"]
    assert found.roles()["base"] == pytest.approx(12.26)
    assert 0 < found.wall < 60
    assert found.memory_mib > 0


def test_a_play_that_fails_is_no_measurement() -> None:
    with pytest.raises(BenchError, match="no such host"):
        Lab("inventory/lab", accelerated=False).run(
            [sys.executable, "-c", "import sys; print('no such host'); sys.exit(4)"]
        )


def test_ratios_are_of_the_same_run(report: dict[str, Any]) -> None:
    lines = "\n".join(table(report["sites"][0]))
    assert "| cold | 101.0 (100.0-102.0) | 1.0 (1.0-1.0) | 2 | 2.0 (2.0-2.0) |" in lines
    assert "base 2 s" in lines


def test_the_page_keeps_what_is_around_the_table(report: dict[str, Any], tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text("# Above\n<!-- bench: begin -->\nstale\n<!-- bench: end -->\nbelow\n")
    update(report, page)
    text = page.read_text()
    assert text.startswith("# Above\n<!-- bench: begin -->\n\nMeasured 2026-11-29 on 2 cores")
    assert text.endswith("\n\n<!-- bench: end -->\nbelow\n")
    assert "stale" not in text
