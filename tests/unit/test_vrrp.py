"""How virtual addresses are spread over load balancers."""

import pytest
from ansible.errors import AnsibleFilterError

from plugins.filter.vrrp import vrrp_instances

LB = [
    {"name": "lb1", "address": "192.0.2.11", "address6": "2001:db8::11"},
    {"name": "lb2", "address": "192.0.2.12", "address6": "2001:db8::12"},
    {"name": "lb3", "address": "192.0.2.13"},
]


def preferred(vips, members):
    return {
        member["name"]: [i["address"] for i in vrrp_instances(vips, members, member["name"], 51) if i["preferred"]]
        for member in members
    }


def test_one_address_prefers_the_first_and_then_the_others_in_order():
    priorities = [vrrp_instances(["192.0.2.100/24"], LB, m["name"], 51)[0]["priority"] for m in LB]
    assert priorities == [254, 253, 252]


def test_more_addresses_are_spread():
    vips = ["192.0.2.100/24", "192.0.2.101/24", "192.0.2.102/24", "192.0.2.103/24"]
    assert preferred(vips, LB) == {
        "lb1": ["192.0.2.100", "192.0.2.103"],
        "lb2": ["192.0.2.101"],
        "lb3": ["192.0.2.102"],
    }


def test_an_ipv6_address_stays_with_its_ipv4_sibling_and_has_ipv6_peers():
    vips = ["192.0.2.100/24", "2001:db8::100/64"]
    assert preferred(vips, LB[:2]) == {"lb1": ["192.0.2.100", "2001:db8::100"], "lb2": []}
    four, six = vrrp_instances(vips, LB[:2], "lb2", 51)
    assert (four["source"], four["peers"]) == ("192.0.2.12", ["192.0.2.11"])
    assert (six["source"], six["peers"]) == ("2001:db8::12", ["2001:db8::11"])
    assert (four["router_id"], six["router_id"]) == (51, 52)


def test_a_record_overrides_interface_and_router_id():
    (instance,) = vrrp_instances([{"address": "192.0.2.100", "interface": "bond0", "router_id": 7}], LB, "lb1", 51)
    assert (instance["interface"], instance["router_id"], instance["cidr"]) == ("bond0", 7, "192.0.2.100/32")


@pytest.mark.parametrize(
    ("vips", "name", "message"),
    [
        (["192.0.2.300/24"], "lb1", "'192.0.2.300/24' is not ADDRESS/PREFIX"),
        (["2001:db8::100/64"], "lb1", "lb3 has no IPv6 address.*topology_address6"),
        (["192.0.2.100/24"], "web1", "web1 is not one of the load balancers: lb1, lb2, lb3"),
        ([{"address": "192.0.2.100", "router_id": 52}, "192.0.2.101"], "lb1", "must be distinct"),
    ],
)
def test_refusals_say_what_is_wrong(vips, name, message):
    with pytest.raises(AnsibleFilterError, match=message):
        vrrp_instances(vips, LB, name, 51)
