"""Both load balancers are restarted, one after the other."""

NEEDS = {"vips": 1, "loadbalancers": 2}


def inject(site):
    for host in site.loadbalancers:
        host.restart()
        site.until(lambda: not site.problems(), f"the site is healthy again after the restart of {host}")
