"""A load balancer that had lost power comes back."""

NEEDS = {"vips": 1, "loadbalancers": 2}


def prepare(site):
    site.vip_owner().kill()
    site.until(site.vip_owner, "another load balancer holds the virtual address")


def inject(site):
    site.heal()
