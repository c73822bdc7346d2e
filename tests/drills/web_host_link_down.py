"""A web server's cable is pulled: its packets vanish, nothing is refused."""


def inject(site):
    site.webservers[0].cut_link()
