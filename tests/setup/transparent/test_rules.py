"""What the firewalls are told; nftables and iptables are asked themselves in tests/e2e/test_transparent.py."""

from seatpool.setup.transparent.rules import Rules, iptables, nft, pf

RULES = Rules(("192.0.2.1", "192.0.2.9"), ("2001:db8::1",), user=1000)
NONE6 = Rules(("192.0.2.1",), (), user=1000, port=9443)


def test_addresses_that_mean_this_machine_or_nobody_are_left_out() -> None:
    asked = ("192.0.2.9", "127.0.0.1", "0.0.0.0", "::1", "::", "fe80::1%eth0", "ff02::1", "2001:db8::1", "192.0.2.1")
    assert Rules.of(asked, user=1000) == RULES
    assert Rules.of(asked, user=1000, ipv6=False).hosts6 == ()


def test_the_table_is_put_in_place_of_an_earlier_one_in_one_step() -> None:
    lines = nft(RULES, owned=True).splitlines()
    assert lines[:5] == [
        "table inet seatpool {",
        "\tflags owner",
        "}",
        "delete table inet seatpool",
        "table inet seatpool {",
    ]
    assert "owner" not in nft(RULES, owned=False)
    assert "elements" not in nft(NONE6, owned=False).partition("hosts6")[2].partition("}")[0]


def test_who_is_let_alone_comes_before_what_is_redirected() -> None:
    for text, user, group, redirect in (
        (nft(RULES, owned=True), "skuid != 1000 return", "skgid 60610 return", "redirect to :8443"),
        (iptables(RULES, 4), "! --uid-owner 1000 -j RETURN", "--gid-owner 60610 -j RETURN", "REDIRECT --to-ports 8443"),
        (iptables(RULES, 6), "! --uid-owner 1000 -j RETURN", "--gid-owner 60610 -j RETURN", "REDIRECT --to-ports 8443"),
    ):
        assert -1 < text.index(user) < text.index(group) < text.index(redirect)


def test_each_family_is_told_its_own_addresses() -> None:
    assert "-d 192.0.2.9 -p tcp --dport 443" in iptables(RULES, 4) and "2001:db8" not in iptables(RULES, 4)
    assert "-d 2001:db8::1 -p udp --dport 443 -j REJECT" in iptables(RULES, 6) and "192.0" not in iptables(RULES, 6)


def test_pf_sends_to_the_loopback_what_it_redirects_there() -> None:
    """The order is that of pf.conf(5): tables, translation, filtering."""
    who = "user 1000 group != 60610"
    assert pf(RULES).splitlines() == [
        "table <hosts4> { 192.0.2.1, 192.0.2.9 }",
        "table <hosts6> { 2001:db8::1 }",
        "rdr pass on lo0 inet proto tcp from any to <hosts4> port 443 -> 127.0.0.1 port 8443",
        "rdr pass on lo0 inet6 proto tcp from any to <hosts6> port 443 -> ::1 port 8443",
        f"pass out quick route-to (lo0 127.0.0.1) inet proto tcp from any to <hosts4> port 443 {who} keep state",
        f"block return out quick inet proto udp from any to <hosts4> port 443 {who}",
        f"pass out quick route-to (lo0 ::1) inet6 proto tcp from any to <hosts6> port 443 {who} keep state",
        f"block return out quick inet6 proto udp from any to <hosts6> port 443 {who}",
    ]
    assert "table <hosts6> persist" in pf(NONE6)
