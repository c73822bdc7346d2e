"""Every certificate between the hosts is issued again, 10 times."""

HOLD = 2


def inject(site):
    # Should it be cut: a web server may be out of rotation then.
    site.faults.undo.append(lambda: site.playbook("site.yml"))
    for _ in range(10):
        # Longer than a certificate lives: each of them is due.
        site.playbook("site.yml", "--tags=pki", pki_renew_days=400)
    site.faults.undo.pop()
