"""Every host loses power at once and is switched on again; the site forms again by itself."""

from tests.drills.tandem_drill.alerts import Alerts
from tests.drills.tandem_drill.drill import Expect, until_writes_are_back

NEEDS = {"loadbalancers": 2, "databases": 3}
EXPECT = Expect(excuse=until_writes_are_back, gap=120.0, write_gap=120.0)
HOLD = 60.0
ALERTS = Alerts(any_other=True)


def inject(site):
    site.power_cut(site.hosts)
