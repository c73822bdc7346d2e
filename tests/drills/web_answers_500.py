"""One web server answers every request with 500."""


def inject(site):
    site.webservers[0].replace_application(site.app, status=500, seconds=0)
