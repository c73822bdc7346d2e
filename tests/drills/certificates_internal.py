"""Every certificate between the hosts is issued again, 10 times."""

HOLD = 2


def inject(site):
    for _ in range(10):
        # Longer than a certificate lives: each of them is due.
        site.playbook("site.yml", "--tags=pki", pki_renew_days=400)
