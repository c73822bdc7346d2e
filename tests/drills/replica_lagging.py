"""A replica applies nothing any more, until it is further behind than the limit."""

from tests.drills.tandem_drill.alerts import Alerts

NEEDS = {"replication": 3}
HOLD = 15  # mysql_max_lag is 10
ALERTS = Alerts(fire=("ReplicationLags",), may=("BackupFailed", "DatabasesDegraded"), within=90)


def inject(site):
    replica = site.replicas()[0]
    replica.lag()
    site.until(lambda: replica not in site.replicas(), f"{replica} to be found unfit for reads")
