"""The database host that takes the writes is cut off from the other databases, and still reached by web servers."""

from tests.drills.tandem_drill.alerts import MAY_CLUSTER, Alerts
from tests.drills.tandem_drill.drill import Expect

NEEDS = {"cluster": 3}
EXPECT = Expect(gap=2.0, write_gap=12.0)
HOLD = 20.0
ALERTS = Alerts(may=MAY_CLUSTER)


def inject(site):
    primary = site.primary()
    primary.part_from([host for host in site.databases if host is not primary])
