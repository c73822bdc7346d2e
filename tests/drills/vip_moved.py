"""The virtual address is moved to the other load balancer on purpose."""

from tests.drills.tandem_drill.drill import Expect

NEEDS = {"vips": 1, "loadbalancers": 2}
EXPECT = Expect(gap=0.3)


def inject(site):
    site.vip_owner().run("keepalived-yield", site.vips[0])
