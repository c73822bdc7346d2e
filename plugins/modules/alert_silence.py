#!/usr/bin/python
"""Silences alerts while something is done on purpose."""

from __future__ import annotations

DOCUMENTATION = r"""
module: alert_silence
short_description: Silence alerts for as long as a planned change takes
description:
  - Asks the Alertmanager of the host that this runs on. Where none answers, nobody is told, and this does nothing.
  - A silence ends by itself, if it is not taken back. One of the same name that is there is replaced.
options:
  name:
    description: What is being done. It identifies the silence, and is shown with it.
    type: str
    required: true
  state:
    description: Whether it is silent or not.
    type: str
    choices: [present, absent]
    default: present
  matchers:
    description: Which alerts, such as C(tier="webservers") or C(alertname!~"Site.*"). All have to match.
    type: list
    elements: str
    default: []
  minutes:
    description: When the silence ends by itself.
    type: int
    default: 30
  url:
    description: Where Alertmanager answers.
    type: str
    default: http://127.0.0.1:9093
author: The Tandem founders (@tandem-web)
"""

EXAMPLES = r"""
- name: Nobody is woken by this
  tandem.web.alert_silence: {name: site.yml, matchers: ['alertname!~"Site.*"']}
"""

RETURN = r"""
silences:
  description: Identifiers of the silences that were made or ended.
  type: list
  returned: always
"""

import json
import re
import urllib.error
import urllib.request
from datetime import datetime, timedelta, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule

AUTHOR = "tandem"
MATCHER = re.compile(r"""\s*([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*"(.*)"\s*""")


def parse(matcher: str) -> dict[str, Any]:
    """Return a matcher as Alertmanager's API takes it.

    :raises ValueError: when it is none.
    """
    match = MATCHER.fullmatch(matcher)
    if not match:
        raise ValueError(f'{matcher} is no matcher; write one such as tier="webservers" or alertname!~"Site.*"')
    name, operator, value = match.groups()
    return {"name": name, "value": value, "isRegex": "~" in operator, "isEqual": "!" not in operator}


class Alertmanager:
    """Its API, as far as silences go."""

    def __init__(self, url: str) -> None:
        self.url = f"{url.rstrip('/')}/api/v2"

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Return the answer.

        :raises urllib.error.HTTPError: when it refuses.
        :raises OSError: when it does not answer.
        """
        request = urllib.request.Request(  # noqa: S310 - the module's user says where
            f"{self.url}/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return json.loads(answer.read() or "null")

    def ours(self, name: str) -> list[str]:
        """Return the silences of that name that are in force."""
        return [
            each["id"]
            for each in self.ask("GET", "silences")
            if (each["createdBy"], each["comment"]) == (AUTHOR, name) and each["status"]["state"] != "expired"
        ]

    def add(self, name: str, matchers: list[dict[str, Any]], minutes: int) -> str:
        """Make a silence and return its identifier."""
        now = datetime.now(timezone.utc)  # noqa: UP017 - Python 3.10 on the hosts
        silence = {
            "matchers": matchers,
            "startsAt": now.isoformat(),
            "endsAt": (now + timedelta(minutes=minutes)).isoformat(),
            "createdBy": AUTHOR,
            "comment": name,
        }
        return self.ask("POST", "silences", silence)["silenceID"]

    def remove(self, identifier: str) -> None:
        """End a silence."""
        self.ask("DELETE", f"silence/{identifier}")


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "matchers": {"type": "list", "elements": "str", "default": []},
            "minutes": {"type": "int", "default": 30},
            "url": {"type": "str", "default": "http://127.0.0.1:9093"},
        },
        required_if=[("state", "present", ["matchers"])],
        supports_check_mode=True,
    )
    name, wanted = module.params["name"], module.params["state"] == "present"
    try:
        matchers = [parse(each) for each in module.params["matchers"]]
    except ValueError as error:
        module.fail_json(msg=str(error))
    alertmanager = Alertmanager(module.params["url"])
    try:
        before = alertmanager.ours(name)
        if module.check_mode:
            module.exit_json(changed=wanted or bool(before), silences=before)
        # The new one first: there is no moment in between.
        made = [alertmanager.add(name, matchers, module.params["minutes"])] if wanted else []
        for each in before:
            alertmanager.remove(each)
    except urllib.error.HTTPError as error:
        module.fail_json(msg=f"Alertmanager refuses: {error.read().decode(errors='replace').strip()}")
    except OSError as error:
        module.exit_json(
            changed=False, silences=[], msg=f"No Alertmanager answers here, so nobody is told anything: {error}"
        )
    module.exit_json(changed=bool(made or before), silences=made or before)


if __name__ == "__main__":
    main()
