"""The firewall's rules are changed on every host, and changed back, twice; a database connection lives on."""

HOLD = 2


def inject(site):
    site.faults.undo.append(lambda: site.playbook("site.yml", "--tags=ufw"))
    with site.webservers[0].held_session(site.app) as still_there:
        still_there()
        for limit in (True, False, True):
            site.playbook("site.yml", "--tags=ufw", site_ssh_rate_limit=limit)
            still_there()
