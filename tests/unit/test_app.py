"""The application role without a host: what a release is named after, and the files it renders."""

import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar, trust_as_template

from plugins.lookup.app_bundle import bundle
from plugins.modules import app_release
from tests.support.roles import ROOT, defaults

ROLE = ROOT / "roles/app"


@pytest.fixture(scope="session", autouse=True)
def collections() -> None:
    init_plugin_loader()


def render(template: str, **variables: Any) -> str:
    """Return what a template of the role makes of these variables."""
    known = {name: value for name, value in defaults("app").items() if "{{" not in str(value)}
    templar = Templar(loader=DataLoader(), variables=known | {"ansible_managed": "Ansible managed"} | variables)
    text = trust_as_template((ROLE / "templates" / template).read_text())
    return templar.template(text, escape_backslashes=False)  # as for a file


# --- Releases ---------------------------------------------------------------------------------------


@pytest.fixture
def source(tmp_path: Path) -> Path:
    directory = tmp_path / "source"
    (directory / "package").mkdir(parents=True)
    (directory / "package/app.py").write_text("app = 1\n")
    return directory


def test_the_same_content_has_the_same_id(source, tmp_path):
    before = bundle(source, tmp_path)["id"]
    (source / "package/app.py").touch()
    (source / "package/app.py").chmod(0o600)
    (source / "package/__pycache__").mkdir()
    (source / "package/__pycache__/app.pyc").write_text("")
    (source / ".git").mkdir()
    assert bundle(source, tmp_path)["id"] == before


def test_an_archive_that_another_host_is_sending_is_never_written_again(source, tmp_path):
    with Path(bundle(source, tmp_path)["path"]).open("rb") as sending:
        again = Path(bundle(source, tmp_path)["path"])
        assert os.fstat(sending.fileno()).st_ino != again.stat().st_ino
        assert sending.read() == again.read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        lambda source: (source / "package/app.py").write_text("app = 2\n"),
        lambda source: (source / "package/app.py").rename(source / "package/other.py"),
        lambda source: (source / "package/app.py").chmod(0o755),
        lambda source: (source / "empty").mkdir(),
    ],
)
def test_another_content_has_another_id(source, tmp_path, change):
    before = bundle(source, tmp_path)["id"]
    change(source)
    assert bundle(source, tmp_path)["id"] != before


def test_the_archive_holds_the_files(source, tmp_path):
    with tarfile.open(bundle(source, tmp_path)["path"]) as tar:
        assert tar.getnames() == ["package", "package/app.py"]
        assert {entry.uname for entry in tar} == {"root"}


def test_an_archive_is_taken_as_it_is(source, tmp_path):
    packed = bundle(source, tmp_path)["path"]
    assert bundle(Path(packed), tmp_path)["path"] == packed


# --- Connections to a socket ------------------------------------------------------------------------


def test_only_connections_to_that_socket_count(monkeypatch):
    table = """Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 4711 /run/notes/main.sock
0000000000000000: 00000003 00000000 00000000 0001 03 4712 /run/notes/main.sock
0000000000000000: 00000003 00000000 00000000 0001 03 4713 /run/notes/next.sock
0000000000000000: 00000003 00000000 00000000 0001 03 4714
"""
    monkeypatch.setattr(Path, "read_text", lambda _: table)
    assert app_release._connections("/run/notes/main.sock") == 1


# --- Files ------------------------------------------------------------------------------------------


def test_environment_values_survive_quoting():
    values = {"PLAIN": "a b", "HARD": "a\"b\\c$d`e'f", "NUMBER": 5}
    text = render("environment.j2", app_environment=values)
    read = dict(line.split("=", 1) for line in text.splitlines() if not line.startswith("#"))
    assert read == {"HARD": '"a\\"b\\\\c\\$d\\`e\'f"', "NUMBER": '"5"', "PLAIN": '"a b"'}


@pytest.mark.parametrize("link", ["current", "next"])
def test_units(link):
    unit = {"name": "shop" if link == "current" else "shop-next", "link": link, "socket": "x"}
    variables = {"item": unit, "app_name": "shop", "app_directory": "/srv/shop"}
    variables |= {"__app_environment_file": "/etc/shop.env"}
    service = render("app.service.j2", **variables)
    socket = render("app.socket.j2", **variables)
    assert f"WorkingDirectory=/srv/shop/{link}\n" in service
    assert "EnvironmentFile=/etc/shop.env\n" in service
    assert f"Requires={unit['name']}.socket\n" in service
    # Only the service that stays may start by itself, and has the name that the web server connects to.
    assert ("Restart=always" in service) == (link == "current")
    assert ("Symlinks=/run/shop/shop.sock" in socket) == (link == "current")
    assert ("[Install]" in service + socket) == (link == "current")
