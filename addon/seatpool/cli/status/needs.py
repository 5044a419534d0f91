"""What the accounts need of a person, each in a line with the command for it."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from seatpool.core.model import ProviderName, ScopeKind
from seatpool.core.report import AccountRow
from seatpool.core.selection import RENEWAL, REVOKED
from seatpool.core.spans import by_the_clock, span
from seatpool.setup.shell import here

LIFTED = "where a limit was lifted before its time: seatpool cooldown clear"

Part = tuple[ScopeKind, str]
"""What of an account rests."""
WHOLE: Part = (ScopeKind.ACCOUNT, "")


class Need(NamedTuple):
    """One."""

    text: str
    command: str


def needs(rows: Sequence[AccountRow], now: datetime) -> Iterator[Need]:
    """Of accounts that are out of use, then of providers of whose accounts none can be asked, be it for a part."""
    for row in rows:
        if row.state == "disabled":
            yield of_disabled(row.name, row.provider, row.disabled_reason or "")
    for provider in ProviderName:
        yield from of_idle(provider, [row for row in rows if row.provider is provider], now)


def of_disabled(name: str, provider: ProviderName, reason: str) -> Need:
    """Of an account that is out of use, and why."""
    shown = here().quote(name)
    if reason.startswith(RENEWAL):
        text = f"{name} has to sign in again ({reason.removeprefix(RENEWAL)})"
        return Need(text, f"seatpool login {provider} --name {shown}")
    text = f"{name} is disabled: {reason.removeprefix(REVOKED)}; look at its account page first"
    return Need(text, f"seatpool account resume {shown}")


def of_idle(provider: ProviderName, rows: Sequence[AccountRow], now: datetime) -> Iterator[Need]:
    """Of a provider's accounts; nothing where one can be asked for everything, or none would be."""
    of = {state: [r for r in rows if r.state == state] for state in ("ready", "cooling", "paused", "editor")}
    again = f"seatpool login {provider}, for another one; {LIFTED}"
    if of["ready"]:
        for part in sorted(set.intersection(*map(_parts, of["ready"]))):
            every = _every([row for row in of["editor"] if part not in _parts(row)])
            back = _first_back((*of["ready"], *of["cooling"]), part, now)
            yield Need(f"{provider}: {part[1]} rests on {every}; {back}", again)
    elif of["cooling"]:
        yield Need(f"{provider}: {_every(of['editor'])} rests; {_first_back(of['cooling'], WHOLE, now)}", again)
    elif of["paused"]:
        paused = of["paused"][0].name
        yield Need(f"{provider}: {_every(of['editor'])} is paused", f"seatpool account resume {here().quote(paused)}")


def _every(besides: Sequence[AccountRow]) -> str:
    return "every account but your editor's own" if besides else "every account"


def _parts(row: AccountRow) -> set[Part]:
    """What of it rests, and not the whole."""
    return {(c.scope, c.of or "") for c in row.cooldowns} - {WHOLE}


def _first_back(rows: Sequence[AccountRow], part: Part, now: datetime) -> str:
    """Who of these, all of which rest, serves again first, and when."""
    of_each = ([(c.until, c.reason) for c in row.cooldowns if (c.scope, c.of or "") in (WHOLE, part)] for row in rows)
    (until, reason), name = min((max(ends), row.name) for row, ends in zip(rows, of_each, strict=True) if ends)
    return f"{name} is the first to be back, in {span(until - now)}, at {by_the_clock(until, now)} ({reason})"
