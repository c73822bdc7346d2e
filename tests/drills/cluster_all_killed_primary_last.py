"""All database hosts lose power at once; the one that took the writes is switched on last, 10 s from the others."""

from tests.drills.tandem_drill.alerts import MAY_CLUSTER, Alerts
from tests.drills.tandem_drill.drill import Expect, until_writes_are_back

NEEDS = {"cluster": 3}
PAUSE = 10
# 60 s after the last one is back.
EXPECT = Expect(excuse=until_writes_are_back, write_gap=PAUSE + 60.0)
HOLD = 60.0
ALERTS = Alerts(may=MAY_CLUSTER)


def inject(site):
    primary = site.primary()
    others = [host for host in site.databases if host is not primary]
    site.power_cut(others, PAUSE, [primary])
