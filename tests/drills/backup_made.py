"""The databases are backed up, by a replica."""

HOLD = 2


def inject(site):
    site.playbook("playbooks/backup.yml")
