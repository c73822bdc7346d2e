"""Where the cluster began again without a member: what everybody held then, kept on each member's disk.

Both engines number on from there, so a member that was given up may come back with other transactions of the same
numbers. Only this record tells them apart.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable
from pathlib import Path

from decision import Report

KEPT = Path("/var/lib/mysql-cluster/begun.json")


class History:
    """The beginnings that the data of this member have taken part in; or had nothing to lose by."""

    def __init__(self, kept: Path = KEPT) -> None:
        self.kept = kept
        self.begun: dict[str, str] = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}

    def begin(self, me: Report) -> str:
        """Note that the cluster begins again from what this member holds; return the name of that beginning.

        OSError if it does not say what it holds.
        """
        if not me.holds:
            raise OSError(f"{me.name} does not say what it holds: {me.why or me.state}")
        name = str(uuid.uuid4())
        self._keep({name: ",".join(filter(None, (me.holds, me.received)))})
        return name

    def adopt(self, others: Iterable[Report | None]) -> None:
        """Note the beginnings of those that this member, whose data were compared with theirs, is about to join."""
        self._keep({name: held for report in others if report for name, held in report.begun.items()})

    def _keep(self, more: dict[str, str]) -> None:
        if more.items() <= self.begun.items():
            return
        self.begun = self.begun | more
        self.kept.parent.mkdir(exist_ok=True)
        new = self.kept.with_suffix(".new")
        with new.open("w", encoding="utf-8") as file:
            json.dump(self.begun, file, indent=1)
            file.flush()
            # It counts after a power cut.
            os.fsync(file.fileno())
        new.rename(self.kept)
        folder = os.open(self.kept.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
