"""The firewall as it is met: from another host, from the controller's SSH, and by somebody who errs."""

import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import testinfra
from testinfra.host import Host

from tests.support.inventory import read_inventory
from tests.support.play import play
from tests.support.wait import wait_until

DECLARED, UNDECLARED, EVERYBODY = 7001, 7002, 7003
# Exits 0 when a connection is accepted, else 1.
CONNECT = "import socket, sys; sys.exit(socket.socket({family}).connect_ex(({address!r}, {port})) and 1)"
ELSEWHERE = "203.0.113.9"


class Lab:
    """The guarded host, a visitor beside it, and runs of the playbook."""

    def __init__(self, inventory: str) -> None:
        self.inventory = inventory
        variables = read_inventory(inventory)["_meta"]["hostvars"]
        self.address, self.address6 = (variables["guarded"][f"topology_address{family}"] for family in ("", 6))
        self.controller = f"{variables['guarded']['lab_network']}.1"
        self.container = variables["guarded"]["ansible_host"]
        # Not by SSH: a test has to look inside whatever the firewall says.
        self.guarded = testinfra.get_host(f"docker://{self.container}")
        self.visitor = testinfra.get_host(f"docker://{variables['visitor']['ansible_host']}")
        self.ssh_rule = {"comment": "SSH", "ports": [22], "sources": [self.controller]}

    def converge(self, rules: list[dict] | None = None, **variables: object) -> subprocess.CompletedProcess[str]:
        """Run the playbook, with other rules than it has where told."""
        extra = variables | ({} if rules is None else {"ufw_rules": rules})
        return play(self.inventory, "molecule/ufw/converge.yml", timeout=300, **extra)

    def reaches(self, host: Host, port: int, address: str = "") -> bool:
        """Tell whether a host gets a TCP connection to the guarded one."""
        address = address or self.address
        script = CONNECT.format(family=10 if ":" in address else 2, address=address, port=port)
        # A dropped packet has no answer; on this network one that is let in has it within milliseconds.
        return host.run("timeout 2 python3 -c %s", script).rc == 0

    def in_force(self) -> str:
        return self.guarded.check_output("iptables -S && ip6tables -S && ufw status")


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest) -> Lab:
    return Lab(request.config.option.ansible_inventory)


@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
def test_only_what_is_declared_is_open_and_only_to_whom(lab: Lab, family: str) -> None:
    address = lab.address if family == "IPv4" else lab.address6
    if not address:
        pytest.skip("no IPv6 on this machine")
    controller = testinfra.get_host("local://")
    ports = (22, DECLARED, UNDECLARED, EVERYBODY)
    assert [port for port in ports if lab.reaches(lab.visitor, port, address)] == [DECLARED, EVERYBODY]
    ssh = [22] if family == "IPv4" else []
    assert [port for port in ports if lab.reaches(controller, port, address)] == [*ssh, EVERYBODY]


def test_names_resolve_although_the_resolver_is_in_the_nat_table(lab: Lab) -> None:
    assert "DNAT" in lab.guarded.check_output("iptables-save -t nat")
    assert lab.guarded.run("getent hosts %s", lab.container).rc == 0


def test_rules_hold_after_a_reboot(lab: Lab) -> None:
    before = lab.in_force()
    subprocess.run(["docker", "restart", lab.container], check=True, capture_output=True)
    wait_until(lambda: lab.reaches(lab.visitor, DECLARED), 60, "the guarded host to serve again")
    assert not lab.reaches(lab.visitor, UNDECLARED)
    assert lab.in_force() == before


@pytest.mark.parametrize("firewall", ["active", "inactive"])
def test_a_changed_rule_set_breaks_no_connection(lab: Lab, firewall: str) -> None:
    assert lab.converge().returncode == 0
    if firewall == "inactive":
        lab.guarded.check_output("ufw disable")
    with socket.create_connection((lab.address, EVERYBODY), timeout=5) as established:
        # The port of this very connection is closed, another one opened.
        run = lab.converge([lab.ssh_rule, {"comment": "Another", "ports": [UNDECLARED]}])
        assert run.returncode == 0
        established.sendall(b"still there?\n")
        assert established.recv(100) == b"still there?\n"
    ports = (DECLARED, UNDECLARED, EVERYBODY)
    assert [port for port in ports if lab.reaches(lab.visitor, port)] == [UNDECLARED]


def test_rules_that_close_the_door_behind_the_run_are_refused(lab: Lab) -> None:
    before = lab.in_force()
    run = lab.converge([lab.ssh_rule | {"sources": [ELSEWHERE]}])
    assert run.returncode != 0
    assert f"close port 22 to {lab.controller}" in " ".join(run.stdout.split())
    assert lab.in_force() == before


def test_a_limit_on_ssh_lets_the_run_confirm_it(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where Ansible, as it comes, opens several connections for each task."""
    monkeypatch.setenv("ANSIBLE_PIPELINING", "false")
    assert lab.converge([lab.ssh_rule | {"action": "limit"}]).returncode == 0
    assert "LIMIT" in lab.guarded.check_output("ufw status")
    monkeypatch.undo()
    assert lab.converge().returncode == 0


@pytest.mark.parametrize("firewall", ["active", "inactive"])
def test_rules_that_lock_out_are_taken_back(lab: Lab, firewall: str) -> None:
    if firewall == "inactive":
        lab.guarded.check_output("ufw disable")
    before = lab.in_force()
    # The run is told that it comes from where the new rules let SSH in, which is not true.
    run = lab.converge(
        [lab.ssh_rule | {"sources": [ELSEWHERE]}],
        ufw_rollback=10,
        scenario_environment={"SSH_CONNECTION": f"{ELSEWHERE} 50000 {lab.address} 22"},
    )
    assert run.returncode != 0
    assert "new firewall rules were taken back after 10 s" in " ".join(run.stdout.split())
    assert lab.reaches(testinfra.get_host("local://"), 22)
    if firewall == "active":
        assert lab.in_force() == before
    else:
        assert "Status: inactive" in lab.in_force()
        assert lab.reaches(lab.visitor, DECLARED)


def test_a_reboot_in_the_middle_of_a_trial_ends_it(lab: Lab) -> None:
    """What is on trial is nowhere but in the kernel."""
    assert lab.converge().returncode == 0
    before = sorted(lab.in_force().splitlines())
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(
            lab.converge,
            [lab.ssh_rule | {"sources": [ELSEWHERE]}],
            ufw_rollback=120,
            scenario_environment={"SSH_CONNECTION": f"{ELSEWHERE} 50000 {lab.address} 22"},
        )
        wait_until(
            lambda: run.done() or sorted(lab.in_force().splitlines()) != before, 60, "the rules on trial", interval=0.2
        )
        assert not run.done()
        subprocess.run(["docker", "restart", lab.container], check=True, capture_output=True)
        assert run.result().returncode != 0
    wait_until(lambda: lab.reaches(testinfra.get_host("local://"), 22), 60, "SSH to be open again")
    assert sorted(lab.in_force().splitlines()) == before


def test_how_much_is_logged_is_the_site_s_to_say(lab: Lab) -> None:
    for level, logged in (("off", False), ("medium", True), ("low", True)):
        assert lab.converge(ufw_logging=level).returncode == 0
        assert f"Logging: {'on (' + level + ')' if logged else 'off'}" in lab.guarded.check_output("ufw status verbose")
        assert ("LOG" in lab.guarded.check_output("iptables -S ufw-after-logging-input")) == logged


def test_outgoing_connections_can_be_closed_and_incoming_ones_limited(lab: Lab) -> None:
    connect = "import socket; socket.create_connection(('{}', {}), 2)"
    visitor = lab.visitor.check_output("hostname --all-ip-addresses").split()[0]
    for port in (8001, 8002):
        lab.visitor.check_output(f"timeout 300 python3 -m http.server {port} >/dev/null 2>&1 &")
        answers = partial(lab.visitor.run, "python3 -c %s", connect.format(visitor, port))
        wait_until(lambda answers=answers: answers().succeeded, 20, "the visitor to serve")
    rules = [
        lab.ssh_rule,
        # Wherever packages come from, so that the next run can ask for them.
        {"comment": "To all ports but one", "direction": "out", "ports": ["1:8001", "8003:65535"]},
        {"comment": "To resolvers", "direction": "out", "protocol": "udp", "ports": [53]},
        {"comment": "Limited", "action": "limit", "ports": [EVERYBODY]},
    ]
    assert lab.converge(rules, ufw_outgoing="deny").returncode == 0
    assert lab.guarded.run("python3 -c %s", connect.format(visitor, 8001)).succeeded
    assert lab.guarded.run("python3 -c %s", connect.format(visitor, 8002)).failed

    tries = [lab.reaches(lab.visitor, EVERYBODY) for _ in range(8)]
    assert tries[:5] == [True] * 5
    assert not tries[-1]


def test_whether_it_is_in_force_is_exported(lab: Lab) -> None:
    def exported() -> str:
        lab.guarded.check_output("systemctl start tandem-firewall-metrics.service")
        return lab.guarded.check_output("cat /var/lib/prometheus/node-exporter/firewall.prom").splitlines()[-1]

    assert lab.guarded.service("tandem-firewall-metrics.timer").is_running
    assert exported() == "tandem_firewall_active 1"
    lab.guarded.check_output("iptables -P INPUT ACCEPT")
    try:
        assert exported() == "tandem_firewall_active 0"
    finally:
        lab.guarded.check_output("iptables -P INPUT DROP")
    assert exported() == "tandem_firewall_active 1"


def test_what_somebody_changed_by_hand_is_reported_and_mended(lab: Lab) -> None:
    lab.guarded.check_output("ufw allow %s/tcp", str(UNDECLARED))
    run = lab.converge()
    assert run.returncode == 0
    assert f"added by hand, and stays: allow in tcp {UNDECLARED}" in " ".join(run.stdout.split())
    assert [lab.reaches(lab.visitor, port) for port in (DECLARED, UNDECLARED)] == [True, True]

    lab.guarded.check_output("iptables -F ufw-user-input")
    assert lab.converge(ufw_unmanaged="remove").returncode == 0
    assert [lab.reaches(lab.visitor, port) for port in (DECLARED, UNDECLARED)] == [True, False]

    lab.guarded.check_output("iptables -P INPUT ACCEPT && iptables -F INPUT")
    assert lab.reaches(lab.visitor, UNDECLARED)
    assert lab.converge().returncode == 0
    assert [lab.reaches(lab.visitor, port) for port in (DECLARED, UNDECLARED)] == [True, False]
