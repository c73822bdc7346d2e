"""The hosts of the scenario, from outside (HTTP) and from within (a shell)."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import testinfra

from tests.support.http import Answer, get
from tests.support.inventory import read_inventory
from tests.support.wait import wait_until


class Host:
    """One host."""

    def __init__(self, variables):
        self.address = variables["topology_address"]
        self.client = f"{variables['lab_network']}.1"  # this machine, as the hosts see it
        self.host = testinfra.get_host(f"docker://{variables['ansible_host']}")

    def run(self, command: str) -> str:
        return self.host.check_output(command)


class LoadBalancer(Host):
    """The one that runs HAProxy."""

    def url(self, path="/", port=80) -> str:
        return f"http://{self.address}:{port}{path}"

    def get(self, path="/", port=80, **options) -> Answer:
        return get(self.url(path, port), **options)

    def local(self, url: str) -> str:
        """Ask HAProxy from its own host."""
        return self.run(f"python3 -c \"import urllib.request as r; print(r.urlopen('{url}').read().decode())\"")

    def socket(self, command: str) -> str:
        """Give a command to the runtime socket."""
        return self.run(f"echo '{command}' | socat stdio /run/haproxy/admin.sock")

    def servers(self, backend: str) -> dict[str, str]:
        """Return the state of each server of a backend, as HAProxy names it."""
        lines = self.socket("show stat").lstrip("# ").splitlines()
        fields = lines[0].split(",")
        rows = [dict(zip(fields, line.split(","), strict=False)) for line in lines[1:] if line]
        return {row["svname"]: row["status"] for row in rows if row["pxname"] == backend}

    def fit(self, backend: str, *names: str) -> set[str]:
        """Return which of these servers pass their checks."""
        servers = self.servers(backend)
        return {name for name in names if servers[name].startswith("UP")}

    def database(self, port: int) -> str:
        """Return the name of the database that answers on a local port, or an empty string."""
        script = f"import socket; print(socket.create_connection(('127.0.0.1', {port}), 5).recv(64).decode().strip())"
        return self.run(f'python3 -c "{script}"')

    def pid(self) -> str:
        """Return the number of the process that answers at the runtime socket."""
        return self.run("echo 'show info' | socat stdio /run/haproxy/admin.sock | awk '/^Pid:/ { print $2 }'").strip()

    def reload(self) -> None:
        """Reload, and wait for the new process: systemd does not."""
        before = self.pid()
        self.run("systemctl reload haproxy")
        wait_until(lambda: self.pid() not in ("", before), 20, "the new process")


class Server(Host):
    """One that HAProxy sends requests to."""

    @contextmanager
    def set(self, flag: str) -> Iterator[None]:
        """Make the test server misbehave; see molecule/haproxy/files/testserver.py."""
        self.run(f"touch /run/testserver/{flag}")
        try:
            yield
        finally:
            self.run(f"rm /run/testserver/{flag}")

    def become(self, role: str) -> None:
        """Make its database the primary, a replica, or neither."""
        self.run(f"echo {role} > /run/testserver/role")


@pytest.fixture(scope="session")
def hostvars(request):
    return read_inventory(request.config.option.ansible_inventory)["_meta"]["hostvars"]


@pytest.fixture(scope="session")
def lb(hostvars):
    return LoadBalancer(hostvars["lb1"])


@pytest.fixture(scope="session")
def web1(hostvars):
    return Server(hostvars["web1"])


@pytest.fixture(scope="session")
def web2(hostvars):
    return Server(hostvars["web2"])
