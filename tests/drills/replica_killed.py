"""A replica's host loses power."""

NEEDS = {"replication": 3}


def inject(site):
    site.replicas()[0].kill()
