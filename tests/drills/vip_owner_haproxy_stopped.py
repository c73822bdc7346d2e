"""HAProxy is stopped on the load balancer that holds the virtual address."""

from tests.drills.tandem_drill.alerts import MAY_LB, Alerts
from tests.drills.tandem_drill.drill import Expect

NEEDS = {"vips": 1, "loadbalancers": 2}
EXPECT = Expect(gap=0.3)
ALERTS = Alerts(fire=("LastLoadBalancer", "AddressUnreachable"), may=MAY_LB)


def inject(site):
    site.vip_owner().stop_unit("haproxy")
