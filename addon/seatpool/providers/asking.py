"""How a sign-in asks: again where that can help, patiently where a person decides, and the lines in which it ends."""

import re
from collections.abc import Callable, Generator
from datetime import datetime

import msgspec

from seatpool.providers.http import HttpReply, HttpRequest
from seatpool.providers.signin import Callback, Clock, NotSignedIn, Pause, Step
from seatpool.providers.tolerant import number

type Asking[T] = Generator[Step, HttpReply | Callback | None, T]
"""A part of a sign-in that ends in a `T`."""

FASTEST_S, SLOWEST_S = 1.0, 60.0
"""Bounds of the pause between two looks, whatever an issuer says."""
SLOWER_BY_S = 5.0
"""Where the issuer does not say how much (RFC 8628, 3.5; copilot.md 10)."""
UNANSWERED_AT_MOST = 5
"""Looks in a row without an answer, after which the machine counts as offline: half a minute at the usual pace."""
TRIES = 3
RETRY_PAUSE_S = 1.0

_TYPABLE = re.compile(r"[A-Za-z0-9-]{4,32}")


class Undecided(msgspec.Struct, frozen=True):
    """The person has not decided yet: look again."""

    slower: bool = False
    """The issuer wants longer pauses from now on (RFC 8628, 3.5)."""
    interval_s: float | None = None
    """How long, where it says so."""


def ask(request: HttpRequest) -> Asking[HttpReply | None]:
    """The answer; None where there was none."""
    sent = yield request
    return sent if isinstance(sent, HttpReply) else None


def insist(request: HttpRequest) -> Asking[HttpReply | None]:
    """The answer to a request that a whole sign-in hangs on: asked again where nobody answers, or is busy."""
    reply = yield from ask(request)
    for _ in range(TRIES - 1):
        if reply is not None and not passing(reply):
            break
        yield Pause(RETRY_PAUSE_S)
        reply = yield from ask(request)
    return reply


def poll[T](
    request: HttpRequest,
    read: Callable[[HttpReply], T | Undecided | NotSignedIn],
    interval_s: float,
    expires_at: datetime,
    now: Clock,
) -> Asking[T | NotSignedIn]:
    """Look again and again until `read` finds that the person has decided, or time is up."""
    unanswered, pause_s = 0, interval_s
    while (left_s := (expires_at - now()).total_seconds()) > 0:
        yield Pause(min(pause_s, left_s))
        reply = yield from ask(request)
        unanswered = unanswered + 1 if reply is None else 0
        if unanswered >= UNANSWERED_AT_MOST:
            return offline(request)
        pause_s = interval_s
        if reply is None:
            continue
        if passing(reply):
            pause_s = max(interval_s, number(reply.headers.get("retry-after")) or 0.0)
            continue
        found = read(reply)
        if not isinstance(found, Undecided):
            return found
        if found.slower:
            pause_s = interval_s = _slower(interval_s, found.interval_s)
    return EXPIRED


def _slower(interval_s: float, stated: float | None) -> float:
    return min(stated if stated is not None and stated > interval_s else interval_s + SLOWER_BY_S, SLOWEST_S)


def pace_s(stated: object, otherwise_s: float) -> float:
    """The pause that an issuer asks for (codex.md 4 states it as a string), within reason."""
    found = number(stated)
    return otherwise_s if found is None else min(max(found, FASTEST_S), SLOWEST_S)


def typable(stated: object) -> str | None:
    """A code as a person types it; None for anything that is better not put on a screen."""
    return stated if isinstance(stated, str) and _TYPABLE.fullmatch(stated) else None


def passing(reply: HttpReply) -> bool:
    """Whether an answer is trouble of the moment: too many requests, or the issuer's own fault."""
    return reply.status == 429 or reply.status >= 500


# -- how it ends

EXPIRED = NotSignedIn("expired", "Time is up: nobody confirmed the sign-in. Start again for a new one.")
DENIED = NotSignedIn("denied", "The sign-in was declined. Nothing was changed.")


def offline(request: HttpRequest) -> NotSignedIn:
    """Nobody answered."""
    return NotSignedIn("offline", f"{_host(request)} cannot be reached: check the network, then sign in again.")


def refused(request: HttpRequest, reply: HttpReply | None, code: str = "") -> NotSignedIn:
    """An answer that is not the hoped-for one; `code` is what its body says, in so far as it can be shown."""
    if reply is None:
        return offline(request)
    said = code or f"HTTP {reply.status}"
    if passing(reply):
        return NotSignedIn("unavailable", f"{_host(request)} is busy ({said}): sign in again in a few minutes.")
    return NotSignedIn("refused", f"{_host(request)} refused the sign-in ({said}): start again.")


def unreadable(request: HttpRequest) -> NotSignedIn:
    """A good answer without what it should hold."""
    return NotSignedIn("unreadable", f"{_host(request)} gave an answer that is not understood: start again.")


def _host(request: HttpRequest) -> str:
    return request.url.split("/", 3)[2]
