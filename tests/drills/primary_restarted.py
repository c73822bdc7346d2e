"""The primary's database server is killed, and started again by its unit."""

from tests.drills.tandem_drill.drill import Expect

NEEDS = {"replication": 2}
EXPECT = Expect(write_gap=12.0)


def inject(site):
    site.primary().kill_unit(site.engine)
