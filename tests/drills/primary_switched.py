"""The primary is moved to another database on purpose, by switchover.yml."""

from tests.drills.tandem_drill.drill import Expect

NEEDS = {"databases": 2}
EXPECT = Expect(write_gap=1.5)
HOLD = 5


def inject(site):
    # Should it be cut, somebody has to say who is primary.
    site.faults.undo.append(lambda: site.playbook("site.yml"))
    site.playbook("playbooks/switchover.yml", mysql_new_primary=site.replicas()[0].name)
    site.faults.undo.pop()
