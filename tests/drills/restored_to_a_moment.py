"""The notes are restored to a moment of the load, beside themselves: exactly the rows of that moment."""

import time

from tests.drills.tandem_drill.alerts import MAY_PRIMARY, Alerts
from tests.drills.tandem_drill.commands import CommandFailedError

HOLD = 2
SCHEMA = "drill_restored"
UNDER_WAY = 2
"""A note is committed at most so many seconds after it was created."""

ALERTS = Alerts(may=("HostDown", *MAY_PRIMARY))


def sql(site, statement):
    client = "$(command -v mariadb || command -v mysql)"
    return site.primary().run("sh", "-c", f'{client} -N -B -e "$1"', "sh", statement).strip()


def prepare(site):
    site.playbook("playbooks/backup.yml")


def inject(site):
    site.faults.undo.append(lambda: sql(site, f"DROP SCHEMA IF EXISTS {SCHEMA}"))
    moment = float(sql(site, "SELECT UNIX_TIMESTAMP()"))
    time.sleep(5)
    # The timer may be at work on the same just now.
    site.until(lambda: site.primary().run("tandem-backup", "archive") or True, "the binary logs in the repository")
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(moment))
    site.playbook("playbooks/restore.yml", restore_to=when, restore_database="notes", restore_into=SCHEMA)

    restored, known = f"{SCHEMA}.notes", "notes.notes"
    at = "UNIX_TIMESTAMP(created)"
    there = f"SELECT 1 FROM {restored} AS r WHERE r.`key` = n.`key` AND r.text = n.text AND r.id = n.id"
    counts = {
        "rows that should not be there": f"SELECT COUNT(*) FROM {restored} WHERE {at} >= {moment}",
        "rows that are missing": f"SELECT COUNT(*) FROM {known} AS n WHERE {at} < {moment - UNDER_WAY}"
        f" AND NOT EXISTS ({there})",
        "rows that nobody wrote": f"SELECT COUNT(*) FROM {restored} AS n WHERE NOT EXISTS ("
        f"{there.replace(restored, known)})",
    }
    wrong = {
        what: count for what, count in ((what, sql(site, query)) for what, query in counts.items()) if count != "0"
    }
    if wrong or sql(site, f"SELECT COUNT(*) FROM {restored}") == "0":
        raise CommandFailedError(f"restored to {when} UTC: {wrong or 'nothing at all'}")
