"""Rules of the firewall that an inventory may add."""

from ansible.parsing.dataloader import DataLoader
from ansible.parsing.yaml.loader import AnsibleLoader
from ansible.template import Templar, trust_as_template

from plugins.filter.firewall import firewall_rules
from tests.support.roles import ROOT


def test_the_example_of_what_hosts_may_reach_outside() -> None:
    lines = (ROOT / "inventory/example/group_vars/all/site.yml").read_text().splitlines()
    begin = lines.index("# site_outgoing_rules:")
    text = "\n".join(line.removeprefix("# ") for line in lines[begin : begin + 2])
    [rule] = AnsibleLoader(trust_as_template(text)).get_single_data()["site_outgoing_rules"]
    templar = Templar(loader=DataLoader(), variables={"topology_monitoring": [{"name": "mon1"}]})
    rules = [rule | {"hosts": templar.template(trust_as_template(str(rule["hosts"])))}]
    assert [rule["ports"] for rule in firewall_rules(rules, "mon1")] == [[587]]
    assert firewall_rules(rules, "web1") == []
