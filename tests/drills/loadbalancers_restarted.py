"""Both load balancers are restarted, one after the other."""

from tests.drills.tandem_drill.alerts import MAY_LB, Alerts

NEEDS = {"vips": 1, "loadbalancers": 2}
ALERTS = Alerts(may=("HostDown", "LastLoadBalancer", *MAY_LB))


def inject(site):
    for host in site.loadbalancers:
        host.restart()
        site.until(lambda: not site.problems(), f"the site is healthy again after the restart of {host}")
