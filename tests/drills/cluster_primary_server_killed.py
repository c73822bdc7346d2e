"""The database server that takes the writes is killed; the cluster elects another one."""

from tests.drills.tandem_drill.alerts import MAY_CLUSTER, Alerts
from tests.drills.tandem_drill.drill import Expect

NEEDS = {"cluster": 3}
EXPECT = Expect(gap=2.0, write_gap=7.0)
ALERTS = Alerts(may=MAY_CLUSTER)


def inject(site):
    site.primary().kill_unit(f"{site.engine}.service")
