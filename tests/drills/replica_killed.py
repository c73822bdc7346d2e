"""A replica's host loses power."""

from tests.drills.tandem_drill.alerts import MAY_DB, Alerts

NEEDS = {"databases": 3}
ALERTS = Alerts(fire=("HostDown", "DatabasesDegraded"), may=MAY_DB)


def inject(site):
    site.replicas()[0].kill()
