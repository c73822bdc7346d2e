"""The primary's database server is killed, and started again by its unit."""

from tests.drills.tandem_drill.alerts import MAY_PRIMARY, Alerts
from tests.drills.tandem_drill.drill import Expect

NEEDS = {"replication": 2}
EXPECT = Expect(write_gap=12.0)
ALERTS = Alerts(may=("HostDown", *MAY_PRIMARY))


def inject(site):
    site.primary().kill_unit(site.engine)
