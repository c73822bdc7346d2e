"""The reference application on a real database, and what its unit allows."""

import re
import time
from concurrent.futures import ThreadPoolExecutor

WAIT_SECONDS = 6  # NOTES_WAIT_SECONDS in converge.yml


# --- Unit -------------------------------------------------------------------------------------------


def test_only_the_web_server_may_connect(host, notes):
    assert notes.ask("GET", "/healthz").status == 200
    connect = "import socket; socket.socket(socket.AF_UNIX).connect('/run/notes/notes.sock')"
    assert "Permission denied" in host.run("runuser -u nobody -- python3 -c %s", connect).stderr


def test_secrets_are_for_root_only(host):
    environment = host.file("/etc/notes.env")
    assert (environment.user, environment.group, environment.mode) == ("root", "root", 0o600)
    assert host.run("runuser -u notes -- cat /etc/notes.env").rc != 0


def test_the_unit_is_confined(host):
    score = host.run("systemd-analyze security --no-pager notes.service").stdout
    exposure = float(re.search(r"exposure level for notes.service: ([0-9.]+)", score)[1])
    assert exposure < 2, score


def test_a_killed_service_answers_those_who_wait(host, notes):
    before = notes.ask("GET", "/whoami").json()["process"]
    host.run_expect([0], "systemctl kill --signal=KILL notes.service")
    assert notes.ask("GET", "/whoami").json()["process"] != before


def test_an_application_from_git_runs_in_its_virtual_environment(hello):
    assert hello.ask("GET", "/").body == "Hello from /srv/hello/current/.venv"


# --- API --------------------------------------------------------------------------------------------


def test_a_note_is_written_and_read(host, notes):
    made = notes.ask("POST", "/notes", text="grüße, 雪", key=f"one-{time.time_ns()}")
    assert made.status == 201
    note = made.json()
    assert note["web"] == host.check_output("hostname")
    assert note["database"] == host.check_output("hostname")
    assert notes.ask("GET", "/notes?limit=1").json() == [note]
    assert notes.ask("GET", f"/notes?key={note['key']}").json() == [note]
    assert "grüße, 雪" in notes.ask("GET", "/").body


def test_readyz(notes):
    databases = notes.ask("GET", "/readyz").json()["databases"]
    assert databases["write"]["ok"]
    assert databases["read"]["ok"]


def test_twenty_at_once_with_one_key_write_one_note(notes, database):
    key = f"race-{time.time_ns()}"
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: notes.ask("POST", "/notes", text="race", key=key), range(20)))
    assert {answer.status for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert database(f"SELECT COUNT(*) FROM notes WHERE `key` = '{key}'") == "1"


def test_a_key_is_not_used_for_another_text(notes):
    key = f"reuse-{time.time_ns()}"
    notes.ask("POST", "/notes", text="one", key=key)
    assert notes.ask("POST", "/notes", text="two", key=key).status == 422


# --- Faults -----------------------------------------------------------------------------------------


def test_reads_go_on_while_writes_wait(notes, database):
    database("SET GLOBAL read_only = 1")
    with ThreadPoolExecutor(1) as pool:
        start = time.monotonic()
        write = pool.submit(notes.ask, "POST", "/notes", text="waits")
        for _ in range(3):
            assert notes.ask("GET", "/notes").status == 200
        assert not write.done()
        answer = write.result()
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) > 0
    assert time.monotonic() - start >= WAIT_SECONDS


def test_a_write_outlives_a_short_outage(host, notes, database):
    host.run_expect([0], "systemctl stop mariadb")
    with ThreadPoolExecutor(1) as pool:
        key = f"outage-{time.time_ns()}"
        write = pool.submit(notes.ask, "POST", "/notes", text="patient", key=key)
        host.run_expect([0], "systemctl start mariadb")
        assert write.result().status == 201
    assert database(f"SELECT COUNT(*) FROM notes WHERE `key` = '{key}'") == "1"


def test_a_long_outage_is_said_in_a_sentence(host, notes, database):
    host.run_expect([0], "systemctl stop mariadb")
    answer = notes.ask("GET", "/notes")
    assert answer.status == 503
    assert answer.json()["error"] == "The read database is away. Try again in 2 seconds."
    assert notes.ask("GET", "/healthz").status == 200
    assert notes.ask("GET", "/readyz").status == 503
