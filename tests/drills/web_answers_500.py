"""One web server answers every request with 500."""

from tests.drills.tandem_drill.alerts import MAY_WEB, Alerts

ALERTS = Alerts(fire=("LastWebServer",), may=MAY_WEB)


def inject(site):
    site.webservers[0].replace_application(site.app, status=500, seconds=0)
