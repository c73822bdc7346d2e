#!/usr/bin/python
"""Documents the action of the same name, which does the work."""

DOCUMENTATION = r"""
module: units
short_description: Bring units of systemd into a state
description:
  - Looks at all of them at once, and lets M(ansible.builtin.systemd_service) change those that are not as they should.
  - Units whose file is newer than what systemd knows are read again.
  - In check mode, a unit that is not there counts as one that would be changed.
options:
  name:
    description: Units.
    type: list
    elements: str
    required: true
  state:
    description: Whether they run.
    type: str
    choices: [started, stopped]
  enabled:
    description: Whether they are started at boot.
    type: bool
  masked:
    description: Whether nothing can start them.
    type: bool
author: The Tandem founders
"""

EXAMPLES = r"""
- name: Service | Started, now and at boot
  tandem.web.units: {name: [nginx.service, certbot.timer], state: started, enabled: true}
"""

RETURN = r"""
units:
  description: Those that were changed.
  returned: always
  type: list
  elements: str
"""
