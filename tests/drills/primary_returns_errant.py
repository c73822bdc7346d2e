"""A primary that wrote what nobody saw is lost, replaced, and comes back: it says what it holds and stays out."""

from tests.drills.tandem_drill.alerts import MAY_PRIMARY, Alerts
from tests.drills.tandem_drill.commands import CommandFailedError
from tests.drills.tandem_drill.drill import Expect, told_to_come_back

NEEDS = {"replication": 3}
EXPECT = Expect(excuse=told_to_come_back, gap=2.0)
HOLD = 3
ALERTS = Alerts(may=("DatabaseDiverges", "HostDown", *MAY_PRIMARY))


def inject(site):
    primary = site.primary()
    site.give_back(primary)
    primary.cut_link()
    primary.sql("INSERT INTO notes.notes (`key`, text, web, `database`) VALUES (UUID(), 'seen by nobody', '', '')")
    primary.kill()
    site.playbook("playbooks/failover.yml")
    primary.start()
    site.until(lambda: primary.sql("SELECT 1"), f"the database of {primary} to answer again")
    try:
        site.playbook("site.yml", "--tags", "mysql")
    except CommandFailedError as refusal:
        if "holds transactions that the primary" not in str(refusal):
            raise
    else:
        raise CommandFailedError(f"{primary} joined with transactions of its own")
    primary.run("sh", "-c", "grep -q 'seen by nobody' /var/backups/mysql-errant-*.sql")
