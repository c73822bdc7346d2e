"""The primary's disk is full, and has room again after a while."""

import time

from tests.drills.tandem_drill.alerts import MAY_PRIMARY, Alerts
from tests.drills.tandem_drill.drill import Expect, told_to_come_back

NEEDS = {"replication": 2}
EXPECT = Expect(excuse=told_to_come_back, gap=2.0)
FULL = 20
"""Seconds without room."""
WRITE = "REPLACE INTO notes.notes (`key`, text, web, `database`) VALUES ('drill', 'room', '', '')"
ALERTS = Alerts(fire=("DiskFull",), may=("HostDown", *MAY_PRIMARY))


def prepare(site):
    primary = site.primary()
    primary.small_disk(site.engine)
    site.until(lambda: site.primary() is primary, f"{primary} to take writes again")
    site.until(lambda: not site.problems(), "the site to be healthy on a small disk")


def inject(site):
    primary = site.primary()
    primary.fill_disk()
    time.sleep(FULL)
    primary.free_disk()
    # The server looks for room once a minute; whether it does without being restarted is what is asked here.
    site.until(lambda: primary.sql(WRITE) == "", "a write to succeed", 100)
