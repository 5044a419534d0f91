"""Capturing what this machine's own programs send to the pooled hosts, without a setting in any of them.

rules       what is to be redirected, as text for nftables, iptables and pf
backends    who puts rules into the system, and takes them out again
process     a process that is known again, and the proxy, started as the person who asked
holder      the process behind it all: starts the proxy, holds the rules, follows both to the end
state       what is known of it from outside: a file in `/run/seatpool`

The proxy's own connections must not be redirected. They are told by the group of the process that opened them: the
proxy is started as the person, but in a group of its own, a number that nobody else has (`GROUP`). An owner would not
do, since editor and proxy are one person's; a mark can be set by root alone, which the proxy is not; a control group
needs a writable cgroup2, which containers and mixed hierarchies lack. All three firewalls know a socket's group, every
child of the proxy has it as well, and nothing has to be made known to the system or forgotten by it afterwards.
"""

GROUP = 60610
"""In the range that neither distributions nor systemd give out (systemd's UIDS-GIDS: 60578 to 60705 are unused)."""
PORT = 8443
"""Where the proxy takes redirected connections unless a person says otherwise."""


class TransparentError(Exception):
    """It cannot be done; the text is one line that says why."""
