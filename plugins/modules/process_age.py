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

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tandem.web.plugins.module_utils.processes import newer_than, starts


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
