#!/usr/bin/python
"""Puts a set of ufw rules in force without a way to lock oneself out."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ufw_ruleset
short_description: Puts a set of ufw rules in force without a way to lock oneself out.
description:
  - >-
    With O(state=trial) the rules become those declared, as one change of the kernel's tables that breaks no
    established connection. A timer on the host puts the rules before back, unless O(state=confirmed) is called
    within O(rollback) seconds, which should happen over a new connection. Until then nothing is written to
    C(/etc), so a reboot also brings the rules before back.
  - Does nothing when the declared rules are already in force.
  - A connection by SSH that the rules would no longer let in is an error before anything is changed.
options:
  state:
    description: Whether to try the rules, or to confirm those on trial.
    type: str
    choices: [trial, confirmed]
    default: trial
  rules:
    description: What is let in, and with O(outgoing=deny) out. The first match decides.
    type: list
    elements: dict
    default: []
    suboptions:
      comment: {description: What it is for., type: str, required: true}
      action: {description: What happens., type: str, choices: [allow, limit, deny], default: allow}
      direction: {description: Of new connections., type: str, choices: [in, out], default: in}
      protocol: {description: Transport protocol., type: str, choices: [tcp, udp, vrrp, esp, ah, gre], default: tcp}
      ports: {description: "Ports, or ranges FIRST:LAST.", type: list, elements: str, default: []}
      sources: {description: Addresses or networks., type: list, elements: str, default: [any]}
      destinations: {description: Addresses or networks., type: list, elements: str, default: [any]}
  outgoing:
    description: What happens to outgoing connections that no rule names.
    type: str
    choices: [allow, deny]
    default: allow
  logging:
    description: How much ufw logs.
    type: str
    choices: ["off", low, medium, high, full]
    default: low
  unmanaged:
    description: Whether rules added by hand are only reported, or also removed.
    type: str
    choices: [report, remove]
    default: report
  rollback:
    description: Seconds after which an unconfirmed trial ends.
    type: int
    default: 60
author: The Tandem founders
"""

EXAMPLES = r"""
- name: SSH from the administrators' network, the site from everywhere
  tandem.web.ufw_ruleset:
    rules:
      - {comment: SSH, ports: [22], sources: [192.0.2.0/24]}
      - {comment: HTTPS, ports: [80, 443]}
  register: trial

- name: They are in force for good if this gets through
  tandem.web.ufw_ruleset: {state: confirmed}
  vars: {ansible_ssh_args: -o ControlPath=none}
  when: trial.trial
"""

RETURN = r"""
trial:
  description: Whether rules are on trial now, and wait to be confirmed.
  type: bool
unmanaged:
  description: Rules that were added by hand.
  type: list
  elements: str
late:
  description: That the rules before are in force again.
  type: bool
  returned: when a confirmation came too late
connection:
  description: Where this run's SSH connection comes from, and the port it came to; empty without SSH.
  type: str
"""

import itertools
import os
import re
import shutil
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tandem.web.plugins.module_utils import ufw

# On a tmpfs: a reboot ends a trial too.
TRIAL = Path("/run/tandem-ufw")
UNIT = "tandem-ufw-rollback"
INIT = "/usr/lib/ufw/ufw-init"
FILES = {4: "etc/ufw/user.rules", 6: "etc/ufw/user6.rules"}
DEFAULTS, SWITCH = "etc/default/ufw", "etc/ufw/ufw.conf"
IPTABLES = {4: "iptables", 6: "ip6tables"}
# Chains that the kernel's own ask, in this order.
ASKED = ("before-logging", "before", "after", "after-logging", "reject", "track")

# The way back. What it renames first is how a confirmation knows that it came too late.
ROLLBACK = f"""\
mv {TRIAL} {TRIAL}.ended || exit 1
cd {TRIAL}.ended
if [ -e inactive ]; then {INIT} force-stop; fi
iptables-restore < saved4
if [ -e saved6 ]; then ip6tables-restore < saved6; fi
rm -rf {TRIAL}.ended
"""


def ssh_connection() -> tuple[str, int] | None:
    """Return the source and the port of the SSH connection this runs in, if any.

    sudo drops SSH_CONNECTION, so the processes above are asked as well.
    """
    found = os.environ.get("SSH_CONNECTION", "")
    process = os.getppid()
    while not found and process > 1:
        try:
            environment = Path(f"/proc/{process}/environ").read_bytes().decode(errors="replace").split("\0")
            status = Path(f"/proc/{process}/status").read_text()
        except OSError:
            return None
        found = next((entry[15:] for entry in environment if entry.startswith("SSH_CONNECTION=")), "")
        process = int(re.search(r"^PPid:\s*(\d+)", status, re.MULTILINE).group(1))
    if not found:
        return None
    source, _, _, port = found.split()
    return source.partition("%")[0], int(port)


class Ruleset:
    """The firewall of this host: what is in force, what is declared, and the way between them."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params = module.params
        # Where the kernel has no IPv6 there is nothing to filter, nor anything to filter with.
        self.versions = [4, 6] if Path("/proc/sys/net/ipv6").exists() else [4]

    def run(self, *command: str, check: bool = True, data: str | None = None) -> tuple[int, str]:
        code, out, err = self.module.run_command(list(command), data=data, check_rc=check)
        return code, out or err

    def active(self) -> bool:
        """Tell whether ufw's rules are in force, as many of them as its files say."""
        if not self.running():
            return False
        for version in self.versions:
            suffix = "6" if version == 6 else ""
            text = Path("/", FILES[version]).read_text()
            for direction in ("input", "output"):
                chain = f"ufw{suffix}-user-{direction}"
                code, out = self.run(IPTABLES[version], "--wait", "-S", chain, check=False)
                if code or len(re.findall("^-A", out, re.MULTILINE)) != text.count(f"\n-A {chain} "):
                    return False
        return True

    def running(self) -> bool:
        """Tell whether the kernel asks ufw's chains, and drops what they let through, for each family that it has.

        Where it does not (IPV6=no until now, or somebody flushed INPUT), ufw has to begin anew before a rule makes
        sense.
        """
        for version in self.versions:
            suffix = "6" if version == 6 else ""
            _, rules = self.run(IPTABLES[version], "--wait", "-S", "INPUT", check=False)
            if not {"-P INPUT DROP", f"-A INPUT -j ufw{suffix}-before-input"} <= set(rules.splitlines()):
                return False
        return True

    def trial(self) -> None:
        if TRIAL.exists():  # the run that began it is gone
            self.run("/bin/sh", str(TRIAL / "rollback"))
            self.run("systemctl", "stop", f"{UNIT}.timer", check=False)
        try:
            rules = ufw.declared(self.params["rules"])
        except ufw.RuleError as error:
            self.module.fail_json(msg=str(error))

        logging = self.set_logging()
        current = {version: Path("/", FILES[version]).read_text() for version in FILES}
        by_hand = {version: ufw.by_hand(current[version], version) for version in FILES}
        keep = self.params["unmanaged"] == "report"
        wanted = {
            version: ufw.render(
                current[version],
                [rule for rule in rules if rule.version == version],
                *(by_hand[version] if keep else ()),
            )
            for version in FILES
        }
        defaults = Path("/", DEFAULTS).read_text()
        staged = {FILES[version]: wanted[version] for version in FILES}
        staged[DEFAULTS] = ufw.policies(defaults, self.params["outgoing"])
        staged[SWITCH] = re.sub(r"^ENABLED=.*$", "ENABLED=yes", Path("/", SWITCH).read_text(), flags=re.MULTILINE)

        before, after = self.described(current, defaults), self.described(wanted, staged[DEFAULTS])
        unmanaged = [
            str(ufw.parsed(block, version)) for version in FILES for part in by_hand[version] for block in part
        ]
        for rule in unmanaged:
            fate = "is removed" if self.params["unmanaged"] == "remove" else "stays"
            self.module.warn(f"A rule that nobody declared was added by hand, and {fate}: {rule}")

        changed = any(text != Path("/", name).read_text() for name, text in staged.items()) or not self.active()
        connection = ssh_connection()
        result = {
            "changed": changed or logging,
            "trial": changed and not self.module.check_mode,
            "unmanaged": unmanaged,
            "connection": "from {} to port {}".format(*connection) if connection else "",
            "diff": {"before": before if self.running() else "inactive\n", "after": after},
        }
        if changed:
            self.refuse_to_lock_out(wanted, connection)
        if changed and not self.module.check_mode:
            self.stage(staged)
            self.apply(wanted)
        self.module.exit_json(**result)

    def set_logging(self) -> bool:
        """Let ufw write its logging rules, which it also does when its file has none yet."""
        level = re.search(r"^LOGLEVEL=(.*)$", Path("/", SWITCH).read_text(), re.MULTILINE)
        complete = all(ufw.END in Path("/", FILES[version]).read_text() for version in FILES)
        changed = not (complete and level and level.group(1) == self.params["logging"])
        if changed and not self.module.check_mode:
            self.run("ufw", "logging", self.params["logging"])
        return changed

    def refuse_to_lock_out(self, wanted: dict[int, str], connection: tuple[str, int] | None) -> None:
        if not connection:
            return
        rules = [ufw.parsed(block, version) for version in FILES for block in ufw.blocks(wanted[version])]
        if not ufw.admits(rules, *connection):
            source, port = connection
            self.module.fail_json(
                msg=f"Nothing was changed: the declared rules would close port {port} to {source}, where this run "
                f"connects from by SSH. Let {source} in on port {port}, or run from an address that is let in."
            )

    def described(self, texts: dict[int, str], defaults: str) -> str:
        policy = re.search(r'^DEFAULT_OUTPUT_POLICY="?(\w+)', defaults, re.MULTILINE)
        rules = [str(ufw.parsed(block, version)) for version in texts for block in ufw.blocks(texts[version])]
        return "\n".join([f"outgoing: {policy.group(1) if policy else ''}", *rules, ""])

    def stage(self, staged: dict[str, str]) -> None:
        """Save what is in force, prepare the files, and start the timer, in this order."""
        shutil.rmtree(TRIAL, ignore_errors=True)
        stage = TRIAL / "stage"
        shutil.copytree("/etc/ufw", stage / "etc/ufw")
        (stage / "etc/default").mkdir()
        for name, text in staged.items():
            (stage / name).write_text(text)
        TRIAL.chmod(0o700)
        for version in self.versions:
            (TRIAL / f"saved{version}").write_text(self.run(f"{IPTABLES[version]}-save", "-t", "filter")[1])
        if not self.running():
            (TRIAL / "inactive").touch()
        (TRIAL / "rollback").write_text(ROLLBACK)
        self.run(
            "systemd-run",
            "--collect",
            f"--unit={UNIT}",
            f"--on-active={self.params['rollback']}",
            "--timer-property=AccuracySec=100ms",
            "--description=Put back the firewall rules from before an unconfirmed change",
            "/bin/sh",
            str(TRIAL / "rollback"),
        )

    def apply(self, wanted: dict[int, str]) -> None:
        if self.running():
            problems = [
                self.run(
                    f"{IPTABLES[version]}-restore",
                    "--noflush",
                    "--wait",
                    check=False,
                    data=ufw.transaction(wanted[version], self.params["outgoing"], version),
                )
                for version in self.versions
            ]
        else:
            # It does not begin where a part of it is there already, nor have chains asked that were there before.
            self.run(INIT, "--datadir", str(TRIAL / "stage"), "force-stop", check=False)
            self.have_chains_asked()
            problems = [self.run(INIT, "--datadir", str(TRIAL / "stage"), "start", check=False)]
        if any(code for code, _ in problems):
            self.run("/bin/sh", str(TRIAL / "rollback"))
            self.run("systemctl", "stop", f"{UNIT}.timer", check=False)
            said = "; ".join(text.strip() for _, text in problems if text.strip())
            self.module.fail_json(msg=f"The rules before are in force again: the new ones do not load: {said}")

    def have_chains_asked(self) -> None:
        for version in self.versions:
            there = self.run(IPTABLES[version], "--wait", "-S")[1].splitlines()
            for builtin, part in itertools.product(("INPUT", "OUTPUT", "FORWARD"), ASKED):
                chain = f"ufw{'6' if version == 6 else ''}-{part}-{builtin.lower()}"
                if f"-N {chain}" in there and f"-A {builtin} -j {chain}" not in there:
                    self.run(IPTABLES[version], "--wait", "-A", builtin, "-j", chain)

    def confirmed(self) -> None:
        if self.module.check_mode:
            self.module.exit_json(changed=True)
        self.run("systemctl", "stop", f"{UNIT}.timer", check=False)
        if not TRIAL.exists():
            # Also when a connection that was kept out comes through at last.
            self.module.fail_json(msg="Nobody confirmed the rules in time: those before are in force again.", late=True)
        for name in (*FILES.values(), DEFAULTS, SWITCH):
            # Replaced, not written over: a host that stops here has the old file or the new one.
            self.module.atomic_move(str(TRIAL / "stage" / name), f"/{name}")
        shutil.rmtree(TRIAL)
        self.module.exit_json(changed=True)


def main() -> None:
    rule = {
        "comment": {"type": "str", "required": True},
        "action": {"type": "str", "choices": ["allow", "limit", "deny"], "default": "allow"},
        "direction": {"type": "str", "choices": ["in", "out"], "default": "in"},
        "protocol": {"type": "str", "choices": ["tcp", "udp", "vrrp", "esp", "ah", "gre"], "default": "tcp"},
        "ports": {"type": "list", "elements": "str", "default": []},
        "sources": {"type": "list", "elements": "str", "default": ["any"]},
        "destinations": {"type": "list", "elements": "str", "default": ["any"]},
    }
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["trial", "confirmed"], "default": "trial"},
            "rules": {"type": "list", "elements": "dict", "options": rule, "default": []},
            "outgoing": {"type": "str", "choices": ["allow", "deny"], "default": "allow"},
            "logging": {"type": "str", "choices": ["off", "low", "medium", "high", "full"], "default": "low"},
            "unmanaged": {"type": "str", "choices": ["report", "remove"], "default": "report"},
            "rollback": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    getattr(Ruleset(module), module.params["state"])()


if __name__ == "__main__":
    main()
