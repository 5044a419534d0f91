"""How connections are made: to whichever address of a name answers first, and so that one that is dead is noticed.

asyncio, and mitmproxy with it, tries the addresses of a name one after the other, each for as long as the system would:
two minutes. Where a network's IPv6 leads nowhere, nothing that has an IPv6 address is reached then in any time that
somebody waits (mitmproxy#8088), while every program that goes directly races the addresses (RFC 8305). asyncio can do
that too, but the first releases of 3.12 and 3.13 break on the eager tasks that mitmproxy makes (cpython#124309).

And a connection whose far side is gone without a word, after a laptop has slept or a VPN has ended, is found dead only
when the system gives up sending again: after a quarter of an hour, for every request on it. What Codex's own HTTP
client asks of the system (reqwest#2780) is asked here, too.

asyncio looks names up in the few threads that it has for everything. A name whose server does not answer (a company's,
while its VPN is down) holds one of them for ten seconds and more, and programs that ask for such names go on doing so:
pooled hosts, which need no such server, would wait behind them, and the proxy's end as well.
"""

import asyncio
import socket
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import ContextVar
from functools import partial, wraps
from itertools import chain, zip_longest
from typing import Any

from seatpool.providers.registry import provider_of

NEXT_AFTER_S = 0.25
"""Between two addresses that are tried (RFC 8305, 8)."""
KEEPALIVE: tuple[tuple[int | None, int], ...] = (
    # Idle seconds until the first probe; macOS has another name for it.
    (getattr(socket, "TCP_KEEPIDLE", None) or getattr(socket, "TCP_KEEPALIVE", None), 15),
    (getattr(socket, "TCP_KEEPINTVL", None), 15),
    (getattr(socket, "TCP_KEEPCNT", None), 3),
)
"""Options of TCP, and their values; None: not to be had here."""
UNACKNOWLEDGED: tuple[int | None, int] = (
    (0x80, 30)  # TCP_RXT_CONNDROPTIME in seconds, which Python has no name for
    if sys.platform == "darwin"
    else (getattr(socket, "TCP_USER_TIMEOUT", None), 30_000)  # milliseconds; Windows gives up by itself by then
)
"""The same: for how long something that was sent may not be acknowledged."""
PARTICULAR = ("sock", "family", "proto", "flags", "local_addr", "happy_eyeballs_delay", "interleave", "all_errors")
"""Wishes for a connection that are left to asyncio."""

Address = tuple[Any, ...]
"""As `getaddrinfo` gives it."""

for_us: ContextVar[bool] = ContextVar("for_us", default=False)
"""Whether what this task connects to is on the way to a host of ours, be it an upstream proxy."""

_ours = ThreadPoolExecutor(8, thread_name_prefix="seatpool names")
_others = ThreadPoolExecutor(64, thread_name_prefix="seatpool other names")
"""Threads come as they are needed, and wait for a name each."""


async def reach(host: str, port: int, *, ours: bool = True) -> socket.socket:
    """A socket that is connected to `host`. Raises `OSError`: that of the address that failed first.

    Hosts that are not ours may leave what is sent to them unread for as long as they like: to the system a window of
    nothing is a lack of acknowledgement, too.
    """
    names, options = (_ours, (*KEEPALIVE, UNACKNOWLEDGED)) if ours else (_others, KEEPALIVE)
    look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    return await _first(_in_turns(await asyncio.get_running_loop().run_in_executor(names, look_up)), options)


def install() -> None:
    """Have whatever connects in this loop connect so, mitmproxy included. Doing it again does nothing."""
    loop = asyncio.get_running_loop()
    plain: Any = loop.create_connection
    if hasattr(plain, "__wrapped__"):
        return

    @wraps(plain)
    async def create_connection(
        factory: Callable[[], asyncio.BaseProtocol], host: str | None = None, port: int | None = None, **how: Any
    ) -> Any:
        if host is None or port is None or any(how.get(name) for name in PARTICULAR):
            return await plain(factory, host, port, **how)
        if how.get("ssl") and how.get("server_hostname") is None:
            how["server_hostname"] = host
        ours = for_us.get() or provider_of(host) is not None
        return await plain(factory, **{**how, "sock": await reach(host, port, ours=ours)})

    loop.create_connection = create_connection  # type: ignore[method-assign, assignment] # the point


def _in_turns(found: Sequence[Address]) -> list[Address]:
    """The families in turn, the one that the system puts first at first (RFC 8305, 4)."""
    families: dict[int, list[Address]] = {}
    for address in found:
        families.setdefault(address[0], []).append(address)
    return [address for address in chain.from_iterable(zip_longest(*families.values())) if address is not None]


async def _first(addresses: list[Address], options: Sequence[tuple[int | None, int]]) -> socket.socket:
    """Each has its turn when the one before it has failed, or has taken a while."""
    trying: set[asyncio.Task[socket.socket]] = set()
    failed: list[BaseException] = []
    try:
        while addresses or trying:
            if addresses:
                trying.add(asyncio.create_task(_connected(addresses.pop(0), options)))
            await asyncio.wait(trying, timeout=NEXT_AFTER_S if addresses else None, return_when=asyncio.FIRST_COMPLETED)
            for task in [task for task in trying if task.done()]:
                trying.remove(task)
                if (problem := task.exception()) is None:
                    return task.result()
                failed.append(problem)
    finally:
        for task in trying:
            _give_up(task)
    raise failed[0] if failed else OSError("no address")


async def _connected(address: Address, options: Sequence[tuple[int | None, int]]) -> socket.socket:
    family, kind, protocol, _, where = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in options:
            if option is not None:
                with suppress(OSError):  # the connection is as good without it as it always was
                    sock.setsockopt(socket.IPPROTO_TCP, option, value)
        await asyncio.get_running_loop().sock_connect(sock, where)
    except BaseException:
        sock.close()
        raise
    return sock


def _give_up(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancel() and not task.cancelled() and task.exception() is None:
        task.result().close()
