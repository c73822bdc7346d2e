"""One load balancer of a site with two virtual addresses loses power: only its own address notices."""

from tests.drills.tandem_drill.alerts import MAY_LB, Alerts
from tests.drills.tandem_drill.drill import Expect, in_flight

NEEDS = {"vips": 2, "loadbalancers": 2}
EXPECT = Expect(excuse=in_flight, most=0.2, gap=1.0)
ALERTS = Alerts(fire=("HostDown", "LastLoadBalancer"), may=MAY_LB)


def inject(site):
    site.vip_owner().kill()
