"""The application is killed on one web server."""

from tests.drills.tandem_drill.alerts import Alerts

ALERTS = Alerts(may=("LastWebServer",))


def inject(site):
    site.webservers[0].kill_unit(f"{site.app}.service")
