"""What every host has: names, upgrades that interrupt nothing, and the right time."""

import pytest
import testinfra

from tests.support.wait import wait_until

NAMES = ["db1", "mon1"]


@pytest.fixture(scope="module")
def hosts(request):
    inventory = request.config.option.ansible_inventory
    return {name: testinfra.get_host(f"ansible://{name}", ansible_inventory=inventory) for name in NAMES}


def test_hosts_resolve_each_other_and_themselves_to_the_address_of_the_site(host, hosts):
    for name in NAMES:
        address = hosts[name].ansible.get_variables()["topology_address"]
        assert host.addr(name).ipv4_addresses[0] == address
    assert "127.0.0.1" in host.addr("localhost").ipv4_addresses


def test_upgrades_run_every_night(host):
    settings = host.check_output("apt-config dump APT::Periodic").splitlines()
    assert 'APT::Periodic::Update-Package-Lists "1";' in settings
    assert 'APT::Periodic::Unattended-Upgrade "1";' in settings


def test_upgrades_leave_alone_what_nobody_may_restart(hosts):
    """The scenario's archive offers version 2 of both packages; only one of them may be taken."""
    db1 = hosts["db1"]
    print(db1.check_output("unattended-upgrade --verbose"))
    assert db1.package("probe").version == "2"
    assert db1.package("haproxy-probe").version == "1"


@pytest.mark.parametrize("unit", ["haproxy", "keepalived", "mysql", "mariadb", "nginx"])
def test_needrestart_restarts_only_what_it_may(host, unit):
    """Read the file as needrestart does: as Perl, the last pattern that matches decides."""
    answer = host.check_output(
        "perl -e 'our %%nrconf; do q(/etc/needrestart/conf.d/tandem.conf); die $@ if $@; "
        "print grep { q(%s.service) =~ $_ } keys %%{$nrconf{override_rc}}'",
        unit,
    )
    assert bool(answer) == (unit != "nginx")


def test_the_clock_follows_the_time_server(hosts):
    address = hosts["mon1"].ansible.get_variables()["topology_address"]

    def follows():
        sources = hosts["db1"].check_output("chronyc -n -c sources").splitlines()
        return any(source.startswith(f"^,*,{address},") for source in sources)

    wait_until(follows, timeout=60, what="db1 to follow mon1's clock")
