"""What the tests share: Prometheus, asked on its own host."""

import json
import urllib.parse
from typing import Any

import pytest
import testinfra
from testinfra.host import Host

from tests.support.inventory import read_inventory

FETCH = """
import ssl, sys, urllib.error, urllib.request
url, own = sys.argv[1:]
context = ssl.create_default_context(cafile="/etc/tandem/pki/ca.pem") if url.startswith("https:") else None
if own == "yes":
    context.load_cert_chain("/etc/tandem/pki/metrics.pem", "/etc/tandem/pki/metrics.key")
try:
    answer = urllib.request.urlopen(url, timeout=10, context=context)
except urllib.error.HTTPError as error:
    answer = error
print(answer.status)
print(answer.read().decode())
"""
"""Asks as a monitoring host does. Nothing else that could is installed there."""


class Site:
    """The hosts of the scenario, and what mon1 knows about them."""

    def __init__(self, inventory: str) -> None:
        self.inventory = inventory
        listing = read_inventory(inventory)
        self.variables: dict[str, dict[str, Any]] = listing["_meta"]["hostvars"]
        self.tiers = {name: group["hosts"] for name, group in listing.items() if group.get("hosts")}
        self.mon1 = self.host("mon1")

    def host(self, name: str) -> Host:
        return testinfra.get_host(f"docker://{self.variables[name]['ansible_host']}")

    def address(self, name: str) -> str:
        return self.variables[name]["topology_address"]

    def fetch(self, name: str, url: str, *, certificate: bool = False) -> tuple[int, str]:
        """Ask from a host, with its certificate or without; return status and body, or 0 and why there is none."""
        done = self.host(name).run("python3 -c %s %s %s", FETCH, url, "yes" if certificate else "no")
        if done.rc:
            return 0, done.stderr.strip().splitlines()[-1]
        status, _, body = done.stdout.partition("\n")
        return int(status), body

    def api(self, path: str, **parameters: str) -> Any:
        """Return the data of an answer of Prometheus' HTTP API."""
        query = urllib.parse.urlencode(parameters)
        status, body = self.fetch("mon1", f"http://127.0.0.1:9090/api/v1/{path}?{query}")
        assert status == 200, body
        return json.loads(body)["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series of an instant query."""
        return self.api("query", query=expression)["result"]

    def value(self, expression: str) -> float:
        """Return the value of the only series of a query."""
        series = self.query(expression)
        assert len(series) == 1, f"{expression}: {series}"
        return float(series[0]["value"][1])


@pytest.fixture(scope="session")
def site(request: pytest.FixtureRequest) -> Site:
    return Site(request.config.option.ansible_inventory)
