"""The page for people."""

import re

import pymysql


def form(page):
    return {"key": re.search(r'name="key" value="([^"]+)"', page.text)[1]}


def test_page_says_who_serves(client):
    client.post("/notes", json={"text": "hello <b>"})
    page = client.get("/")
    assert page.status_code == 200
    for word in ("web1", "db1", "db2", "in step", "a replica, read-only", "hello &lt;b&gt;"):
        assert word in page.text


def test_page_loads_nothing_from_elsewhere(client):
    page = client.get("/")
    assert not re.search(r"(src|href)=\"(https?:)?//", page.text)
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


def test_form_sent_twice_adds_one_note(client, site):
    data = form(client.get("/")) | {"text": "once"}
    for _ in range(2):
        answer = client.post("/", data=data)
        assert answer.status_code == 303
        assert answer.headers["Location"].endswith("/?fresh=1")
    assert len(site.primary.table) == 1


def test_form_keeps_what_was_typed(client, site):
    site.primary.read_only = True
    answer = client.post("/", data=form(client.get("/")) | {"text": "typed"})
    assert answer.status_code == 503
    assert ">typed</textarea>" in answer.text
    assert 'role="alert"' in answer.text


def test_empty_form_is_refused(client):
    assert client.post("/", data={"text": " "}).status_code == 400


def test_page_without_a_database_to_read(client, site):
    site.replica.faults = [pymysql.OperationalError(2003, "away")] * 99
    page = client.get("/")
    assert page.status_code == 503
    assert page.headers["Retry-After"]
    assert "cannot be read now" in page.text
