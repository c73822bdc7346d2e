"""Who answers at the virtual addresses while load balancers come and go, as a client sees it.

How long a gap may be belongs to the drills; the limits here only catch an address that stays away.
"""

import subprocess
from functools import partial

import pytest
import testinfra
from testinfra.host import Host

from tests.support.http import get
from tests.support.inventory import read_inventory
from tests.support.play import play
from tests.support.wait import wait_until

SOON = 20  # seconds
CONFIGURATION = "/etc/keepalived/keepalived.conf"


class Site:
    """Two load balancers and their two virtual addresses, from outside."""

    def __init__(self, inventory: str) -> None:
        self.inventory = inventory
        variables = read_inventory(inventory)["_meta"]["hostvars"]
        self.containers = {name: variables[name]["ansible_host"] for name in ("lb1", "lb2")}
        self.address1, self.address2 = (f"{variables['lb1']['lab_network']}.{last}" for last in (100, 101))
        network6 = variables["lb1"]["lab_network6"]
        self.address6 = f"{network6}::100" if network6 else ""

    def host(self, name: str) -> Host:
        return testinfra.get_host(f"docker://{self.containers[name]}")

    def docker(self, command: str, name: str) -> None:
        subprocess.run(["docker", command, self.containers[name]], check=True, capture_output=True)

    def converge(self, *arguments: str, **variables: object) -> subprocess.CompletedProcess[str]:
        """Run the role again, with other inputs."""
        return play(self.inventory, "molecule/keepalived/converge.yml", *arguments, **variables)

    def server(self, address: str) -> str:
        return get("http://virtual.address/", address=address, timeout=0.5).body

    def expect(self, **servers: str) -> None:
        """Wait until the addresses are answered by these load balancers."""
        for address, name in servers.items():
            address = getattr(self, address)
            wait_until(lambda: self.server(address) == name, SOON, f"{name} at {address}", interval=0.05)  # noqa: B023


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest) -> Site:
    return Site(request.config.option.ansible_inventory)


@pytest.fixture
def site(lab: Site) -> Site:
    """Begin with both load balancers up, and each address on its preferred one."""
    for name in lab.containers:
        lab.docker("start", name)
        unit = "systemctl start stub.service keepalived.service"
        wait_until(lambda: lab.host(name).run(unit).succeeded, SOON, f"{name} to start")  # noqa: B023
    for address, other in ((lab.address1, "lb2"), (lab.address6, "lb2"), (lab.address2, "lb1")):
        if not address:
            continue
        # Fails while nobody else is ready to take it.
        yielded = partial(lab.host(other).run, "keepalived-yield %s", address)
        wait_until(lambda: yielded().succeeded, SOON, f"{other} to hand {address} over")  # noqa: B023
    lab.expect(address1="lb1", address2="lb2")
    return lab


def test_two_addresses_begin_on_different_load_balancers(lab: Site) -> None:
    lab.expect(address1="lb1", address2="lb2")


def test_an_ipv6_address_follows_its_ipv4_sibling(site: Site) -> None:
    if not site.address6:
        pytest.skip("no IPv6 on this machine")
    site.expect(address6="lb1", address1="lb1")
    site.docker("kill", "lb1")
    site.expect(address6="lb2", address1="lb2")


def test_killed_owner_is_replaced_and_does_not_take_back(site: Site) -> None:
    site.docker("kill", "lb1")
    site.expect(address1="lb2", address2="lb2")

    site.docker("start", "lb1")
    returned = site.host("lb1")
    wait_until(lambda: returned.run("journalctl -b -t keepalived-notify | grep BACKUP").succeeded, SOON, "lb1's return")
    site.expect(address1="lb2", address2="lb2")
    # Each is ready for the other's loss again.
    site.docker("kill", "lb2")
    site.expect(address1="lb1", address2="lb1")


def test_stopping_what_it_serves_moves_the_address_and_starting_it_makes_a_backup(site: Site) -> None:
    lb1 = site.host("lb1")
    lb1.check_output("systemctl stop stub.service")
    site.expect(address1="lb2")
    assert not lb1.service("keepalived").is_running
    lb1.check_output("systemctl start stub.service")
    wait_until(lambda: lb1.service("keepalived").is_running, SOON, "keepalived to follow its unit")
    site.expect(address1="lb2", address2="lb2")


def test_a_server_that_hangs_loses_its_address(site: Site) -> None:
    lb1 = site.host("lb1")
    lb1.check_output("systemctl kill --signal=STOP stub.service")
    try:
        site.expect(address1="lb2")
    finally:
        lb1.check_output("systemctl kill --signal=CONT stub.service")


def test_an_address_is_handed_over_on_demand(site: Site) -> None:
    site.host("lb2").check_output("keepalived-yield %s", site.address2)
    site.expect(address1="lb1", address2="lb1")


def test_clients_finish_before_an_address_is_handed_over(site: Site) -> None:
    """Nobody new gets in while the last ones finish; afterwards nobody is kept out."""
    lb2 = site.host("lb2")
    lb2.check_output("rm --force /run/stub-leave.log")
    lb2.check_output("keepalived-yield %s", site.address2)
    assert lb2.file("/run/stub-leave.log").content_string.splitlines() == [
        "begin: ",
        f"finish: {site.address2}",
        "end: ",
    ]


def test_a_planned_stop_hands_over_too(site: Site) -> None:
    lb1 = site.host("lb1")
    lb1.check_output("rm --force /run/stub-leave.log")
    lb1.check_output("systemctl stop keepalived.service")
    assert f"finish: {site.address1}" in lb1.file("/run/stub-leave.log").content_string
    site.expect(address1="lb2")


def test_reload_moves_nothing(site: Site) -> None:
    lb1 = site.host("lb1")
    for _ in range(3):
        lb1.check_output("systemctl reload keepalived.service")
        assert site.server(site.address1) == "lb1"
        assert site.server(site.address2) == "lb2"


def test_a_refused_configuration_changes_nothing(site: Site) -> None:
    lb1 = site.host("lb1")
    before = lb1.file(CONFIGURATION).content_string
    run = site.converge("--limit", "lb1", keepalived_check_command='/bin/true" nonsense {')
    assert run.returncode != 0
    assert CONFIGURATION in run.stdout
    assert lb1.file(CONFIGURATION).content_string == before
    site.expect(address1="lb1", address2="lb2")


def test_an_address_returns_where_that_is_wanted(site: Site) -> None:
    try:
        assert site.converge(keepalived_preempt=True).returncode == 0
        site.docker("kill", "lb1")
        site.expect(address1="lb2", address2="lb2")
        site.docker("start", "lb1")
        site.expect(address1="lb1", address2="lb2")
    finally:
        assert site.converge().returncode == 0


def test_state_is_exported(site: Site) -> None:
    metrics = "cat /var/lib/prometheus/node-exporter/keepalived.prom"
    owned = f'keepalived_vip_state{{address="{site.address1}",state="MASTER"}} 1'
    site.expect(address1="lb1")
    wait_until(lambda: owned in site.host("lb1").check_output(metrics), SOON, "lb1 to export that it owns the address")
    assert owned not in site.host("lb2").check_output(metrics)


def test_check_runs_as_an_unprivileged_user(host: Host) -> None:
    user = host.user("keepalived_script")
    assert user.exists
    assert user.uid != 0
    assert host.run("journalctl -b -u keepalived | grep -i 'security\\|insecure\\|disabling'").stdout == ""
