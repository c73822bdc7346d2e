"""nginx is killed on one web server."""

from tests.drills.tandem_drill.alerts import MAY_WEB, Alerts

ALERTS = Alerts(fire=("NginxDown", "LastWebServer"), may=MAY_WEB)


def inject(site):
    site.webservers[0].kill_unit("nginx")
