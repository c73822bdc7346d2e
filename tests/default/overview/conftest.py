"""The site of the scenario, a little traffic on it, and a browser that looks at it."""

import base64
import json
import shutil
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
import testinfra
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright
from testinfra.host import Host

from tests.support.http import Answer, request
from tests.support.inventory import read_inventory

ROOT = Path(__file__).parents[3]
USER = "admin"


class Site:
    """The hosts, the page's address and its login."""

    def __init__(self, inventory: str) -> None:
        listing = read_inventory(inventory)
        self.variables: dict[str, dict[str, Any]] = listing["_meta"]["hostvars"]
        some = next(iter(self.variables.values()))
        self.vip = f"{some['lab_network']}.100"
        self.password: str = some["secret_overview_password"]
        self.address: str = self.variables["mon1"]["topology_address"]
        self.url = f"https://{self.address}:9443"
        self.tiers = {
            tier: listing[tier]["hosts"] for tier in ("loadbalancers", "webservers", "databases", "monitoring")
        }

    def host(self, name: str) -> Host:
        return testinfra.get_host(f"docker://{self.container(name)}")

    def container(self, name: str) -> str:
        return self.variables[name]["ansible_host"]

    def get(self, path: str, login: bool = True, expect: int | None = 200, method: str = "GET") -> Answer:
        """Ask for a path as a browser that has logged in, or one that has not."""
        token = base64.b64encode(f"{USER}:{self.password}".encode()).decode()
        headers = {"Authorization": f"Basic {token}"} if login else {}
        return request(method, f"{self.url}/{path}", headers=headers, expect=expect)

    def prometheus(self, query: str) -> list[dict[str, Any]]:
        """Return what Prometheus finds, asked on its own host."""
        program = (
            "import sys, urllib.parse as p, urllib.request as u;"
            "url = 'http://127.0.0.1:9090/api/v1/query?' + p.urlencode({'query': sys.argv[1]});"
            "print(u.urlopen(url).read().decode())"
        )
        answer = json.loads(self.host("mon1").check_output("python3 -c %s %s", program, query))
        return answer["data"]["result"]


@pytest.fixture(scope="session")
def site(request: pytest.FixtureRequest) -> Site:
    return Site(request.config.option.ansible_inventory)


@pytest.fixture(scope="session", autouse=True)
def traffic(site: Site) -> Iterator[None]:
    """Notes are written and read all the time, or there would be no latency to draw."""
    ended = threading.Event()

    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    url, headers = f"https://{site.vip}/notes", {"Host": "www.tandem.test", "Content-Type": "application/json"}

    def clients() -> None:
        while not ended.wait(0.3):
            for note in (None, json.dumps({"text": "seen by the overview's tests"}).encode()):
                try:
                    with urlopen(Request(url, note, headers), timeout=5, context=trusting) as answer:
                        answer.read()
                except OSError:
                    continue  # a test has just taken something away

    thread = threading.Thread(target=clients)
    thread.start()
    yield
    ended.set()
    thread.join()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium")
    assert program, "There is no chromium here; the scenario's prepare.yml installs it."
    with sync_playwright() as playwright:
        # Its sandbox needs more than root in a container has.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


class Look:
    """The page in the browser, and whatever it complained about."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.complaints: list[str] = []
        self.page: Page = context.new_page()
        self.page.on("console", self.hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(url)

    def hear(self, message: ConsoleMessage) -> None:
        """Note what the page says, but not that this machine lost an interface: that was the container's."""
        if "ERR_NETWORK_CHANGED" not in message.text:
            self.complaints.append(message.text)

    def card(self, host: str, state: str = "", seconds: float = 60) -> str:
        """Wait until a host is drawn in a state (good, warn, bad, unknown), and return what its card says."""
        card = self.page.locator(f"#host-{host}" + (f"[data-state={state}]" if state else ""))
        card.wait_for(timeout=1000 * seconds)
        return card.inner_text()


@pytest.fixture
def options(site: Site) -> dict[str, Any]:
    """What every window of the browser is opened with: the site's CA is not the browser's."""
    return {"ignore_https_errors": True, "http_credentials": {"username": USER, "password": site.password}}


@pytest.fixture
def look(site: Site, browser: Browser, options: dict[str, Any]) -> Iterator[Look]:
    context = browser.new_context(**options, viewport={"width": 1440, "height": 1000})
    yield Look(context, site.url)
    context.close()
