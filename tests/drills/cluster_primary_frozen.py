"""The database host that takes the writes freezes; its kernel still accepts connections."""

from tests.drills.tandem_drill.alerts import MAY_CLUSTER, Alerts
from tests.drills.tandem_drill.drill import Expect

NEEDS = {"cluster": 3}
EXPECT = Expect(gap=2.0, write_gap=7.0)
HOLD = 15.0
ALERTS = Alerts(may=MAY_CLUSTER)


def inject(site):
    site.primary().freeze()
