"""Why an account serves a request, and what keeps the others out: the words for it, wherever it is told."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from seatpool.core.explain import Bar, BarKind, Choice, Contender
from seatpool.core.scoring import Standing
from seatpool.core.selection import RENEWAL
from seatpool.core.spans import closely
from seatpool.core.strategy import Candidate

BARS: Mapping[BarKind, Callable[[Bar, Choice], str]] = MappingProxyType(
    {
        BarKind.RULE: lambda _bar, choice: f"rule {choice.rule} names other accounts",
        BarKind.LACKING: lambda _bar, _choice: "the model is not in its list",
        BarKind.SPENT: lambda bar, choice: f"nothing left of the model's quota for {_ahead(bar, choice)}",
        BarKind.DISABLED: lambda bar, _choice: out_of_use(bar.code),
        BarKind.PAUSED: lambda _bar, _choice: "paused",
        BarKind.AWAY: lambda _bar, _choice: "its editor was not in use",
        BarKind.COOLING: lambda bar, choice: _cooling(bar, choice),
        BarKind.FULL: lambda _bar, _choice: "as many requests under way as it takes, or only just back",
        BarKind.TRIED: lambda _bar, _choice: "tried already",
    }
)

HANDSHAKE = 101
"""Status of an attempt that opened a socket, on which each turn is a request."""
SOCKET = "socket"
"""Of an attempt: a turn on a socket that is open."""
WARM_UP = "warm-up"
"""The same of a message that only readies the socket for a turn: it is part of that one's request."""

REASONS: Mapping[str, str] = MappingProxyType(
    {
        "affinity": "it has the conversation",
        "bound": "it alone can read the conversation",
        "rule": "the rule prefers it",
        "best": "first in the order",
        "fallback": "the first that can serve",
        "renewed": "the same again, with a renewed token",
        "repaired": "the same again, without what it could not read",
        "resent": "the same again, on a fresh connection",
        SOCKET: "a turn on its open socket",
        WARM_UP: "a warm-up of its open socket",
    }
)


def out_of_use(reason: str) -> str:
    """An account's `disabled` in words: somebody has to sign in, or its issuer has something against it."""
    code = reason.removeprefix(RENEWAL)
    return f"disabled: {reason}" if code == reason else f"has to sign in again: {code}"


def judgements(choice: Choice) -> Iterator[tuple[Candidate, str]]:
    """The account, and in words why it was chosen or was not."""
    place = 0
    for contender in choice.contenders:
        place += not contender.bars
        yield contender.candidate, _why(choice, contender, place)


def barred(choice: Choice, contender: Contender) -> str:
    """What kept it out."""
    return "; ".join(BARS[bar.kind](bar, choice) for bar in contender.bars)


def _why(choice: Choice, contender: Contender, place: int) -> str:
    if contender.candidate.account.id == choice.account_id:
        return f"chosen: {REASONS.get(choice.reason, choice.reason)}"
    if contender.bars:
        return barred(choice, contender)
    empty = ", known to be empty" if contender.candidate.score.standing is Standing.EXHAUSTED else ""
    return f"no. {place} in the order{empty}"


def _cooling(bar: Bar, choice: Choice) -> str:
    part = f"{bar.scope.value} " if bar.scope.value else ""
    return f"{part}cooling for {_ahead(bar, choice)}: {bar.code}"


def _ahead(bar: Bar, choice: Choice) -> str:
    return closely(bar.until - choice.decided_at) if bar.until is not None else "a time that is not known"
