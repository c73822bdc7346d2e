"""A web server's cable is pulled: its packets vanish, nothing is refused."""

from tests.drills.tandem_drill.alerts import MAY_WEB, Alerts

ALERTS = Alerts(fire=("HostDown", "LastWebServer"), may=MAY_WEB)


def inject(site):
    site.webservers[0].cut_link()
