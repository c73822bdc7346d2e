"""One web server answers every request after 10 seconds."""

from tests.drills.tandem_drill.alerts import MAY_WEB, Alerts

HOLD = 15
ALERTS = Alerts(fire=("LastWebServer",), may=MAY_WEB)


def inject(site):
    site.webservers[0].replace_application(site.app, status=200, seconds=10)
