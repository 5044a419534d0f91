"""Where the proxy listens: on loopback, or behind a password. Never an open door to somebody's accounts.

mitmproxy begins to open its port while scripts are still being loaded, so an option that a script sets comes too late
for the first time. Hence three parts: a refusal of what was asked for openly, a move to loopback when running begins,
and a guard that turns away whoever comes through the wrong door meanwhile.

Modes differ in who can come, and in whether they can be asked for a password:

* `regular`, `upstream`, `socks5`: anybody who reaches the address; a password can be asked for.
* `reverse`, `transparent`, `dns`: anybody as well, and nobody can give a password: in `Authorization`, where mitmproxy
  looks for it then, stands the editor's own login. So loopback alone.
* `wireguard`: who holds the key that mitmproxy has made.
* `local`, `tun`: programs of this machine; they listen nowhere.
"""

import ipaddress
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from mitmproxy import connection, options
from mitmproxy.proxy import mode_specs

logger = logging.getLogger(__name__)

WITHOUT_SOCKET = (mode_specs.LocalMode, mode_specs.TunMode)
"""Modes that take connections from this machine's own programs, without listening anywhere."""
WITH_KEY = (mode_specs.WireGuardMode,)
"""Nobody comes in without a key."""
WITH_PASSWORD = (mode_specs.RegularMode, mode_specs.UpstreamMode, mode_specs.Socks5Mode)
"""Modes whose clients can give a password."""
EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 # compared with
ANYBODY = "any"
"""A `proxyauth` that takes every password."""


def open_door(opts: options.Options) -> str | None:
    """What is wrong with the addresses that a person asked for; None when nothing is."""
    for text in opts.mode:
        spec = mode_specs.ProxyMode.parse(text)
        host = spec.listen_host(opts.listen_host)
        if isinstance(spec, WITHOUT_SOCKET + WITH_KEY) or is_loopback(host):
            continue
        lends = f"listening on {host or 'every address'} would lend your accounts to the network"
        if host.startswith("["):
            return f"listen_host {host}: IPv6 addresses are written without brackets: ::1, or --mode regular@::1:8080"
        if not isinstance(spec, WITH_PASSWORD):
            return f"{lends}, and mode {spec.type_name} cannot ask for a password: listen on 127.0.0.1"
        if opts.proxyauth == ANYBODY:
            return f"{lends}: proxyauth=any takes every password; say --proxyauth user:password, or listen on 127.0.0.1"
        if not opts.proxyauth:
            return f"{lends}: listen on 127.0.0.1, or ask for a password with --proxyauth user:password"
    return None


async def move_to_loopback(opts: options.Options, servers: Iterable[Any]) -> None:
    """Start those servers again that were opened on every address before our default was known."""
    for server in servers:
        if isinstance(server.mode, WITHOUT_SOCKET) or not is_loopback(server.mode.listen_host(opts.listen_host)):
            continue
        if server.is_running and any(not is_loopback(address[0]) for address in server.listen_addrs):
            await server.stop()
            await server.start()


def turn_away(client: connection.Client, opts: options.Options, connections: Mapping[Any, Any]) -> None:
    """Refuse a client that came to another address than loopback while no password is asked for.

    `connections` are mitmproxy's own, by client: in transparent mode the client itself does not know where it came.
    """
    mode = client.proxy_mode
    if isinstance(mode, WITHOUT_SOCKET + WITH_KEY) or (opts.proxyauth and isinstance(mode, WITH_PASSWORD)):
        return
    address = client.sockname
    if isinstance(mode, mode_specs.TransparentMode):
        address = _real(client, connections)
    if address and not is_loopback(address[0]):
        client.error = "seatpool serves this machine only; ask for a password with proxyauth to serve others"
        logger.warning("action=turned-away address=%s", address[0])


def circle(opts: options.Options) -> str | None:
    """What is wrong with where a person wants everything to be sent: it is where we listen. None when nothing is."""
    specs = [mode_specs.ProxyMode.parse(text) for text in opts.mode]
    doors = [(spec.listen_host(opts.listen_host), spec.listen_port(opts.listen_port)) for spec in specs]
    for spec in specs:
        if isinstance(spec, (mode_specs.UpstreamMode, mode_specs.ReverseMode)) and is_ours(spec.address, doors):
            return f"mode {spec.full_spec}: seatpool itself listens there, so all would go round for ever; name another"
    return None


def is_ours(asked: tuple[Any, ...], listening: Iterable[tuple[Any, ...]]) -> bool:
    """Whether this is one of the addresses where we listen, as somebody would write it on this machine."""
    host = str(asked[0]).rstrip(".").strip("[]")
    near = is_loopback(host)
    for at in listening:
        if asked[1] == at[1] and (host == at[0] or (near and (at[0] in EVERYWHERE or is_loopback(at[0])))):
            return True
    return False


def redirected(opts: options.Options) -> bool:
    """Whether clients are taken that the system redirects to us: they come from this machine's outer addresses."""
    return any(isinstance(mode_specs.ProxyMode.parse(text), mode_specs.TransparentMode) for text in opts.mode)


def is_loopback(host: str) -> bool:
    """Whether only this machine can come to that address."""
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _real(client: connection.Client, connections: Mapping[Any, Any]) -> tuple[Any, ...]:
    """Where the socket of a client was accepted: its `sockname` is where it wanted to go before it was redirected."""
    try:
        return tuple(connections[client.id].transports[client].writer.get_extra_info("sockname"))
    except (KeyError, AttributeError, TypeError):
        return ("unknown",)  # not the mitmproxy that we know: rather shut than open
