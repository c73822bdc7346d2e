"""ufw's rules as data: what records become, what of a file is kept, and who would still get in."""

import pytest

from plugins.module_utils import ufw

EMPTY = f"*filter\n:ufw-user-input - [0:0]\n{ufw.BEGIN}\n{ufw.END}\n### LOGGING ###\nCOMMIT\n"
BY_HAND = (
    "### tuple ### deny tcp 22 0.0.0.0/0 any 203.0.113.9 in\n-A ufw-user-input -p tcp --dport 22 -s 203.0.113.9 -j DROP"
)


def record(**values):
    defaults = {
        "action": "allow",
        "direction": "in",
        "protocol": "tcp",
        "ports": [],
        "sources": ["any"],
        "destinations": ["any"],
    }
    return {"comment": "test", **defaults, **values}


def test_any_source_opens_both_families_and_an_address_its_own():
    rules = ufw.declared([record(ports=["80", "443"]), record(ports=["22"], sources=["192.0.2.7", "2001:db8::/64"])])
    assert [(rule.version, rule.ports, rule.source) for rule in rules] == [
        (4, "80,443", "0.0.0.0/0"),
        (6, "80,443", "::/0"),
        (4, "22", "192.0.2.7"),
        (6, "22", "2001:db8::/64"),
    ]


def test_no_sources_open_nothing():
    assert ufw.declared([record(ports=["3306"], sources=[])]) == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            {"ports": ["8443"], "sources": ["192.0.2.7"]},
            ["-A ufw-user-input -p tcp --dport 8443 -s 192.0.2.7 -j ACCEPT"],
        ),
        (
            {"ports": ["80", "8000:8010"], "sources": ["192.0.2.7/24"], "action": "deny"},
            ["-A ufw-user-input -p tcp -m multiport --dports 80,8000:8010 -s 192.0.2.0/24 -j DROP"],
        ),
        ({"protocol": "vrrp", "sources": ["2001:db8::7"]}, ["-A ufw6-user-input -p vrrp -s 2001:db8::7 -j ACCEPT"]),
        (
            {"ports": ["53"], "protocol": "udp", "direction": "out", "destinations": ["192.0.2.53"]},
            ["-A ufw-user-output -p udp --dport 53 -d 192.0.2.53 -j ACCEPT"],
        ),
        (
            {"ports": ["22"], "action": "limit", "sources": ["192.0.2.7"]},
            [
                "-A ufw-user-input -p tcp --dport 22 -s 192.0.2.7 -m conntrack --ctstate NEW -m recent --set",
                "-A ufw-user-input -p tcp --dport 22 -s 192.0.2.7 -m conntrack --ctstate NEW -m recent"
                " --update --seconds 30 --hitcount 6 -j ufw-user-limit",
                "-A ufw-user-input -p tcp --dport 22 -s 192.0.2.7 -j ufw-user-limit-accept",
            ],
        ),
    ],
)
def test_a_rule_is_written_as_ufw_writes_it(values, expected):
    (rule,) = ufw.declared([record(**values)])
    assert rule.lines()[1:] == expected
    assert ufw.parsed("\n".join(rule.lines()), rule.version) == rule


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"ports": ["http"]}, "'http' is neither a port nor a range"),
        ({"ports": ["70000"]}, "neither a port"),
        ({}, "name its tcp ports"),
        ({"ports": ["1"], "protocol": "vrrp"}, "vrrp has no ports"),
        ({"ports": [str(port) for port in range(1, 17)]}, "more than 15 ports"),
        ({"ports": ["22"], "sources": ["everybody"]}, "everybody"),
    ],
)
def test_a_rule_that_means_nothing_is_refused(values, message):
    with pytest.raises(ufw.RuleError, match=f"'test'.*{message}"):
        ufw.declared([record(**values)])


def test_declared_rules_replace_those_declared_before_and_rules_by_hand_stay_where_they_are():
    last = BY_HAND.replace("22", "23")
    before = ufw.render(EMPTY, ufw.declared([record(ports=["1"], sources=["192.0.2.7"])]), [BY_HAND], [last])
    by_hand = ufw.by_hand(before, 4)
    assert by_hand == ([BY_HAND], [last])
    rules = ufw.declared([record(ports=["2"], sources=["192.0.2.7"])])
    after = ufw.render(before, rules, *by_hand)
    assert [ufw.parsed(block, 4).ports for block in ufw.blocks(after)] == ["22", "2", "23"]
    assert after.endswith("### LOGGING ###\nCOMMIT\n")
    assert ufw.render(after, rules, *by_hand) == after


def test_rules_from_before_the_first_declared_ones_come_first():
    assert ufw.by_hand(ufw.render(EMPTY, [], [BY_HAND]), 4) == ([BY_HAND], [])


@pytest.mark.parametrize(
    ("source", "port", "admitted"),
    [
        ("192.0.2.7", 22, True),
        ("192.0.2.7", 2222, False),
        ("192.0.2.8", 22, False),
        ("203.0.113.9", 443, True),
        ("2001:db8::1", 443, True),
        ("2001:db8::1", 22, False),
        ("127.0.0.1", 1, True),
    ],
)
def test_who_gets_in(source, port, admitted):
    rules = ufw.declared([record(ports=["22"], sources=["192.0.2.7"], action="limit"), record(ports=["400:500"])])
    assert ufw.admits(rules, source, port) is admitted


def test_a_deny_before_an_allow_decides():
    rules = [ufw.parsed(BY_HAND, 4), *ufw.declared([record(ports=["22"])])]
    assert not ufw.admits(rules, "203.0.113.9", 22)
    assert ufw.admits(rules, "203.0.113.10", 22)


@pytest.mark.parametrize(
    "line",
    [
        "### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in_wg0",
        "### tuple ### route:allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in_eth0!out_eth1",
        "### tuple ### allow tcp 22 192.0.2.1 any 0.0.0.0/0 in",
    ],
)
def test_what_may_not_concern_the_connection_is_no_promise(line):
    assert not ufw.admits([ufw.parsed(line, 4)], "203.0.113.9", 22)


def test_policies_are_set_whatever_the_file_says():
    text = ufw.policies('IPV6=no\nDEFAULT_INPUT_POLICY="ACCEPT"\nOTHER=1\n', "deny")
    assert text == 'IPV6=yes\nDEFAULT_INPUT_POLICY="DROP"\nOTHER=1\nDEFAULT_OUTPUT_POLICY="DROP"\n'


def test_the_transaction_is_one_commit_that_sets_policy_and_rules():
    text = ufw.transaction(ufw.render(EMPTY, ufw.declared([record(ports=["1"])])), "deny", 4)
    assert text.count("COMMIT") == 1
    assert text.endswith("-A ufw-skip-to-policy-output -j DROP\nCOMMIT\n")
    assert ":OUTPUT DROP" in text
