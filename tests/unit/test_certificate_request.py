"""The module that makes a key and asks for its certificate, run on this machine."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.support.roles import ROOT


def run(directory: Path, **options: Any) -> dict[str, Any]:
    arguments = {
        "path": str(directory / "service.key"),
        "certificate": str(directory / "service.pem"),
        "dns": ["db1.example.org", "db1"],
        "ips": ["192.0.2.31", "2001:db8::31"],
        "mode": "0640",
    }
    done = subprocess.run(
        [sys.executable, ROOT / "plugins/modules/certificate_request.py"],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments | options}),
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout, done.stderr)
    return json.loads(done.stdout)


@pytest.fixture
def made(tmp_path: Path) -> dict[str, Any]:
    return run(tmp_path)


def test_key(made: dict[str, Any], tmp_path: Path) -> None:
    key = tmp_path / "service.key"
    assert made["changed"]
    assert isinstance(load_pem_private_key(key.read_bytes(), None).curve, SECP256R1)
    assert key.stat().st_mode & 0o777 == 0o640
    assert [file.name for file in tmp_path.iterdir()] == ["service.key"]


def test_request(made: dict[str, Any], tmp_path: Path) -> None:
    request = x509.load_pem_x509_csr(made["csr"].encode())
    assert request.is_signature_valid
    assert request.public_key() == load_pem_private_key((tmp_path / "service.key").read_bytes(), None).public_key()
    assert request.subject.rfc4514_string() == "CN=db1.example.org"
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["db1.example.org", "db1"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.31", "2001:db8::31"]


def test_the_key_stays(made: dict[str, Any], tmp_path: Path) -> None:
    key = (tmp_path / "service.key").read_bytes()
    assert not run(tmp_path)["changed"]
    assert (tmp_path / "service.key").read_bytes() == key


def test_the_mode_is_restored(made: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "service.key").chmod(0o644)
    assert run(tmp_path)["changed"]
    assert (tmp_path / "service.key").stat().st_mode & 0o777 == 0o640


def test_the_installed_certificate_is_returned(made: dict[str, Any], tmp_path: Path) -> None:
    assert made["certificate"] == ""
    (tmp_path / "service.pem").write_text("installed\n")
    assert run(tmp_path)["certificate"] == "installed\n"


def test_check_mode_makes_nothing(tmp_path: Path) -> None:
    answer = run(tmp_path, _ansible_check_mode=True)
    assert (answer["changed"], answer["csr"]) == (True, "")
    assert list(tmp_path.iterdir()) == []


def test_a_broken_key_is_an_error_and_is_kept(tmp_path: Path) -> None:
    (tmp_path / "service.key").write_text("broken")
    answer = run(tmp_path)
    assert answer["failed"]
    assert "Could not" in answer["msg"]
    assert (tmp_path / "service.key").read_text() == "broken"
