"""Certificates of a real ACME CA on two load balancers: obtained, renewed, deployed, refused in time."""

import json
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import testinfra
from cryptography import x509

NAMES = {"www.tandem.test", "api.tandem.test"}
NAME = "www.tandem.test"
TRUST = "REQUESTS_CA_BUNDLE=/etc/tandem/pki/ca.pem"
RENEW = f"{TRUST} certbot renew --force-renewal --no-random-sleep-on-renew"
METRICS = "/var/lib/prometheus/node-exporter/certbot.prom"
SETTINGS = "/etc/letsencrypt/tandem.json"


@pytest.fixture(scope="module")
def hosts(request):
    inventory = request.config.option.ansible_inventory
    names = ("lb1", "lb2", "client1")
    return {name: testinfra.get_host(f"ansible://{name}", ansible_inventory=inventory) for name in names}


@pytest.fixture
def balancers(hosts):
    return [hosts["lb1"], hosts["lb2"]]


@pytest.fixture
def root(hosts):
    return Path(hosts["lb1"].ansible.get_variables()["lab_state_dir"]) / "acme-root.pem"


def address(host):
    return host.ansible.get_variables()["topology_address"]


def served(host, root, name=NAME):
    """Return the certificate that the host's HAProxy serves, verified as a browser would."""
    context = ssl.create_default_context(cafile=root)
    with (
        socket.create_connection((address(host), 443), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=name) as secure,
    ):
        return x509.load_der_x509_certificate(secure.getpeercert(binary_form=True))


def metric(host, name):
    lines = host.file(METRICS).content_string.splitlines()
    return float(next(line.split()[-1] for line in lines if line.startswith(name)))


def haproxy_starts(host):
    """Return what changes when HAProxy is reloaded or restarted: its processes."""
    return host.check_output("pgrep -x haproxy | sort | xargs")


def together(balancers, command):
    """Run a command on all load balancers at the same moment."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda host: host.run(command), balancers))


def test_a_client_that_trusts_the_ca_accepts_both_load_balancers(balancers, root):
    for host in balancers:
        for name in NAMES:
            certificate = served(host, root, name)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert set(names.get_values_for_type(x509.DNSName)) == NAMES


def test_each_load_balancer_has_a_key_and_an_account_of_its_own(balancers, root):
    first, second = (served(host, root) for host in balancers)
    assert first.public_key().public_numbers() != second.public_key().public_numbers()
    accounts = {host.check_output("ls /etc/letsencrypt/accounts/*/*") for host in balancers}
    assert len(accounts) == 2


def test_the_key_is_for_root_alone(balancers):
    for host in balancers:
        assert host.file(f"/etc/haproxy/certs/{NAME}.pem").mode == 0o600


def test_renewals_at_the_same_moment_reach_the_running_haproxy(balancers, root):
    before = [served(host, root).serial_number for host in balancers]
    processes = [haproxy_starts(host) for host in balancers]
    for run in together(balancers, RENEW):
        assert run.rc == 0, run.stderr
    for host, old, pids in zip(balancers, before, processes, strict=True):
        assert served(host, root).serial_number != old
        assert haproxy_starts(host) == pids, "HAProxy was reloaded, although its socket takes certificates"
        assert metric(host, "tandem_certificate_deployed") == 1
        assert metric(host, "tandem_certbot_failed") == 0


def test_expiry_is_a_metric(balancers, root):
    for host in balancers:
        end = served(host, root).not_valid_after_utc.timestamp()
        assert metric(host, "tandem_certificate_not_after_timestamp_seconds") == end


@pytest.mark.parametrize(("days", "due"), [(52, False), (54, True)])
def test_renewal_is_due_at_two_thirds_of_the_lifetime(hosts, days, due):
    """The CA gives 80 days: 53 and a third is the moment."""
    renew = f"{TRUST} faketime -f +{days}d certbot renew --no-random-sleep-on-renew"
    run = hosts["lb2"].run(renew)
    assert ("not due for renewal" not in run.stdout) == due, run.stdout


def test_the_timer_renews(balancers):
    for host in balancers:
        assert host.service("certbot.timer").is_enabled
        assert host.service("certbot.timer").is_running
        run = host.run("systemctl start certbot.service")
        assert run.rc == 0, run.stderr


@pytest.fixture
def settings(hosts):
    """Change the tool's settings on lb2; they are put back after the test."""
    host = hosts["lb2"]
    host.run_expect([0], f"cp -a {SETTINGS} /root/settings.json")
    original = json.loads(host.file(SETTINGS).content_string)

    def write(**changed):
        host.run_expect([0], f"echo '{json.dumps(original | changed)}' > {SETTINGS}")

    yield write
    host.run_expect([0], f"mv /root/settings.json {SETTINGS}")


def refusal(host):
    run = host.run("tandem-certbot ensure")
    assert run.rc == 1
    assert "Traceback" not in run.stderr
    return run.stderr


def orders(hosts):
    return int(hosts["client1"].check_output("journalctl -u pebble | grep -c 'POST /order-plz' || true"))


def test_a_name_that_does_not_resolve_is_refused_before_the_ca_is_asked(hosts, settings):
    settings(certificates=[{"name": "nowhere", "domains": ["nowhere.tandem.test"]}])
    before = orders(hosts)
    assert "nowhere.tandem.test does not resolve" in refusal(hosts["lb2"])
    assert before > 0
    assert orders(hosts) == before


def test_a_name_of_another_site_is_refused_before_the_ca_is_asked(hosts, settings):
    settings(certificates=[{"name": "lost", "domains": [NAME]}], site_addresses=["192.0.2.1"])
    before = orders(hosts)
    assert "is not an address of this site; let it point to 192.0.2.1." in refusal(hosts["lb2"])
    assert orders(hosts) == before


def test_a_certificate_that_haproxy_does_not_take_is_a_loud_failure(hosts, root, settings):
    host = hosts["lb2"]
    old = served(host, root).serial_number
    settings(haproxy_socket="/run/haproxy/nowhere.sock")
    host.run_expect([0], "cp -a /etc/haproxy/haproxy.cfg /tmp/ && echo nonsense >> /etc/haproxy/haproxy.cfg")
    try:
        host.run(RENEW)
        assert served(host, root).serial_number == old
        assert metric(host, "tandem_certificate_deployed") == 0
        assert "HAProxy does not use it" in refusal(host)
        # Certbot has nothing more to do, and is content.
        host.run("systemctl start certbot.service")
        assert metric(host, "tandem_certbot_failed") == 1
        assert host.run("systemctl is-failed certbot.service").rc == 0
    finally:
        host.run_expect([0], "cp -a /tmp/haproxy.cfg /etc/haproxy/haproxy.cfg")
    # The next run finishes it, without asking the CA again.
    settings()
    before = orders(hosts)
    host.run_expect([0], "tandem-certbot ensure")
    assert served(host, root).serial_number != old
    assert metric(host, "tandem_certbot_failed") == 0
    assert host.run("systemctl start certbot.service").rc == 0
    assert orders(hosts) == before


def test_a_second_certificate_is_used_after_a_reload(hosts, settings):
    """HAProxy's socket takes no certificate for a file that it does not know."""
    host = hosts["lb2"]
    declared = json.loads(host.file(SETTINGS).content_string)["certificates"]
    settings(certificates=[*declared, {"name": "second", "domains": ["api.tandem.test"]}])
    processes = haproxy_starts(host)
    try:
        assert host.run_expect([0], "tandem-certbot ensure").stdout == "changed\n"
        assert haproxy_starts(host) != processes
        assert metric(host, 'tandem_certificate_deployed{name="second"}') == 1
        assert host.run_expect([0], "tandem-certbot ensure").stdout == ""
    finally:
        host.run_expect([0], "certbot delete --non-interactive --cert-name second")
        host.run_expect([0], "rm -f /etc/haproxy/certs/second.pem && systemctl reload haproxy")
