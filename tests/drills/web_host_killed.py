"""A web server's host loses power."""


def inject(site):
    site.webservers[0].kill()
