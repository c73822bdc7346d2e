"""site.yml is run with a changed setting of the databases', and again with the old one."""

HOLD = 2


def inject(site):
    site.faults.undo.append(lambda: site.playbook("site.yml"))
    site.playbook("site.yml", mysql_binlog_days=8)
