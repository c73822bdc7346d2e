"""A web server freezes: its kernel accepts connections, nobody answers."""


def inject(site):
    site.webservers[0].freeze()
