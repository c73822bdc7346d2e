"""Which snapshots are kept. A pure function, since what it forgets is gone."""

from __future__ import annotations

from collections.abc import Iterable

from .repository import Snapshot

DAY = 86400
WEEK = 7 * DAY
KINDS = ("base", "binlog", "fingerprint", "maintenance", "lease")
RECENT = 2 * 3600
"""Archives of the last two hours are kept one and all, in seconds."""


def superfluous(snapshots: Iterable[Snapshot], now: float, keep_days: int, keep_weeks: int) -> list[Snapshot]:
    """Return what can be forgotten.

    Backups: all of the last days, then the first of each week, and always the newest. Archives hold several days
    of logs each: all of the last hours, the last of each day, and the last of each sequence of logs, because
    what comes after it does not go on from there. Of each sequence the first one after a backup that is kept,
    because nobody restores a backup without.

    :param now: a Unix time.
    """
    every = sorted(snapshots, key=lambda each: each.time)
    kept: set[str] = set()
    weeks: set[int] = set()
    bases = [each for each in every if "base" in each.tags]
    kept |= {each.id for each in bases[-1:]}
    for each in bases:
        week = int(each.time // WEEK)
        age = now - each.time
        if age < keep_days * DAY or (age < keep_days * DAY + keep_weeks * WEEK and week not in weeks):
            kept.add(each.id)
        weeks.add(week)
    last: dict[tuple, Snapshot] = {}
    for each in every:
        if "binlog" in each.tags:
            sequence = each.host, each.tagged("timeline-")
            last[(*sequence, int(each.time // DAY))] = each
            if each.time > now - RECENT:
                kept.add(each.id)
    kept |= {each.id for each in last.values() if each.time > now - (keep_days + 1) * DAY}
    for base in [each for each in bases if each.id in kept]:
        after: dict[tuple, Snapshot] = {}
        for each in every:
            if "binlog" in each.tags and base.time < each.time < base.time + DAY:
                after.setdefault((each.host, each.tagged("timeline-")), each)
        kept |= {each.id for each in after.values()}
    for tag, age in (("fingerprint", 7 * DAY), ("maintenance", 7 * DAY), ("lease", DAY)):
        marked = [each for each in every if tag in each.tags]
        kept |= {each.id for each in marked if each.time > now - age}
        if tag == "fingerprint":
            kept |= {each.id for each in marked[-1:]}
    return [each for each in every if each.id not in kept and any(tag in each.tags for tag in KINDS)]
