"""The JSON API: answers, limits of the input, idempotency, and databases that are away."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pymysql
import pytest
from notes import database, store

AWAY = pymysql.OperationalError(2003, "Can't connect to MySQL server")
LOST = pymysql.OperationalError(2013, "Lost connection to MySQL server during query")
READ_ONLY = pymysql.OperationalError(1290, "running with the --read-only option")


def post(client, text="hello", key=None, within=None):
    headers = {"Idempotency-Key": key, "X-Answer-Within": within}
    headers = {name: value for name, value in headers.items() if value is not None}
    return client.post("/notes", json={"text": text}, headers=headers)


# --- What it answers --------------------------------------------------------------------------------


def test_whoami(client):
    assert client.get("/whoami").json["web"] == "web1"


def test_post_answers_the_note(client):
    answer = post(client, "hello", "k1")
    assert answer.status_code == 201
    assert answer.json == {
        "id": 1,
        "text": "hello",
        "key": "k1",
        "web": "web1",
        "database": "db1",
        "created": "2026-01-02T03:04:05.006Z",
    }


def test_post_without_a_key_gets_one(client):
    assert post(client).json["key"] != post(client).json["key"]


def test_list_is_newest_first_and_read_from_the_replica(client):
    for text in ("one", "two", "three"):
        post(client, text)
    answer = client.get("/notes?limit=2")
    assert [note["text"] for note in answer.json] == ["three", "two"]
    assert answer.headers["X-Database"] == "db2"


def test_list_by_key(client):
    post(client, "one", "k1")
    post(client, "two", "k2")
    assert [note["text"] for note in client.get("/notes?key=k2").json] == ["two"]
    assert client.get("/notes?key=none").json == []


def test_fresh_reads_from_the_primary(client):
    assert client.get("/notes?fresh=1").headers["X-Database"] == "db1"


# --- Idempotency ------------------------------------------------------------------------------------


def test_same_key_gives_the_first_answer(client):
    first, second = post(client, "hello", "k1"), post(client, "hello", "k1")
    assert second.status_code == 201
    assert second.json == first.json
    assert len(client.get("/notes").json) == 1


def test_same_key_with_another_text_is_refused(client):
    post(client, "hello", "k1")
    answer = post(client, "bye", "k1")
    assert answer.status_code == 422
    assert "another text" in answer.json["error"]


@pytest.mark.parametrize("key", [None, "k1"])
def test_a_commit_nobody_heard_of_is_not_written_again(client, site, key):
    site.primary.late = [LOST]
    assert post(client, "hello", key).status_code == 201
    assert len(site.primary.table) == 1


# --- Bad input --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ("{", 400, "not JSON"),
        ("[" * 8000, 400, "not JSON"),
        ('"text"', 400, "not a JSON object"),
        ("{}", 400, '{"text": "..."}'),
        ('{"text": 5}', 400, '{"text": "..."}'),
        ('{"text": " "}', 400, "something in it"),
        ('{"text": "\\ud800"}', 400, "Unicode"),
        ('{"text": "%s"}' % ("x" * 1001), 400, "1001 characters"),
        ('{"text": "%s"}' % ("x" * 20000), 413, "the limit is 16384"),
    ],
)
def test_bad_body(client, body, status, word):
    answer = client.post("/notes", data=body, content_type="application/json")
    assert answer.status_code == status
    assert word in answer.json["error"]


def test_other_content_type(client):
    assert client.post("/notes", data={"text": "hello"}).status_code == 415


@pytest.mark.parametrize("key", ["", "a b", "ü", "x" * 129])
def test_bad_key(client, key):
    answer = client.post("/notes", json={"text": "hello"}, headers={"Idempotency-Key": key})
    assert answer.status_code == 400
    assert "ASCII" in answer.json["error"]


@pytest.mark.parametrize("limit", ["0", "-1", "201", "ten", "", "99999999999"])
def test_bad_limit(client, limit):
    assert client.get(f"/notes?limit={limit}").status_code == 400


def test_unknown_path_and_method_answer_json(client):
    assert client.get("/nothing").json["error"]
    answer = client.delete("/notes")
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]


# --- Request id -------------------------------------------------------------------------------------


def test_request_id_is_echoed_and_logged(client, site, caplog):
    site.primary.faults = [LOST]
    answer = client.post("/notes", json={"text": "hello"}, headers={"X-Request-ID": "abc-1"})
    assert answer.headers["X-Request-ID"] == "abc-1"
    assert {record.request_id for record in caplog.records} == {"abc-1"}


def test_strange_request_id_is_replaced(client):
    answer = client.get("/healthz", headers={"X-Request-ID": "a b<script>"})
    assert "script" not in answer.headers["X-Request-ID"]


# --- Databases that are away ------------------------------------------------------------------------


def test_a_short_outage_is_waited_for(client, site):
    site.primary.faults = [AWAY, LOST, READ_ONLY]
    assert post(client).status_code == 201
    site.replica.faults = [AWAY]
    assert client.get("/notes").status_code == 200


def test_a_long_outage_is_503_with_retry_after(client, site):
    site.primary.read_only = True
    start = time.monotonic()
    answer = post(client)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "away" in answer.json["error"]
    assert 0.2 <= time.monotonic() - start < 1


def test_of_those_that_wait_one_asks_whether_it_is_back(site):
    waiting = 30
    crowd = database.Database("write", waiting, waiting, site.primary.connect)
    site.primary.faults = [AWAY] * 10_000
    threading.Timer(0.5, lambda: setattr(site.primary, "faults", [])).start()
    with ThreadPoolExecutor(waiting) as pool:
        results = list(pool.map(lambda _: crowd.run(lambda session: session.rows(store.STATE), 20), range(waiting)))
    assert len(results) == waiting
    # Each for itself would ask some 40 times in that time.
    assert site.primary.connects < 10 * waiting


def test_nobody_waits_longer_than_who_asked_listens(client, site):
    site.primary.read_only = True
    start = time.monotonic()
    assert post(client, within="0.05").status_code == 503
    assert time.monotonic() - start < 0.15
    site.replica.faults = [AWAY] * 50
    assert client.get("/notes", headers={"X-Answer-Within": "0.05"}).status_code == 503


@pytest.mark.parametrize("given", ["", "-1", "99999", "nan", "1e3", "soon"])
def test_a_limit_that_is_none_is_passed_over(client, site, given):
    site.primary.faults = [AWAY]
    assert post(client, within=given).status_code == 201


def test_refused_credentials_are_not_waited_for(client, site):
    site.replica.faults = [pymysql.OperationalError(1045, "Access denied")] * 2
    assert client.get("/notes").status_code == 503
    assert len(site.replica.faults) == 1


def test_a_failure_makes_kept_sessions_suspect(client, site):
    client.get("/notes")
    client.get("/notes")
    assert site.replica.connects == 1
    site.replica.faults = [LOST]
    client.get("/notes")
    assert site.replica.connects == 2


def test_a_full_queue_answers_at_once_and_leaves_reads_alone(client, site):
    for _ in range(2):
        site.write._queue.acquire()
    start = time.monotonic()
    answer = post(client)
    assert answer.status_code == 503
    assert "Too many" in answer.json["error"]
    assert time.monotonic() - start < 0.1
    assert client.get("/notes").status_code == 200


def test_healthz_asks_no_database(client, site):
    site.primary.faults = site.replica.faults = [AWAY] * 9
    assert client.get("/healthz").status_code == 200


def test_readyz(client, site):
    post(client)
    answer = client.get("/readyz")
    assert answer.json["databases"]["write"]["server"] == "db1"
    assert answer.json["databases"]["read"]["read_only"] is True
    site.primary.faults = [AWAY]
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json["databases"]["write"]["ok"] is False
    assert answer.json["databases"]["read"]["ok"] is True


def test_a_bug_shows_no_trace(client, site):
    site.replica.faults = [ZeroDivisionError("secret")]
    answer = client.get("/notes")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.headers["X-Request-ID"] in answer.json["error"]
