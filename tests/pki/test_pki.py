"""Certificates: made on their hosts, signed by one CA, trusted between hosts, renewed in time."""

import shutil
from pathlib import Path

import pytest
import testinfra
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from tests.support.play import play

CONVERGE = Path(__file__).parents[2] / "molecule/pki/converge.yml"
PKI = "/etc/tandem/pki"
CERTIFIED = ["db1", "web1"]  # lb1 asks for no certificate


@pytest.fixture(scope="module")
def inventory(request):
    return request.config.option.ansible_inventory


@pytest.fixture(scope="module")
def hosts(inventory):
    """All hosts at once: these tests compare them, and let them talk to each other."""
    return {name: testinfra.get_host(f"ansible://{name}", ansible_inventory=inventory) for name in [*CERTIFIED, "lb1"]}


@pytest.fixture(scope="module")
def addresses(hosts):
    return {name: host.ansible.get_variables()["topology_address"] for name, host in hosts.items()}


@pytest.fixture(scope="module")
def ca_dir(hosts):
    return Path(hosts["db1"].ansible.get_variables()["lab_state_dir"]) / "pki"


@pytest.fixture
def converge(inventory):
    """Run the role again, on the same hosts."""

    def run(*options, **variables):
        done = play(inventory, CONVERGE, *options, **variables)
        assert done.returncode == 0
        return done.stdout

    return run


def certificate(host, name):
    return x509.load_pem_x509_certificate(host.file(f"{PKI}/{name}.pem").content)


def passphrase(ca_dir):
    return (ca_dir.parent / "secrets/pki_passphrase").read_text().strip()


def served(client, address, *options):
    """Connect as a client that trusts the CA only, and return what openssl says."""
    return client.run(
        f"echo | openssl s_client -connect {address}:4433 -CAfile {PKI}/ca.pem -verify_return_error {' '.join(options)}"
    )


OWN = (f"-cert {PKI}/service.pem", f"-key {PKI}/service.key")


@pytest.mark.parametrize(("client", "server"), [("web1", "db1"), ("db1", "web1")])
def test_hosts_verify_each_other(hosts, addresses, client, server):
    for name in (
        f"-verify_hostname {server}",
        "-verify_hostname service.tandem.test",
        f"-verify_ip {addresses[server]}",
    ):
        answer = served(hosts[client], addresses[server], name, *OWN)
        assert answer.rc == 0, answer.stderr
        assert "Verify return code: 0 (ok)" in answer.stdout


def test_a_wrong_name_is_not_trusted(hosts, addresses):
    answer = served(hosts["web1"], addresses["db1"], "-verify_hostname web1", *OWN)
    assert "hostname mismatch" in answer.stdout + answer.stderr


def test_a_host_without_certificate_trusts_the_same_ca(hosts):
    assert len({host.file(f"{PKI}/ca.pem").content for host in hosts.values()}) == 1
    assert not hosts["lb1"].file(f"{PKI}/service.key").exists


@pytest.mark.parametrize("name", ["service", "other"])
def test_each_host_has_its_own_key(hosts, name):
    keys = {certificate(hosts[host], name).public_key().public_numbers() for host in CERTIFIED}
    assert len(keys) == len(CERTIFIED)


@pytest.mark.parametrize(("name", "group"), [("service", "tandem-service"), ("other", "root")])
def test_only_root_and_the_group_read_a_key(hosts, name, group):
    for key in (hosts[host].file(f"{PKI}/{name}.key") for host in CERTIFIED):
        assert (key.user, key.group, key.mode) == ("root", group, 0o640)


def test_certificates_say_what_they_are_for(hosts, addresses, ca_dir):
    leaf = certificate(hosts["db1"], "service").extensions
    names = leaf.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["db1", "service.tandem.test"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == [addresses["db1"], "127.0.0.1"]
    assert not leaf.get_extension_for_class(x509.BasicConstraints).value.ca
    usages = leaf.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(usages) == {x509.ExtendedKeyUsageOID.SERVER_AUTH, x509.ExtendedKeyUsageOID.CLIENT_AUTH}

    ca = x509.load_pem_x509_certificate((ca_dir / "ca.pem").read_bytes()).extensions
    constraints = ca.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(ca=True, path_length=0)
    usage = ca.get_extension_for_class(x509.KeyUsage).value
    assert usage.key_cert_sign
    assert not usage.digital_signature


def test_the_controller_keeps_one_key_and_only_encrypted(ca_dir):
    with_keys = [path.name for path in ca_dir.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
    assert with_keys == ["ca.key"]
    key = ca_dir / "ca.key"
    assert key.stat().st_mode & 0o777 == 0o600
    with pytest.raises(TypeError, match="encrypted"):
        load_pem_private_key(key.read_bytes(), password=None)
    assert load_pem_private_key(key.read_bytes(), passphrase(ca_dir).encode()).key_size == 3072


def test_a_certificate_near_its_end_is_issued_again_and_served(hosts, addresses, converge):
    before = {name: certificate(hosts[name], "service") for name in CERTIFIED}
    converge("-e", "pki_renew_days=400")
    for name in CERTIFIED:
        after = certificate(hosts[name], "service")
        assert after.serial_number != before[name].serial_number
        assert after.public_key() == before[name].public_key()
    answer = served(hosts["web1"], addresses["db1"], *OWN)
    assert certificate(hosts["db1"], "service").public_bytes(Encoding.PEM).decode() in answer.stdout


def test_a_new_name_is_issued_for_that_certificate_only(hosts, converge):
    before = {name: certificate(hosts["db1"], name).serial_number for name in ("service", "other")}
    records = [
        {"name": "service", "dns": ["db1", "new.tandem.test"], "group": "tandem-service"},
        {"name": "other", "dns": ["db1"]},
    ]
    converge("--limit", "db1", certificates=records)
    after = {name: certificate(hosts["db1"], name).serial_number for name in ("service", "other")}
    assert after["service"] != before["service"]
    assert after["other"] == before["other"]


def test_a_new_ca_replaces_every_certificate_and_tells_no_secret(hosts, addresses, ca_dir, tmp_path, converge):
    shutil.move(ca_dir, tmp_path / "pki")
    output = converge("-vvvv", "--diff")
    assert (ca_dir / "ca.pem").read_bytes() != (tmp_path / "pki/ca.pem").read_bytes()
    assert served(hosts["web1"], addresses["db1"], "-verify_hostname db1", *OWN).rc == 0
    assert passphrase(ca_dir) not in output
    assert "PRIVATE KEY" not in output


def test_what_is_lost_on_a_host_comes_back_and_then_nothing_changes(hosts, addresses, converge):
    hosts["db1"].check_output(f"rm {PKI}/service.key {PKI}/other.pem {PKI}/ca.pem")
    converge()
    assert served(hosts["web1"], addresses["db1"], "-verify_hostname db1", *OWN).rc == 0
    assert converge().count("changed=0") == len(hosts)
