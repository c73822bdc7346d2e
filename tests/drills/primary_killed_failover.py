"""The primary's host loses power, and failover.yml is run at once."""

from tests.drills.tandem_drill.alerts import MAY_PRIMARY, Alerts
from tests.drills.tandem_drill.drill import Expect, told_to_come_back

NEEDS = {"replication": 3}
EXPECT = Expect(excuse=told_to_come_back, gap=2.0, write_gap=15.0)
ALERTS = Alerts(fire=("HostDown",), may=MAY_PRIMARY)


def inject(site):
    primary = site.primary()
    site.give_back(primary)
    primary.kill()
    site.playbook("playbooks/failover.yml")
