"""Rules of the firewall that an inventory may add."""

import re
from typing import Any

from ansible.parsing.dataloader import DataLoader
from ansible.parsing.yaml.loader import AnsibleLoader
from ansible.template import Templar, trust_as_template

from plugins.filter.firewall import firewall_rules
from tests.support.roles import ROOT, read_yaml


def rules_in() -> list[dict[str, Any]]:
    return read_yaml(ROOT / "playbooks/group_vars/all/firewall.yml")["topology_rules_in"]


def test_the_example_of_what_hosts_may_reach_outside() -> None:
    lines = (ROOT / "inventory/example/group_vars/all/site.yml").read_text().splitlines()
    begin = lines.index("# site_outgoing_rules:")
    text = "\n".join(line.removeprefix("# ") for line in lines[begin : begin + 2])
    [rule] = AnsibleLoader(trust_as_template(text)).get_single_data()["site_outgoing_rules"]
    templar = Templar(loader=DataLoader(), variables={"topology_monitoring": [{"name": "mon1"}]})
    rules = [rule | {"hosts": templar.template(trust_as_template(str(rule["hosts"])))}]
    assert [rule["ports"] for rule in firewall_rules(rules, "mon1")] == [[587]]
    assert firewall_rules(rules, "web1") == []


def test_administrators_are_slowed_down_where_that_is_wanted() -> None:
    [rule] = [rule for rule in rules_in() if rule["comment"] == "administrators"]
    for site, action in (({}, "allow"), ({"site_ssh_rate_limit": True}, "limit")):
        templar = Templar(loader=DataLoader(), variables=site)
        assert templar.template(trust_as_template(rule["action"])) == action


def test_the_table_in_security_md_has_each_port_that_is_opened_and_no_other() -> None:
    files = [read_yaml(path) for path in (ROOT / "playbooks/group_vars/all").glob("*.yml")]
    variables = {name: value for each in files for name, value in each.items()}
    opened = set()
    for rule in variables["topology_rules_in"]:
        protocol = rule.get("protocol", "tcp")
        ports = [str(variables[name]) for name in re.findall("topology_port_[a-z_]+", str(rule.get("ports", "")))]
        opened |= {f"{re.search('[0-9]+', port)[0]}/{protocol}" for port in ports} or {protocol}
    cells = [
        line.split("|")[2] for line in (ROOT / "docs/security.md").read_text().splitlines() if line.startswith("| ")
    ]
    documented = set()
    for cell in cells[2:]:
        protocols = re.findall("[0-9]/(tcp|udp)", cell)
        documented |= {f"{port}/{protocols[0]}" for port in re.findall("[0-9]+", cell)} if protocols else {"vrrp"}
    assert documented == opened
