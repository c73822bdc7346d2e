"""How members tell each other what they hold: over real sockets, with certificates of a CA of our own."""

import datetime
import inspect
import ipaddress
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.roles import ROOT

sys.path.append(str(ROOT / "roles/mysql/files/mysql-cluster"))

from decision import Report
from reports import Server, ask, ask_all

OWN, OTHER = "127.0.0.1", "127.0.0.2"
REPORT = Report("db1", ["db1=127.0.0.1"], "offline", "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5")


class Authority:
    """Issues certificates into a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.path = folder / f"{name}.pem"
        self.path.write_bytes(self._issue(self.name, self.key, None))

    def _issue(self, name: x509.Name, key: ec.EllipticCurvePrivateKey, address: str | None) -> bytes:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=address is None, path_length=None), critical=True)
            # Python 3.13 verifies strictly, as RFC 5280 has it.
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        if not address:
            uses = dict.fromkeys(inspect.signature(x509.KeyUsage).parameters, False) | {"key_cert_sign": True}
            builder = builder.add_extension(x509.KeyUsage(**uses), critical=True)
        else:
            names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def tls(self, name: str, address: str) -> dict[str, str]:
        """Return the files of a host."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        files = {"ca": self.path, "cert": self.folder / f"{name}.crt", "key": self.folder / f"{name}.key"}
        files["cert"].write_bytes(self._issue(subject, key, address))
        files["key"].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return {kind: str(path) for kind, path in files.items()}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"), "internal")


@pytest.fixture(scope="module")
def port(authority: Authority) -> Iterator[int]:
    server = Server(OWN, 0, authority.tls("db1", OWN), [OWN, OTHER], lambda: REPORT)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_member_is_answered(authority: Authority, port: int) -> None:
    assert ask("db1", OWN, port, authority.tls("db2", OTHER)) == REPORT


def test_a_host_that_is_no_member_is_not(authority: Authority, port: int) -> None:
    assert ask("db1", OWN, port, authority.tls("web1", "127.0.0.3")) is None


def test_a_stranger_is_not(tmp_path: Path, authority: Authority, port: int) -> None:
    stranger = Authority(tmp_path, "stranger").tls("db2", OTHER)
    assert ask("db1", OWN, port, stranger | {"ca": str(authority.path)}) is None


def test_who_answers_has_to_be_whom_was_asked(authority: Authority, port: int) -> None:
    assert ask("db3", OWN, port, authority.tls("db2", OTHER)) is None
    # localhost is not in the certificate.
    assert ask("db1", "localhost", port, authority.tls("db2", OTHER)) is None


def test_a_client_that_says_nothing_keeps_nobody_waiting(authority: Authority, port: int) -> None:
    with socket.create_connection((OWN, port)):
        assert ask("db1", OWN, port, authority.tls("db2", OTHER)) == REPORT


def test_several_are_asked_at_once(authority: Authority, port: int) -> None:
    members = [{"name": "db1", "address": OWN}, {"name": "db2", "address": OTHER}]
    assert ask_all(members, port, authority.tls("db2", OTHER)) == {"db1": REPORT, "db2": None}
