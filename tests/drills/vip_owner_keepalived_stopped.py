"""keepalived is stopped on the load balancer that holds the virtual address."""

from tests.drills.tandem_drill.alerts import Alerts
from tests.drills.tandem_drill.drill import Expect

NEEDS = {"vips": 1, "loadbalancers": 2}
EXPECT = Expect(gap=0.3)
ALERTS = Alerts(fire=("VirtualAddressUnprotected",))


def inject(site):
    site.vip_owner().stop_unit("keepalived")
