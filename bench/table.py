"""The table of docs/performance.md, made of a report."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.drills.tandem_drill.report import put_between

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


def spread(values: Iterable[float], unit: str = "") -> str:
    """Return the median, with the range when it was measured more than once."""
    ordered = sorted(values)
    text = f"{statistics.median(ordered):.1f}{unit}"
    return text if len(ordered) == 1 else f"{text} ({ordered[0]:.1f}-{ordered[-1]:.1f})"


def ratios(play: dict[str, Any], floor: list[float]) -> list[float]:
    """Return how many times as long a play took as its floor of the same run."""
    return [wall / bottom for wall, bottom in zip(play["wall"], floor, strict=True)]


def table(site: dict[str, Any]) -> Iterator[str]:
    """Yield the lines about one inventory."""
    plays, setup = site["plays"], site["plays"]["floor: setup"]["wall"]
    how = "with Mitogen" if site["accelerated"] else "with Ansible as it comes"
    yield f"`{site['inventory']}`, {site['hosts']} managed hosts, {how}, {len(setup)} runs each:"
    yield ""
    yield "| | seconds | CPU-seconds here | tasks | / apt alone | / `setup` |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for name, play in plays.items():
        yield (
            f"| {name} | {spread(play['wall'])} | {spread(play['cpu'])} | {play['tasks'] or ''} "
            f"| {spread(ratios(play, site['floor_apt']))} | {spread(ratios(play, setup))} |"
        )
    yield f"| floor: apt alone, the same packages on all hosts at once | {spread(site['floor_apt'])} | | | | |"
    yield ""
    for name in ("cold", "no-op"):
        slowest = ", ".join(f"{task} {seconds:.1f} s" for task, seconds in plays[name]["slowest"])
        roles = ", ".join(f"{role} {seconds:.0f} s" for role, seconds in plays[name]["roles"].items() if seconds >= 1)
        yield f"Of one run, {name}: {roles}. Slowest: {slowest}."
        yield ""


def update(report: dict[str, Any], path: Path) -> None:
    """Put a report's tables between the marks of a page."""
    about = report["machine"]
    lines = [
        f"Measured {report['started'][:10]} on {about['cores']} cores ({about['cpu']}), {about['memory_gib']} GiB, "
        f"Linux {about['kernel']}. Median, and range, of each.",
        "",
        *(line for site in report["sites"] for line in table(site)),
    ]
    put_between(path, BEGIN, END, f"{BEGIN}\n\n" + "\n".join(lines).rstrip() + f"\n\n{END}")
