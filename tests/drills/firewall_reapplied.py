"""The firewall's rules are changed on every host, and changed back, twice."""

HOLD = 2


def inject(site):
    site.faults.undo.append(lambda: site.playbook("site.yml", "--tags=ufw"))
    for limit in (True, False, True):
        site.playbook("site.yml", "--tags=ufw", site_ssh_rate_limit=limit)
