#!/usr/bin/python
"""Reads from a host what a page about the whole site shows of it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_status
short_description: Read versions, held addresses and the days of certificates
description:
  - It changes nothing. What a host does not have is left out.
options:
  packages:
    description: Names of packages whose version is wanted.
    type: list
    elements: str
    default: []
  addresses:
    description: Addresses of which is told whether this host holds them.
    type: list
    elements: str
    default: []
  certificates:
    description: Files, or patterns of files, with a certificate as their first one.
    type: list
    elements: str
    default: []
  metrics:
    description: Directory of the metric files that tell about backups.
    type: path
author: The Tandem founders
"""

EXAMPLES = r"""
- name: What this host is
  tandem.web.host_status:
    packages: [haproxy]
    addresses: [192.0.2.10]
    certificates: [/etc/haproxy/certs/*.pem]
"""

RETURN = r"""
versions:
  description: Version by package, without the distribution's suffixes.
  returned: always
  type: dict
held:
  description: Those of the addresses that this host holds.
  returned: always
  type: list
  elements: str
certificates:
  description: Days that are left by the name of the file; negative when it has expired.
  returned: always
  type: dict
backups:
  description: By task of backups on this host, what its metric file says; the greatest of several values.
  returned: always
  type: dict
"""

import glob
import ipaddress
import os
import re
import ssl
import time

from ansible.module_utils.basic import AnsibleModule


def version(text: str) -> str:
    """Return what upstream calls a version: 1:11.8.3-0+deb13u1 is 11.8.3."""
    return re.sub(r"^\d+:|[-+~].*$", "", text)


def backups(directory: str) -> dict[str, dict[str, float]]:
    """Return what the metric files in a directory say of backups: values by name, by task."""
    found: dict[str, dict[str, float]] = {}
    for path in sorted(glob.glob(f"{directory}/backup-*.prom")):
        with open(path, encoding="utf-8") as file:
            lines = re.findall(r'^tandem_backup_(\w+)\{task="(\w+)".*\} (\S+)$', file.read(), re.MULTILINE)
        for name, task, value in lines:
            values = found.setdefault(task, {})
            values[name] = max(values.get(name, float("-inf")), float(value))
    return found


def main() -> None:
    """Run the module."""
    lists = ("packages", "addresses", "certificates")
    module = AnsibleModule(
        argument_spec={name: {"type": "list", "elements": "str", "default": []} for name in lists}
        | {"metrics": {"type": "path"}},
        supports_check_mode=True,
    )
    versions, days = {}, {}
    for package in module.params["packages"]:
        code, output, _ = module.run_command(["dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", package])
        state, _, text = output.partition(" ")
        if code == 0 and state == "installed":
            versions[package] = version(text)

    _, output, _ = module.run_command(["ip", "-o", "address"])
    own = {str(ipaddress.ip_address(found)) for found in re.findall(r"inet6? ([0-9a-f.:]+)", output)}
    held = [each for each in module.params["addresses"] if str(ipaddress.ip_address(each)) in own]

    for path in sorted({path for pattern in module.params["certificates"] for path in glob.glob(pattern)}):
        code, output, _ = module.run_command(["openssl", "x509", "-noout", "-enddate", "-in", path])
        if code == 0:
            end = ssl.cert_time_to_seconds(output.strip().partition("=")[2])
            days[os.path.basename(path).removesuffix(".pem")] = int((end - time.time()) // 86400)
    told = backups(module.params["metrics"]) if module.params["metrics"] else {}
    module.exit_json(changed=False, versions=versions, held=held, certificates=days, backups=told)


if __name__ == "__main__":
    main()
