"""A load balancer that had lost power comes back."""

from tests.drills.tandem_drill.alerts import MAY_LB, Alerts

NEEDS = {"vips": 1, "loadbalancers": 2}
ALERTS = Alerts(may=("HostDown", "LastLoadBalancer", *MAY_LB))


def prepare(site):
    site.vip_owner().kill()
    site.until(site.vip_owner, "another load balancer holds the virtual address")


def inject(site):
    site.heal()
