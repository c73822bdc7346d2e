"""A report as JSON, as a table on the terminal, as one HTML page, and as the table of the README."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema

from .commands import run
from .drill import LEAD, Drill, Outcome
from .hosts import Site
from .load import Settings

HERE = Path(__file__).parent
SCHEMA = json.loads((HERE / "report.schema.json").read_text(encoding="utf-8"))
README_BEGIN, README_END = "<!-- drills: begin -->", "<!-- drills: end -->"


def machine() -> dict[str, Any]:
    """Return what the numbers were measured on."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = next(
        (line.split(":")[1].strip() for line in info.splitlines() if line.startswith("model name")), platform.machine()
    )
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "docker": run("docker", "version", "--format", "{{.Server.Version}}").strip(),
    }


def begin(site: Site, settings: Settings, repeat: int) -> dict[str, Any]:
    """Return a report without drills."""
    variables = site.variables[site.client.name]
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "site": {
            "url": site.url,
            "addresses": site.addresses,
            "distro": variables.get("lab_distro"),
            "engine": variables.get("mysql_engine"),
            "topology": variables.get("mysql_topology"),
            **{
                tier: [host.name for host in getattr(site, tier)]
                for tier in ("loadbalancers", "webservers", "databases")
            },
        },
        "load": {
            "rate": settings.rate,
            "writes": settings.writes,
            "connect_timeout": settings.connect_timeout,
            "total_timeout": settings.total_timeout,
            "lead": LEAD,
        },
        "repeat": repeat,
        "drills": [],
    }


def add(report: dict[str, Any], drill: Drill, outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """Add a drill with its runs to the report; return its record."""
    runs = [dataclasses.asdict(outcome) for outcome in outcomes]
    record = {
        "name": drill.name,
        "shows": drill.shows,
        "hold": drill.hold,
        "expect": {
            "failed": drill.expect.text(),
            "gap": drill.expect.gap,
            "write_gap": drill.expect.write_gap,
        },
        "passed": all(not run["problems"] for run in runs),
        "runs": runs,
    }
    report["drills"].append(record)
    return record


def save(report: dict[str, Any], folder: Path) -> None:
    """Write report.json and report.html.

    :raises jsonschema.ValidationError: when the report is not what report.schema.json says.
    """
    jsonschema.validate(report, SCHEMA)
    (folder / "report.json").write_text(json.dumps(report) + "\n", encoding="utf-8")
    (folder / "report.html").write_text(page(report), encoding="utf-8")


def page(report: dict[str, Any]) -> str:
    """Return the report as one HTML page that needs nothing else."""
    vendor = HERE / "vendor" / "uplot"
    # The data stands in a script element: only "</" could end it early.
    parts = {
        "UPLOT_CSS": (vendor / "uPlot.min.css").read_text(encoding="utf-8"),
        "UPLOT_JS": (vendor / "uPlot.iife.min.js").read_text(encoding="utf-8"),
        "REPORT_JSON": json.dumps(report).replace("</", "<\\/"),
    }
    text = (HERE / "report.html").read_text(encoding="utf-8")
    for name, part in parts.items():
        text = text.replace("{{ " + name + " }}", part)
    return text


def cells(record: dict[str, Any]) -> dict[str, str]:
    """Return a drill's row of the tables; each number is the worst of its runs."""
    numbers = [run["numbers"] for run in record["runs"] if run["numbers"]]

    def worst(key: str) -> str:
        return f"{max(number[key] for number in numbers):g}" if numbers else "?"

    passed = sum(not run["problems"] for run in record["runs"])
    return {
        "drill": record["name"],
        "requests": f"{sum(number['requests'] for number in numbers)}",
        "failed": worst("failed"),
        "lost": worst("lost"),
        "double": worst("double"),
        "gap s": worst("gap"),
        "write gap s": worst("write_gap"),
        "p99 ms": f"{max(number['latency']['p99'] for number in numbers) * 1000:.0f}" if numbers else "?",
        "late ms": f"{max(number['lateness']['p99'] for number in numbers) * 1000:.0f}" if numbers else "?",
        "held": f"{passed}/{len(record['runs'])}",
    }


def table(report: dict[str, Any]) -> str:
    """Return the terminal's table, and below it why each red drill is red."""
    rows = [cells(record) for record in report["drills"]]
    if not rows:
        return "no drill was run"
    rows.insert(0, {key: key for key in rows[0]})
    widths = {key: max(len(row[key]) for row in rows) for key in rows[0]}
    lines = [
        "  ".join(text.ljust(widths[key]) if key == "drill" else text.rjust(widths[key]) for key, text in row.items())
        for row in rows
    ]
    lines += [
        f"{record['name']} {number}: {problem}"
        for record in report["drills"]
        for number, run in enumerate(record["runs"], 1)
        for problem in run["problems"]
    ]
    return "\n".join(lines)


def readme(reports: list[dict[str, Any]]) -> str:
    """Return the README's table, which says what was measured and on what.

    :param reports: one for each site, because no site has two topologies.
    :raises ValueError: when they were not measured alike.
    """
    report = reports[0]
    load, on = report["load"], report["machine"]
    alike = {(r["load"]["rate"], r["load"]["writes"], r["repeat"], *r["machine"].values()) for r in reports}
    if len(alike) > 1:
        raise ValueError(f"one table is for one load, number of runs and machine, not for {alike}")
    lines = [
        README_BEGIN,
        "",
        f"Measured {report['started'][:10]} on {on['cores']} cores ({on['cpu']}), {on['memory_gib']} GiB, "
        f"Linux {on['kernel']}: {load['rate']:g} requests/s, {load['writes']:.0%} writes, "
        f"{report['repeat']} runs each; the worst run is shown.",
        "",
        "| what happens | may fail | failed | lost / double | gap, s | allowed, s | of writes, s | allowed, s | held |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for record in [record for report in reports for record in report["drills"]]:
        row, expect = cells(record), record["expect"]
        gap, write_gap = ("-" if expect[key] is None else f"{expect[key]:g}" for key in ("gap", "write_gap"))
        lines.append(
            f"| {record['shows']} (`{record['name']}`) | {expect['failed']} | {row['failed']} "
            f"| {row['lost']} / {row['double']} | {row['gap s']} | {gap} "
            f"| {row['write gap s']} | {write_gap} | {row['held']} |"
        )
    return "\n".join([*lines, "", README_END])


def put_between(path: Path, begin: str, end: str, text: str) -> None:
    """Put a text, which has the two markers itself, in the place of a page's markers and what is between them.

    :raises ValueError: when a marker is missing.
    """
    page = path.read_text(encoding="utf-8")
    if begin not in page or end not in page:
        raise ValueError(f"{path} has no lines {begin} and {end}")
    before, rest = page.split(begin, 1)
    path.write_text(before + text + rest.split(end, 1)[1], encoding="utf-8")


def update_readme(reports: list[dict[str, Any]], path: Path) -> None:
    """Put the table between the README's two markers."""
    put_between(path, README_BEGIN, README_END, readme(reports))
