"""site.yml is run with a changed setting in each tier, and again with the old ones."""

HOLD = 2


def inject(site):
    site.faults.undo.append(lambda: site.playbook("site.yml"))
    site.playbook("site.yml", haproxy_maxconn=7900, nginx_client_timeout="11s", mysql_binlog_days=8)
