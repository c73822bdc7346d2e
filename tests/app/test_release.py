"""Releases: none loses a request, a broken one gets none, and a few are kept to go back to."""

import re

import pytest
from testinfra.host import Host

from tests.support.play import play

RELEASES = "/srv/notes/releases"
BREAKAGES = {
    "cannot be imported": ("echo import nowhere >> notes/api.py", "No module named 'nowhere'"),
    "answers 500": ("""sed -i 's/return jsonify(status="ok")/raise RuntimeError("unwell")/' notes/api.py""", "unwell"),
}


@pytest.fixture(autouse=True)
def original(notes):
    """Come back to the release that converge deployed, which the module finds unchanged after that."""
    release = notes.release()
    yield release
    assert "msg" not in notes.roll(release)


def failures(result):
    return {what: count for what, count in result["counts"].items() if what not in {"GET 200", "POST 201"}}


def test_check_mode_finds_nothing_to_do_after_a_run(request):
    """Also where the source is a commit that only git can name."""
    run = play(request.config.option.ansible_inventory, "molecule/app/converge.yml", "--check")
    assert run.returncode == 0
    assert re.findall(r"changed=(\d+)", run.stdout) == ["0"]


def test_a_new_release_loses_no_request(notes, original):
    release = notes.make_release("test-new")
    with notes.load() as finish:
        assert notes.roll(release)["changed"]
        result = finish()
    assert failures(result) == {}
    assert result["counts"]["POST 201"] > 50
    assert result["releases"] == sorted([original, release])


def test_the_same_release_changes_nothing(notes, original):
    assert not notes.roll(original)["changed"]


def test_a_changed_environment_is_rolled_like_a_release(host, notes, original):
    host.run_expect([0], "cp -p /etc/notes.env /etc/notes.env.kept && echo NOTES_WEB=renamed >> /etc/notes.env")
    try:
        with notes.load() as finish:
            assert notes.roll(original)["changed"]
            result = finish()
        assert failures(result) == {}
        assert notes.ask("GET", "/whoami").json()["web"] == "renamed"
    finally:
        host.run_expect([0], "mv /etc/notes.env.kept /etc/notes.env")


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_broken_release_gets_no_request(notes, original, breakage):
    change, reason = BREAKAGES[breakage]
    release = notes.make_release("test-broken", change)
    with notes.load() as finish:
        answer = notes.roll(release, health_timeout=10)
        result = finish()
    assert f"Release {original} keeps serving." in answer["msg"]
    assert reason in answer["msg"]
    assert failures(result) == {}
    assert result["releases"] == [original]


def test_an_unknown_release_is_refused_by_name(notes, original):
    answer = notes.roll("nothing")
    assert original in answer["msg"]


def test_five_releases_are_kept(host: Host, notes, original):
    """Those that served last, whatever was made and refused since."""
    for number in range(6):
        notes.make_release(f"test-{number}")
    for number in range(1, 4):
        host.run_expect([0], f"touch --date '{number} seconds ago' {RELEASES}/test-{number}/.served")
    host.run_expect([0], f"touch {RELEASES}/{original}/.served")
    notes.roll("test-0")
    assert set(host.file(RELEASES).listdir()) == {"test-0", original, "test-1", "test-2", "test-3"}


def test_it_starts_with_the_host(host, notes):
    host.run_expect([0], "systemctl stop notes.service notes.socket && rm -rf /run/notes")
    host.run_expect([0], "systemctl start sockets.target")
    assert notes.ask("GET", "/healthz").status == 200
