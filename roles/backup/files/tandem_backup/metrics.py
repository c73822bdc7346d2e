"""Metric files for the node exporter: one for each task of this host."""

from __future__ import annotations

import re
from pathlib import Path

from .settings import write

HELP = {
    "failed": "Whether the task's last run failed.",
    "last_run_timestamp_seconds": "When the task ended last.",
    "last_success_timestamp_seconds": "When the task ended last without a failure.",
    "duration_seconds": "How long that run took.",
    "newest_timestamp_seconds": "The moment that the newest backup in the repository holds.",
    "size_bytes": "Size of the newest backup that this host made, before it was deduplicated.",
    "added_bytes": "What the last run added to the repository.",
    "archive_until_timestamp_seconds": "The moment up to which this host's binary logs are in the repository.",
    "proof_ok": "Whether the newest backup was restored and found to be equal to its server.",
    "proof_backup_timestamp_seconds": "The moment of the backup that was proven last.",
    "proof_recovery_seconds": "What the restore took: the site's recovery time. By phase.",
    "proof_recovery_point_seconds": "What would have been lost, had everything been lost when the proof began.",
    "proof_transactions": "How many transactions were replayed from the binary logs.",
    "proof_tables": "How many tables were compared.",
    "proof_rows": "How many rows were compared.",
}
LINE = re.compile(r"tandem_backup_(\w+)\{(.*)\} (\S+)$")


def read(file: Path) -> dict[tuple[str, str], str]:
    """Return what a metric file says: values by name and labels."""
    if not file.exists():
        return {}
    found = (LINE.match(line) for line in file.read_text().splitlines())
    return {(match[1], match[2]): match[3] for match in found if match}


def update(directory: Path, task: str, values: dict[str, float | dict[str, float]]) -> None:
    """Write new values of a task; those that are not given stay as they were.

    :param values: by name without its prefix; a dict has one more label, `phase` or `kind`, by which it is keyed.
    """
    file = directory / f"backup-{task}.prom"
    every = read(file)
    for name, value in values.items():
        if isinstance(value, dict):
            label = "phase" if name == "proof_recovery_seconds" else "kind"
            for key, each in value.items():
                every[name, f'task="{task}",{label}="{key}"'] = f"{each:.3f}"
        else:
            every[name, f'task="{task}"'] = f"{value:.3f}".rstrip("0").rstrip(".")
    lines = []
    for name, text in HELP.items():
        mine = [f"tandem_backup_{name}{{{labels}}} {value}" for (each, labels), value in every.items() if each == name]
        if mine:
            lines += [f"# HELP tandem_backup_{name} {text}", f"# TYPE tandem_backup_{name} gauge", *mine]
    directory.mkdir(parents=True, exist_ok=True)
    write(file, "\n".join(lines) + "\n")
