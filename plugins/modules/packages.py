#!/usr/bin/python
"""Documents the action of the same name, which does the work."""

DOCUMENTATION = r"""
module: packages
short_description: Install packages, and take no time where they are installed
description:
  - Asks dpkg whether all packages are there, which takes a twentieth of the time apt does, and lets
    M(ansible.builtin.apt) install those that are not, without what they recommend.
options:
  name:
    description: Packages, as M(ansible.builtin.apt) takes them.
    type: list
    elements: str
    required: true
  state:
    description: Whether those that are installed are upgraded to the newest that is to be had.
    type: str
    choices: [present, latest]
    default: present
  default_release:
    description: Suite that the packages come from.
    type: str
  policy_rc_d:
    description: Exit code of C(policy-rc.d) meanwhile. With 101 nothing is started.
    type: int
  cache_seconds:
    description: How old the list of what is to be had may be, in seconds, where something is to be installed.
    type: int
    default: 3600
author: The Tandem founders
"""

EXAMPLES = r"""
- name: Install | Packages
  tandem.web.packages: {name: [nginx, curl]}
"""

RETURN = r"""
cache_updated:
  description: Whether the list was fetched. What else M(ansible.builtin.apt) returns is there too.
  returned: when something was missing
  type: bool
"""
