"""A replica's host has its cable pulled: its packets vanish, nothing is refused."""

NEEDS = {"replication": 3}


def inject(site):
    site.replicas()[0].cut_link()
