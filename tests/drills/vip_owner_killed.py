"""The load balancer that holds the virtual address loses power."""

from tests.drills.tandem_drill.alerts import MAY_LB, Alerts
from tests.drills.tandem_drill.drill import Expect, in_flight

NEEDS = {"vips": 1, "loadbalancers": 2}
EXPECT = Expect(excuse=in_flight, most=0.2, gap=1.0)
ALERTS = Alerts(fire=("HostDown", "LastLoadBalancer"), may=MAY_LB)


def inject(site):
    site.vip_owner().kill()
