"""site.yml is run with a changed setting of nginx's, and again with the old one."""

HOLD = 2


def inject(site):
    site.faults.undo.append(lambda: site.playbook("site.yml"))
    site.playbook("site.yml", nginx_client_timeout="11s")
