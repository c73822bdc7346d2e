"""One web server answers every request after 10 seconds."""

HOLD = 15


def inject(site):
    site.webservers[0].replace_application(site.app, status=200, seconds=10)
