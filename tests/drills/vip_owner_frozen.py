"""The load balancer that holds the virtual address freezes; its kernel still accepts connections."""

from tests.drills.tandem_drill.alerts import MAY_LB, Alerts
from tests.drills.tandem_drill.drill import Expect, within_gap

NEEDS = {"vips": 1, "loadbalancers": 2}
EXPECT = Expect(excuse=within_gap, gap=1.0)
ALERTS = Alerts(fire=("HostDown", "LastLoadBalancer"), may=MAY_LB)


def inject(site):
    site.vip_owner().freeze()
