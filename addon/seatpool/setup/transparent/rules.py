"""What is to be redirected, and how each firewall is told.

What one user's processes send by TCP to port 443 of the addresses goes to the proxy on the loopback, except what comes
of the proxy's group: other users of the machine have nothing to do with this person's accounts. UDP to that port is
refused them, so that browsers which would speak HTTP/3 go back to TCP.
"""

import ipaddress
from collections.abc import Iterable

import msgspec

from seatpool.setup.transparent import GROUP, PORT

NAME = "seatpool"
CHAIN = "SEATPOOL"
ANCHOR = "com.apple/seatpool"
"""macOS' own rules call every anchor below `com.apple/`, so nothing else has to be changed."""
LOOPBACK4, LOOPBACK6 = "127.0.0.1", "::1"


class Rules(msgspec.Struct, frozen=True):
    """Everything that the text depends on."""

    hosts4: tuple[str, ...]
    hosts6: tuple[str, ...]
    user: int
    port: int = PORT
    group: int = GROUP

    @classmethod
    def of(cls, addresses: Iterable[str], *, user: int, port: int = PORT, ipv6: bool = True) -> "Rules":
        """For addresses of either family; what means this machine or nobody is left out."""
        known = sorted({ipaddress.ip_address(each.partition("%")[0]) for each in addresses}, key=lambda a: a.packed)
        fit = [a for a in known if not (a.is_loopback or a.is_unspecified or a.is_multicast or a.is_link_local)]
        hosts6 = [str(a) for a in fit if a.version == 6] if ipv6 else []
        return cls(tuple(str(a) for a in fit if a.version == 4), tuple(hosts6), user, port)

    @property
    def families(self) -> tuple[tuple[int, tuple[str, ...]], ...]:
        """Addresses by version of IP."""
        return (4, self.hosts4), (6, self.hosts6)


def nft(rules: Rules, *, owned: bool) -> str:
    """For nftables: a table of its own, put in place of an earlier one in one step.

    `owned`: it belongs to the process that loads it, and goes with it, however that ends (Linux 5.12).
    """
    flag = "\tflags owner\n" if owned else ""
    # The first makes sure that there is something to delete.
    lines = [f"table inet {NAME} {{\n{flag}}}", f"delete table inet {NAME}", f"table inet {NAME} {{"]
    lines += ["\tflags owner"] if owned else []
    for version, hosts in rules.families:
        lines += [f"\tset hosts{version} {{", f"\t\ttype ipv{version}_addr"]
        lines += [f"\t\telements = {{ {', '.join(hosts)} }}"] if hosts else []
        lines += ["\t}"]
    left = [f"\t\tmeta skuid != {rules.user} return", f"\t\tmeta skgid {rules.group} return"]
    lines += ["\tchain redirected {", "\t\ttype nat hook output priority -100; policy accept;", *left]
    lines += [f"\t\t{ip} daddr @{hosts} tcp dport 443 redirect to :{rules.port}" for ip, hosts in _NFT_SETS]
    lines += ["\t}", "\tchain refused {", "\t\ttype filter hook output priority 0; policy accept;", *left]
    lines += [f"\t\t{ip} daddr @{hosts} udp dport 443 reject" for ip, hosts in _NFT_SETS]
    return "\n".join([*lines, "\t}", "}", ""])


_NFT_SETS = (("ip", "hosts4"), ("ip6", "hosts6"))


def iptables(rules: Rules, version: int) -> str:
    """For `iptables-restore --noflush`, or `ip6tables-restore`: chains of its own, which somebody has to jump to."""
    who = (f"! --uid-owner {rules.user}", f"--gid-owner {rules.group}")
    left = [f"-A {CHAIN} -m owner {each} -j RETURN" for each in who]
    hosts = dict(rules.families)[version]
    redirect = f"-p tcp --dport 443 -j REDIRECT --to-ports {rules.port}"
    refuse = "-p udp --dport 443 -j REJECT"
    lines: list[str] = []
    for table, what in (("nat", redirect), ("filter", refuse)):
        lines += [
            f"*{table}",
            f":{CHAIN} - [0:0]",
            *left,
            *(f"-A {CHAIN} -d {host} {what}" for host in hosts),
            "COMMIT",
        ]
    return "\n".join([*lines, ""])


def pf(rules: Rules) -> str:
    """For `pfctl -a ANCHOR -f -` of macOS: what goes out is sent to the loopback, and redirected as it comes in.

    Tables, then translation, then filtering: pf.conf(5) wants that order.
    """
    tables, translate, filters = [], [], []
    for (version, hosts), loopback, ip in zip(rules.families, (LOOPBACK4, LOOPBACK6), ("inet", "inet6"), strict=True):
        table, theirs = f"<hosts{version}>", f"user {rules.user} group != {rules.group}"
        tables += [f"table {table} {{ {', '.join(hosts)} }}" if hosts else f"table {table} persist"]
        way = f"from any to {table} port 443"
        translate += [f"rdr pass on lo0 {ip} proto tcp {way} -> {loopback} port {rules.port}"]
        filters += [f"pass out quick route-to (lo0 {loopback}) {ip} proto tcp {way} {theirs} keep state"]
        filters += [f"block return out quick {ip} proto udp {way} {theirs}"]
    return "\n".join([*tables, *translate, *filters, ""])
