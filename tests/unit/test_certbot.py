"""Certbot's defaults and when it renews, without a host."""

import importlib.util
import socket
import threading
from datetime import UTC, datetime, timedelta
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.roles import ROOT, defaults, read_yaml

ROLE = ROOT / "roles/certbot"


def cli_ini(**inputs: Any) -> list[str]:
    """Return the lines of cli.ini for these inputs."""
    variables = defaults("certbot") | read_yaml(ROLE / "vars/main.yml") | {"ansible_managed": "Ansible managed"}
    templar = Templar(loader=DataLoader(), variables=variables | inputs)
    return templar.template(trust_as_template((ROLE / "templates/cli.ini.j2").read_text())).splitlines()


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return tandem-certbot, with a directory of its own for what certbot keeps."""
    loader = SourceFileLoader("tandem_certbot", str(ROLE / "files/tandem-certbot"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    monkeypatch.setattr(module, "ETC", tmp_path)
    return module


def issue(folder: Path, days: float) -> None:
    """Put a certificate with this lifetime where certbot keeps the newest of `www`."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "www")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    certificate = builder.not_valid_before(now).not_valid_after(now + timedelta(days=days)).sign(key, hashes.SHA256())
    (folder / "live/www").mkdir(parents=True)
    (folder / "live/www/cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


@pytest.mark.parametrize("days", [90, 45, 6])
def test_renewal_is_at_two_thirds_of_any_lifetime(tool: ModuleType, tmp_path: Path, days: int) -> None:
    issue(tmp_path, days)
    file = tmp_path / "renewal/www.conf"
    file.parent.mkdir()
    file.write_text("# renew_before_expiry = 30 days\nversion = 4.0.0\n[renewalparams]\n")
    for _ in range(2):
        tool.renew_at_two_thirds("www")
        assert file.read_text() == f"renew_before_expiry = {days * 28800} seconds\nversion = 4.0.0\n[renewalparams]\n"


def test_port_80_proves_a_name() -> None:
    lines = cli_ini(certbot_http01_address="192.0.2.11")
    assert "authenticator = standalone" in lines
    assert "http-01-address = 192.0.2.11" in lines


def test_dns_proves_a_name() -> None:
    lines = cli_ini(
        certbot_challenge="dns-01",
        certbot_dns_plugin="dns-rfc2136",
        certbot_dns_credentials="dns_rfc2136_server = 192.0.2.53",
        certbot_dns_options={"dns-rfc2136-propagation-seconds": 30},
    )
    assert "authenticator = dns-rfc2136" in lines
    assert "dns-rfc2136-propagation-seconds = 30" in lines
    assert [line for line in lines if line.startswith("dns-rfc2136-credentials = /")]
    assert not [line for line in lines if "http-01" in line or "192.0.2.53" in line]


# --- Where the CA asks ----------------------------------------------------------------------------
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_certbot_that_proves_a_name_just_now_is_waited_for(tool: ModuleType, address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    certbot = socket.create_server((address, 0), family=family)
    port = certbot.getsockname()[1]
    threading.Timer(0.3, certbot.close).start()
    with tool.listener(address, port, tool.Answer) as server:
        assert server.server_address[:2] == (address, port)


def test_an_address_that_is_not_here_is_said(tool: ModuleType) -> None:
    with pytest.raises(tool.Failure, match=r"Nothing can listen on 192\.0\.2\.1 port 8402"):
        tool.listener("192.0.2.1", 8402, tool.Answer)
