"""A web server freezes: its kernel accepts connections, nobody answers."""

from tests.drills.tandem_drill.alerts import MAY_WEB, Alerts

ALERTS = Alerts(fire=("HostDown", "LastWebServer"), may=MAY_WEB)


def inject(site):
    site.webservers[0].freeze()
