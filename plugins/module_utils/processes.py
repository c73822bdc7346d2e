"""When processes began, and what changed after that. Also runs on its own, beside a program on a host."""

from __future__ import annotations

import os
import time
from pathlib import Path


def started(process: Path, now: float, uptime: float) -> float:
    """Return when a process of /proc started, in seconds since the epoch."""
    # The name, in parentheses, may hold spaces; the fields after it do not.
    ticks = int((process / "stat").read_text().rpartition(")")[2].split()[19])
    return now - uptime + ticks / os.sysconf("SC_CLK_TCK")


def starts(name: str) -> list[float]:
    """Return when each process of that name started, in seconds since the epoch."""
    now, uptime = time.time(), float(Path("/proc/uptime").read_text().split()[0])
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "comm").read_text().strip() == name:
                found.append(started(process, now, uptime))
        except OSError:  # it has ended meanwhile
            continue
    return found


def newer_than(moment: float, files: list[str]) -> list[str]:
    """Return the files that changed after a moment, in seconds since the epoch."""
    return [file for file in files if os.path.exists(file) and os.stat(file).st_mtime > moment]
