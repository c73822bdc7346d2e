"""A replica's host freezes: its kernel accepts connections, nobody answers."""

NEEDS = {"replication": 3}


def inject(site):
    site.replicas()[0].freeze()
