"""HAProxy is reloaded 20 times on each load balancer."""


def inject(site):
    for host in site.loadbalancers:
        host.run("sh", "-ec", "for _ in $(seq 20); do systemctl reload haproxy; done")
