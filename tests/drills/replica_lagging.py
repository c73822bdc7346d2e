"""A replica applies nothing any more, until it is further behind than the limit."""

NEEDS = {"replication": 3}
HOLD = 15  # mysql_max_lag is 10


def inject(site):
    replica = site.replicas()[0]
    replica.lag()
    site.until(lambda: replica not in site.replicas(), f"{replica} to be found unfit for reads")
