"""What whoever runs HAProxy sees of it, and that a mistake does not reach it."""

import http.client
import re

import pytest

from tests.support.http import get
from tests.support.play import play
from tests.support.tls import complaints
from tests.support.wait import wait_until

CONFIGURATION = "/etc/haproxy/haproxy.cfg"


@pytest.fixture
def converge(request):
    """Run the role again with other inputs; return the run."""

    def run(**variables):
        return play(request.config.option.ansible_inventory, "molecule/haproxy/converge.yml", **variables)

    return run


def test_metrics_and_sign_of_life_are_local(lb):
    assert 'haproxy_backend_active_servers{proxy="web"} 2' in lb.local("http://127.0.0.1:8404/metrics")
    assert "web1" in lb.local("http://127.0.0.1:8404/stats;csv")
    assert "200 OK" in lb.local("http://127.0.0.1:8404/alive")
    with pytest.raises(ConnectionRefusedError):
        get(f"http://{lb.address}:8404/alive")


def test_runtime_socket_belongs_to_a_group(lb):
    socket = lb.host.file("/run/haproxy/admin.sock")
    assert (socket.user, socket.group, socket.mode) == ("root", "haproxy", 0o660)


def test_refused_configuration_changes_nothing(lb, converge):
    before = lb.host.file(CONFIGURATION).content_string
    run = converge(haproxy_timeout_client="forever")
    assert run.returncode != 0
    assert "unexpected character 'f' in 'timeout client'" in run.stdout
    assert lb.host.file(CONFIGURATION).content_string == before
    lb.get()


def test_process_that_cannot_start_fails_the_run_and_the_old_one_serves(lb, converge):
    """Port 22 is sshd's: the configuration is valid, but HAProxy cannot run with it."""
    lb.run(f"cp --archive {CONFIGURATION} /tmp/haproxy.cfg")
    run = converge(haproxy_stats_bind=["127.0.0.1:8404", "127.0.0.1:22"])
    try:
        assert run.returncode != 0
        assert "Reload haproxy" in run.stdout
        assert "cannot bind socket" in lb.run("journalctl --unit haproxy --lines 200")
        lb.get()
    finally:
        lb.run(f"mv /tmp/haproxy.cfg {CONFIGURATION}")
        lb.reload()


def test_tls_is_as_strict_as_it_is_told_to_be(lb, converge):
    name, port = "first.tandem.test", 85
    unknown = {"certificate_path_validation"}  # it is self-signed
    assert complaints(name, lb.address, "intermediate", port) == unknown
    assert complaints(name, lb.address, "modern", port) > unknown
    try:
        assert converge(haproxy_tls_profile="modern").returncode == 0
        assert complaints(name, lb.address, "modern", port) == unknown
    finally:
        assert converge().returncode == 0


def test_answers_of_an_ocsp_responder_are_fetched_from_the_release_on_that_can(lb, converge):
    release = [int(part) for part in re.search(r"version (\d+)\.(\d+)", lb.run("haproxy -v")).groups()]
    try:
        run = converge(haproxy_global=["ocsp-update.mode on"])
        if release >= [3, 0]:
            assert run.returncode == 0
            assert "OCSP Certid" in lb.socket("show ssl ocsp-updates")
        else:
            assert run.returncode != 0
            assert "unknown keyword 'ocsp-update.mode'" in run.stdout
        lb.get()
    finally:
        assert converge().returncode == 0


def test_clients_are_asked_to_leave_before_an_address_does(lb):
    """`begin` waits for a connection that is idle, and every answer ends its connection until `end`."""
    workers = "pgrep --count --parent $(systemctl show --property MainPID --value haproxy)"
    wait_until(lambda: lb.run(workers).strip() == "1", 20, "the process before the last reload to end")
    connection = http.client.HTTPConnection(lb.address, 80, timeout=10)

    def leaves() -> bool:
        connection.request("GET", "/")
        answer = connection.getresponse()
        answer.read()
        return answer.will_close

    assert not leaves()
    lb.run("rm -f /run/gone; (haproxy-leave begin && touch /run/gone) > /dev/null 2>&1 &")
    try:
        for _ in range(10):  # it looks three times before it believes that nobody is idle
            assert not lb.host.file("/run/gone").exists
        wait_until(leaves, 10, "an answer to end its connection")
        wait_until(lambda: lb.host.file("/run/gone").exists, 10, "haproxy-leave to see that nobody is idle")
        assert leaves()
    finally:
        lb.run("haproxy-leave end")
    assert not leaves()
