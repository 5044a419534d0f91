"""OpenTelemetry traces of pooled requests, sent in the background: whoever is not there to get them misses them.

Only the messages of OTLP are another's (`opentelemetry-proto`); they are loaded with the first trace. The usual SDK
would bring a thread and an HTTP client of its own, which heeds proxy variables and so may come to ourselves.
"""

import asyncio
import importlib.util
import logging
import os
import re
import time
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

from seatpool.core.ended import Ended
from seatpool.core.model import Attempt
from seatpool.core.state import PoolState
from seatpool.core.tracing import Request
from seatpool.providers.http import HttpRequest
from seatpool.service.logins.refresher import Sender
from seatpool.service.memory.meters import Meters
from seatpool.service.network.transport import SideCallFailed
from seatpool.service.threads import aside

logger = logging.getLogger(__name__)

EVERY_S = 2.0
"""How long requests are collected."""
AT_ONCE = 200
"""So many are sent before that."""
WAITING = 2000
"""Requests that wait to be sent at most; what comes then is dropped."""
LAST_S = 2.0
"""For the last of them, when the proxy ends."""
SAID_EVERY_S = 600.0
HEADERS = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
"""Variables of the environment; the first that is set. They hold tokens, so there is no option for them."""
Headers = tuple[tuple[str, str], ...]
OWN_HEADERS: Headers = (("content-type", "application/x-protobuf"), ("user-agent", "seatpool"))
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
EXTRA = "pool_otlp_endpoint needs a package: pip install opentelemetry-proto (in a clone: .venv/bin/pip ...)"


def missing() -> str | None:
    """What is to be installed; None: all is there."""
    try:
        return None if importlib.util.find_spec("opentelemetry.proto") is not None else EXTRA
    except ModuleNotFoundError:
        return EXTRA


def collectors_headers() -> Headers:
    """What a collector that is not everybody's asks for, from where OpenTelemetry's own programs take it.

    Names and values as in W3C baggage (the specification's "OTLP exporter configuration"). Raises `ValueError`, with
    nothing of a value in it.
    """
    variable = next((name for name in HEADERS if os.environ.get(name)), HEADERS[-1])
    found = []
    for part in filter(str.strip, os.environ.get(variable, "").split(",")):
        name, _, value = (each.strip() for each in part.partition("="))
        value = unquote(value)
        if not _NAME.fullmatch(name) or not value or not value.isprintable() or not value.isascii():
            raise ValueError(f"{variable}: say NAME=VALUE,NAME=VALUE, values percent-encoded where they are not plain")
        found.append((name.lower(), value))
    return tuple(found)


class Traces:
    """One per process."""

    def __init__(self, state: PoolState, meters: Meters, transport: Sender) -> None:
        self._state = state
        self._meters = meters
        self._transport = transport
        self._url = ""
        self._headers = OWN_HEADERS
        self._waiting: list[Request] = []
        self._hurry = asyncio.Event()
        self._exporting: asyncio.Task[None] | None = None
        self._said_at: float | None = None

    def follow(self, endpoint: str) -> None:
        """Send to this collector from now on; empty: to none."""
        path = urlsplit(endpoint).path
        self._url = endpoint if not endpoint or path.strip("/") else f"{endpoint.rstrip('/')}/v1/traces"
        self._headers = OWN_HEADERS + (collectors_headers() if endpoint else ())
        self._meters.tell = self._note if endpoint else None

    async def stop(self) -> None:
        """Send what waits, if that is quick."""
        self._hurry.set()
        if self._exporting is not None:
            try:
                async with asyncio.timeout(LAST_S):
                    await self._exporting
            except TimeoutError:
                pass  # it was cancelled with that, and nobody is left to count for

    def _note(self, over: Ended, attempts: Sequence[Attempt]) -> None:
        if len(self._waiting) >= WAITING:
            self._meters.spans["dropped"] += 1 + len(attempts)
            return
        involved = {attempt.account_id for attempt in attempts} | {over.account_id}
        found = {i: self._state.accounts[i] for i in involved if i is not None and i in self._state.accounts}
        self._waiting.append(Request(over, tuple(attempts), found))
        if len(self._waiting) >= AT_ONCE:
            self._hurry.set()
        if self._exporting is None or self._exporting.done():
            self._exporting = asyncio.get_running_loop().create_task(self._export(), name="seatpool traces")

    async def _export(self) -> None:
        while self._waiting:
            try:
                async with asyncio.timeout(EVERY_S):
                    await self._hurry.wait()
            except TimeoutError:
                pass
            self._hurry.clear()
            batch, self._waiting = self._waiting, []
            count = sum(1 + len(request.attempts) for request in batch)
            problem = await self._send(batch)
            self._meters.spans["dropped" if problem is not None else "exported"] += count
            if problem is not None:
                self._say(problem, count)

    async def _send(self, batch: Sequence[Request]) -> str | None:
        """Why they did not get there."""
        try:
            body = await aside(_encoded, batch)
            reply = await self._transport.send(HttpRequest("POST", self._url, self._headers, body, plain=True))
        except SideCallFailed as failure:
            return str(failure)
        except Exception as error:
            logger.exception("action=traces-failed")
            return type(error).__name__
        return None if 200 <= reply.status < 300 else f"answered {reply.status}"

    def _say(self, problem: str, count: int) -> None:
        now = time.monotonic()
        if self._said_at is None or now - self._said_at >= SAID_EVERY_S:
            self._said_at = now
            logger.warning(
                "action=traces-dropped spans=%d reason=%s; later ones are counted in /metrics", count, problem
            )


def _encoded(batch: Sequence[Request]) -> bytes:
    from seatpool.service.telling.otlp import encode  # tens of milliseconds and some megabytes

    return encode(batch)
