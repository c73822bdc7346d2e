"""All database hosts lose power at once and are switched on again; the cluster forms again by itself."""

from tests.drills.tandem_drill.alerts import MAY_CLUSTER, Alerts
from tests.drills.tandem_drill.drill import Expect, until_writes_are_back

NEEDS = {"cluster": 3}
EXPECT = Expect(excuse=until_writes_are_back, write_gap=60.0)
HOLD = 60.0
ALERTS = Alerts(may=MAY_CLUSTER)


def inject(site):
    site.power_cut(site.databases)
