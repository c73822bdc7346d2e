"""What nginx makes of a request, and of its own configuration. The client is the hosts' gateway."""

import json
import socket
import uuid
from pathlib import Path

import pytest
import testinfra

from tests.support.http import get, request
from tests.support.inventory import read_inventory
from tests.support.play import play
from tests.support.wait import wait_until

CONVERGE = Path(__file__).parents[2] / "molecule/nginx/converge.yml"
CLAIMS = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.test"}

testinfra_hosts = ["ansible://web1"]


class Web:
    """A web server, from outside and from within."""

    def __init__(self, name, url, variables):
        self.name = name
        self.url = url
        self.address = variables["topology_address"]
        self.client = f"{variables['lab_network']}.1"
        self.host = testinfra.get_host(f"docker://{variables['ansible_host']}")

    def get(self, path="/", **options):
        return get(f"{self.url}{path}", address=self.address, **options)

    def logged(self, request_id):
        """Return the record of a request in the access log."""
        log = "/var/log/nginx/access.log"
        wait_until(lambda: request_id in self.host.file(log).content_string, 10, f"{request_id} in {log}", 0.1)
        records = [json.loads(line) for line in self.host.file(log).content_string.splitlines()]
        return next(record for record in records if record["request_id"] == request_id)


@pytest.fixture(scope="module")
def webs(request):
    hostvars = read_inventory(request.config.option.ansible_inventory)["_meta"]["hostvars"]
    return {
        "web1": Web("web1", "https://web1:8443", hostvars["web1"]),
        "web2": Web("web2", "http://web2:8443", hostvars["web2"]),
    }


@pytest.fixture
def web1(webs):
    return webs["web1"]


@pytest.fixture
def web2(webs):
    return webs["web2"]


def test_tls_proves_the_name(web1, tmp_path):
    ca = tmp_path / "ca.pem"
    ca.write_text(web1.host.file("/etc/nginx-test.pem").content_string)
    assert web1.get(ca=ca).json()["path"] == "/"


def test_plain_http_is_refused_where_tls_is_spoken(web1):
    answer = get("http://web1:8443/", address=web1.address, expect=400)
    assert "HTTPS port" in answer.body


def test_trusted_proxy_says_who_the_client_is(web1):
    seen = web1.get(headers=CLAIMS).json()["headers"]
    assert seen["x-forwarded-for"] == "198.51.100.7"
    assert seen["x-forwarded-proto"] == "https"
    assert "x-forwarded-host" not in seen


def test_nobody_else_says_who_the_client_is(web2):
    seen = web2.get(headers=CLAIMS | {"X-Request-ID": "forged"}).json()["headers"]
    assert seen["x-forwarded-for"] == web2.client
    assert seen["x-forwarded-proto"] == "http"
    assert seen["x-request-id"] != "forged"


def test_request_id_is_the_same_in_request_and_log(web1):
    request_id = str(uuid.uuid4())
    seen = web1.get("/a?b=c", headers=CLAIMS | {"X-Request-ID": request_id}).json()["headers"]
    assert seen["x-request-id"] == request_id
    record = web1.logged(request_id)
    assert (record["client"], record["uri"], record["status"]) == ("198.51.100.7", "/a?b=c", 200)


def test_request_id_is_made_when_absent(web2):
    request_id = web2.get().json()["headers"]["x-request-id"]
    assert web2.logged(request_id)["client"] == web2.client


def test_request_id_cannot_break_the_log(web1):
    seen = web1.get(headers={"X-Request-ID": 'a" , "status": 1'}).json()["headers"]
    assert web1.logged(seen["x-request-id"])["status"] == 200


def test_health_checks_are_not_logged(web1):
    request_id = str(uuid.uuid4())
    web1.get("/healthz", headers={"X-Request-ID": "unlogged"})
    web1.get("/after", headers={"X-Request-ID": request_id})
    web1.logged(request_id)
    assert "unlogged" not in web1.host.file("/var/log/nginx/access.log").content_string


def test_answers_are_compressed(web2):
    with socket.create_connection((web2.address, 8443), timeout=5) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: web2\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n")
        answer = connection.makefile("rb").read()
    assert b"Content-Encoding: gzip" in answer
    assert len(answer) < 2048, "the application sent more than 4 KiB"


def test_body_has_a_limit(web2):
    small = request("POST", f"{web2.url}/", address=web2.address, json_body="x" * 60_000)
    assert small.json()["received"] > 60_000
    request("POST", f"{web2.url}/", address=web2.address, json_body="x" * 70_000, expect=413)


def test_version_is_not_told(web2):
    assert web2.get().headers["server"] == "nginx"


def test_static_files_do_not_need_the_application(web2):
    answer = web2.get("/static/file.txt")
    assert answer.body == "a file"
    assert answer.headers["cache-control"] == "max-age=3600"


def test_application_that_is_silent_is_503(web2):
    answer = web2.get("/slow", expect=503)
    assert answer.headers["retry-after"] == "1"
    assert "error" in answer.json()


def test_application_that_is_away_is_503_until_it_is_back(web2):
    web2.host.check_output("systemctl stop application")
    try:
        assert web2.get(expect=503).headers["retry-after"] == "1"
    finally:
        web2.host.check_output("systemctl start application")
    wait_until(lambda: web2.get().status == 200, 10, "the application", 0.1)


def test_counters_are_local(web2):
    ask = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8081/status').read().decode())"
    assert "Active connections" in web2.host.check_output(f'python3 -c "{ask}"')
    with pytest.raises(ConnectionRefusedError):
        get("http://web2:8081/status", address=web2.address)


def test_refused_configuration_changes_nothing(web2, request):
    before = web2.host.file("/etc/nginx/nginx.conf").content_string
    inventory = request.config.option.ansible_inventory
    run = play(inventory, CONVERGE, "--limit", "web2", nginx_server_config=["no_such_directive on;"])
    assert run.returncode != 0
    assert 'unknown directive "no_such_directive"' in run.stdout
    assert web2.host.file("/etc/nginx/nginx.conf").content_string == before
    assert web2.get().status == 200
