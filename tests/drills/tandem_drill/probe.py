"""Runs on a host of the site, with its own Python and nothing else, and says what it sees there.

probe.py answer            reads questions, one JSON object a line, and prints the answers to each in the same way
probe.py watch ADDRESSES   prints every 50 ms a JSON list: Unix time, which of the addresses this host holds

Both end with their input: a command in a container outlives the `docker exec` that began it.
"""

import csv
import http.client
import ipaddress
import json
import re
import select
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

INTERVAL = 0.05
"""Seconds between two samples."""


def held(addresses: list) -> list:
    """Return those of the addresses that an interface of this host has; read from the kernel, in 0.1 ms."""
    own = set(re.findall(r"\|-- (\S+)\n\s+/32 host LOCAL", Path("/proc/net/fib_trie").read_text()))
    inet6 = Path("/proc/net/if_inet6")
    if inet6.exists():
        own |= {str(ipaddress.ip_address(bytes.fromhex(line.split()[0]))) for line in inet6.read_text().splitlines()}
    return [address for address in addresses if str(ipaddress.ip_address(address)) in own]


def haproxy_servers(path: str) -> dict:
    """Return the state of each health-checked server, as HAProxy's runtime socket at this path has it."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(2)
        client.connect(path)
        client.sendall(b"show stat\n")
        text = b"".join(iter(lambda: client.recv(65536), b"")).decode().lstrip("# ")
    return {
        f"{row['pxname']}/{row['svname']}": row["status"]
        for row in csv.DictReader(text.splitlines())
        if row["svname"] not in ("FRONTEND", "BACKEND") and row["status"] != "no check"
    }


def http_status(question: dict) -> int:
    """Return the status of a GET; `question` has address, port, path, and name and ca for HTTPS."""
    connection = http.client.HTTPConnection(question["address"], question["port"], timeout=3)
    if "name" in question:
        raw = socket.create_connection((question["address"], question["port"]), timeout=3)
        context = ssl.create_default_context(cafile=question["ca"])
        connection.sock = context.wrap_socket(raw, server_hostname=question["name"])
    connection.request("GET", question["path"], headers={"Host": question.get("host", question["address"])})
    return connection.getresponse().status


def unit_state(name: str) -> str:
    """Return what systemd says of a unit."""
    done = subprocess.run(["systemctl", "is-active", name], stdout=subprocess.PIPE, text=True, check=False)
    return done.stdout.strip()


def answer(questions: dict) -> dict:
    """Return an answer for each question, under its name; one that cannot be had is its error as text."""
    known = {"held": held, "haproxy": haproxy_servers, "http": http_status, "unit": unit_state}
    answers = {}
    for name, (kind, argument) in questions.items():
        try:
            answers[name] = known[kind](argument)
        except (OSError, http.client.HTTPException) as error:
            answers[name] = f"{type(error).__name__}: {error}"
    return answers


def watch(addresses: list) -> None:
    """Print a sample every 50 ms until the input ends, which it does with whoever reads."""
    over = False
    while not over:
        began = time.time()
        print(json.dumps([began, held(addresses)]), flush=True)
        over = bool(select.select([sys.stdin], [], [], max(0.0, began + INTERVAL - time.time()))[0])


if __name__ == "__main__":
    if sys.argv[1] == "answer":
        for line in sys.stdin:
            print(json.dumps(answer(json.loads(line))), flush=True)
    else:
        watch(json.loads(sys.argv[2]))
