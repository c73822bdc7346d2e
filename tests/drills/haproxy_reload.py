"""HAProxy is reloaded 20 times on each load balancer."""


def inject(site):
    for _ in range(20):
        for host in site.loadbalancers:
            host.run("systemctl", "reload", "haproxy")
