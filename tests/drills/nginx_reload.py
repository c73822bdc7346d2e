"""nginx is reloaded 20 times on each web server."""


def inject(site):
    for host in site.webservers:
        host.run("sh", "-ec", "for _ in $(seq 20); do systemctl reload nginx; sleep 0.1; done")
