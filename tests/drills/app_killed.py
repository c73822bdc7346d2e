"""The application is killed on one web server."""


def inject(site):
    site.webservers[0].kill_unit(f"{site.app}.service")
