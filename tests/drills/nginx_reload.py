"""nginx is reloaded 20 times on each web server."""


def inject(site):
    for _ in range(20):
        for host in site.webservers:
            host.run("systemctl", "reload", "nginx")
