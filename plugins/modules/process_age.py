#!/usr/bin/python
"""Tell whether a running service was started or reloaded after its files last changed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: process_age
short_description: Find out whether a service still runs with files that have changed since
description:
  - A run that is cut between writing a file and reloading the service leaves the service with what was there before,
    and the next run finds the file as it should be. This module reports a change where the youngest process of the
    service is older than one of its files, so that the reload is notified after all.
  - It changes nothing itself, and a service that does not run has nothing to catch up with.
options:
  name:
    description: Name of the service's processes. Its reload has to start a new one, as those of nginx and HAProxy do.
    type: str
    required: true
  files:
    description: What the service reads when it is reloaded. Files that do not exist are passed over.
    type: list
    elements: path
    required: true
author: [The Tandem founders (@tandem-web)]
"""

EXAMPLES = r"""
- name: A reload that an interrupted run did not get to
  tandem.web.process_age: {name: nginx, files: [/etc/nginx/nginx.conf]}
  notify: Reload nginx
"""

RETURN = r"""
newer:
  description: The files that changed after the youngest process started.
  type: list
  returned: always
"""

import os
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule


def started(process: Path, now: float, uptime: float) -> float:
    """Return when a process of /proc started, in seconds since the epoch."""
    # The name, in parentheses, may hold spaces; the fields after it do not.
    ticks = int((process / "stat").read_text().rpartition(")")[2].split()[19])
    return now - uptime + ticks / os.sysconf("SC_CLK_TCK")


def starts(name: str) -> list[float]:
    """Return when each process of that name started, in seconds since the epoch."""
    now, uptime = time.time(), float(Path("/proc/uptime").read_text().split()[0])
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "comm").read_text().strip() == name:
                found.append(started(process, now, uptime))
        except OSError:  # it has ended meanwhile
            continue
    return found


def newer_than(moment: float, files: list[str]) -> list[str]:
    """Return the files that changed after a moment, in seconds since the epoch."""
    return [file for file in files if os.path.exists(file) and os.stat(file).st_mtime > moment]


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "files": {"type": "list", "elements": "path", "required": True},
        },
        supports_check_mode=True,
    )
    running = starts(module.params["name"])
    newer = newer_than(max(running), module.params["files"]) if running else []
    module.exit_json(changed=bool(newer), newer=newer)


if __name__ == "__main__":
    main()
