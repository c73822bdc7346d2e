"""Certificates of a real ACME CA on two load balancers: obtained, renewed, deployed, refused in time."""

import base64
import json
import secrets
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import testinfra
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.play import play

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
        assert isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)


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


@pytest.fixture
def names_lead_to(hosts):
    """Let the CA find the site's names at another load balancer, as when the virtual address has moved."""

    def point(host):
        told = f'curl --fail --silent --data \'{{"ip": "{address(host)}"}}\' http://127.0.0.1:8055/set-default-ipv4'
        hosts["client1"].run_expect([0], told)

    yield point
    point(hosts["lb1"])


@pytest.mark.parametrize("asked", ["lb1", "lb2"])
def test_a_challenge_is_met_whichever_load_balancer_it_reaches(hosts, balancers, root, names_lead_to, asked):
    names_lead_to(hosts[asked])
    before = [served(host, root).serial_number for host in balancers]
    for run in together(balancers, RENEW):
        assert run.rc == 0, run.stderr
    assert all(served(host, root).serial_number != old for host, old in zip(balancers, before, strict=True))


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
        # Not every site of the world at the same moment.
        assert host.check_output("systemctl show --property RandomizedDelayUSec --value certbot.timer") != "0"
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


def test_a_name_whose_port_80_does_not_lead_here_is_refused_before_the_ca_is_asked(hosts, settings):
    host, elsewhere = hosts["lb2"], address(hosts["client1"])
    settings(certificates=[{"name": "closed", "domains": ["closed.tandem.test"]}], site_addresses=[elsewhere])
    host.run_expect([0], f"echo '{elsewhere} closed.tandem.test' >> /etc/hosts")
    before = orders(hosts)
    assert "Port 80 of closed.tandem.test does not lead to this host's challenge port" in refusal(host)
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


# --- Proven by DNS ----------------------------------------------------------------------------------

ZONE = """$TTL 1
@ SOA ns.tandem.test. admin.tandem.test. 1 60 60 60 1
@ NS ns.tandem.test.
ns A {address}
"""
KNOT = """server:
    rundir: /run/knot
    user: knot:knot
    listen: {address}@53
database:
    storage: /var/lib/knot
key:
  - id: tandem
    algorithm: hmac-sha256
    secret: {secret}
acl:
  - id: tandem
    key: tandem
    action: update
template:
  - id: default
    storage: /var/lib/knot
    file: "%s.zone"
zone:
  - domain: tandem.test
    acl: tandem
"""
PLUGIN = """dns_rfc2136_server = {address}
dns_rfc2136_name = tandem.
dns_rfc2136_secret = {secret}
dns_rfc2136_algorithm = HMAC-SHA256
"""


@pytest.fixture
def dns(hosts):
    """Return address and secret of a name server that takes updates, and which a second CA asks."""
    client, own = hosts["client1"], {"address": address(hosts["client1"])}
    own["secret"] = base64.b64encode(secrets.token_bytes(32)).decode()
    install = "DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends knot"
    client.run_expect([0], install)
    for path, text in (("/var/lib/knot/tandem.test.zone", ZONE), ("/etc/knot/knot.conf", KNOT)):
        client.run_expect([0], f"cat > {path} << 'END'\n{text.format(**own)}END")
    client.run_expect([0], "chown -R knot:knot /var/lib/knot && systemctl restart knot")
    client.run_expect([0], "sed 's/:14000/:14001/; s/:15000/:15001/' /etc/pebble.json > /etc/pebble-dns.json")
    change = f"s/pebble.json -dnsserver 127.0.0.1:8053/pebble-dns.json -dnsserver {own['address']}:53/"
    unit = "/etc/systemd/system/pebble{}.service"
    client.run_expect([0], f"sed '{change}' {unit.format('')} > {unit.format('-dns')}")
    client.run_expect([0], "systemctl daemon-reload && systemctl restart pebble-dns")
    yield own
    client.run_expect([0], "systemctl stop pebble-dns knot")


def test_a_certificate_for_every_name_is_proven_by_dns(hosts, dns, request):
    """It is asked for and renewed by a plugin of certbot, whose credentials are for root alone."""
    host, inventory = hosts["lb2"], request.config.option.ansible_inventory

    def converge(**variables):
        run = play(inventory, "molecule/certbot/converge.yml", "--limit", "lb2", **variables)
        assert run.returncode == 0
        return run.stdout

    def names_served():
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # another CA than the lab's
        with (
            socket.create_connection((address(host), 443), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname="any.tandem.test") as secure,
        ):
            certificate = x509.load_der_x509_certificate(secure.getpeercert(binary_form=True))
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return names.get_values_for_type(x509.DNSName), certificate.serial_number

    output = converge(
        certbot_challenge="dns-01",
        certbot_dns_plugin="dns-rfc2136",
        certbot_dns_package="python3-certbot-dns-rfc2136",
        certbot_dns_credentials=PLUGIN.format(**dns),
        certbot_dns_options={"dns-rfc2136-propagation-seconds": 1},
        certbot_server=f"https://{address(hosts['client1'])}:14001/dir",
        certbot_certificates=[{"name": "every", "domains": ["*.tandem.test"]}],
    )
    try:
        names, serial = names_served()
        assert names == ["*.tandem.test"]
        assert dns["secret"] not in output
        assert host.run(f"{RENEW} --cert-name every").rc == 0
        assert names_served()[0] == names
        assert names_served()[1] != serial
    finally:
        host.run_expect([0], "certbot delete --non-interactive --cert-name every")
        host.run_expect([0], "rm -f /etc/haproxy/certs/every.pem && systemctl reload haproxy")
        converge()
    assert not host.file("/etc/letsencrypt/dns-credentials.ini").exists
