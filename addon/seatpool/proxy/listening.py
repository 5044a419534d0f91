"""Where the proxy listens: on loopback, or behind a password. Never an open door to somebody's accounts.

mitmproxy begins to open its port while scripts are still being loaded, so an option that a script sets comes too late
for the first time. Hence three parts: a refusal of what was asked for openly, a move to loopback when running begins,
and a guard that turns away whoever comes through the wrong door meanwhile.
"""

import ipaddress
import logging
from collections.abc import Iterable
from typing import Any

from mitmproxy import connection, options
from mitmproxy.proxy import mode_specs

logger = logging.getLogger(__name__)

WITHOUT_SOCKET = (mode_specs.LocalMode, mode_specs.TunMode)
"""Modes that take connections from this machine's own programs, without listening anywhere."""


def open_door(opts: options.Options) -> str | None:
    """What is wrong with the addresses that a person asked for; None when nothing is."""
    if opts.proxyauth:
        return None
    for host in _hosts(opts):
        if not is_loopback(host):
            return (
                f"listening on {host or 'every address'} would lend your accounts to the network: "
                "listen on 127.0.0.1, or ask for a password with --proxyauth user:password"
            )
    return None


async def move_to_loopback(opts: options.Options, servers: Iterable[Any]) -> None:
    """Start those servers again that were opened on every address before our default was known."""
    if opts.proxyauth or not is_loopback(opts.listen_host):
        return
    for server in servers:
        if server.is_running and any(not is_loopback(address[0]) for address in server.listen_addrs):
            await server.stop()
            await server.start()


def turn_away(client: connection.Client, opts: options.Options) -> None:
    """Refuse a client that came to another address than loopback while no password is asked for."""
    if opts.proxyauth or isinstance(client.proxy_mode, WITHOUT_SOCKET):
        return
    if client.sockname and not is_loopback(client.sockname[0]):
        client.error = "seatpool serves this machine only; ask for a password with proxyauth to serve others"
        logger.warning("action=turned-away address=%s", client.sockname[0])


def is_loopback(host: str) -> bool:
    """Whether only this machine can come to that address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _hosts(opts: options.Options) -> Iterable[str]:
    for mode in opts.mode:
        spec = mode_specs.ProxyMode.parse(mode)
        if not isinstance(spec, WITHOUT_SOCKET):
            yield spec.listen_host(opts.listen_host)
