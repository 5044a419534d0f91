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


class Need(NamedTuple):
    """One."""

    text: str
    command: str


def needs(rows: Sequence[AccountRow], now: datetime) -> Iterator[Need]:
    """Of accounts that are out of use, then of providers of whose accounts none can be asked."""
    for row in rows:
        if row.state == "disabled":
            yield of_disabled(row.name, row.provider, row.disabled_reason or "")
    for provider in ProviderName:
        found = of_idle(provider, [row for row in rows if row.provider is provider], now)
        if found is not None:
            yield found


def of_disabled(name: str, provider: ProviderName, reason: str) -> Need:
    """Of an account that is out of use, and why."""
    shown = here().quote(name)
    if reason.startswith(RENEWAL):
        text = f"{name} has to sign in again ({reason.removeprefix(RENEWAL)})"
        return Need(text, f"seatpool login {provider} --name {shown}")
    text = f"{name} is disabled: {reason.removeprefix(REVOKED)}; look at its account page first"
    return Need(text, f"seatpool account resume {shown}")


def of_idle(provider: ProviderName, rows: Sequence[AccountRow], now: datetime) -> Need | None:
    """Of a provider's accounts; None where one can be asked, or none would be."""
    by_state = {state: [r for r in rows if r.state == state] for state in ("ready", "cooling", "paused", "editor")}
    every = "every account but your editor's own" if by_state["editor"] else "every account"
    if by_state["ready"]:
        return None
    if by_state["cooling"]:
        until, reason, name = min(map(_back, by_state["cooling"]))
        when = f"in {span(until - now)}, at {by_the_clock(until, now)}"
        text = f"{provider}: {every} rests; {name} is the first to be back, {when} ({reason})"
        return Need(text, f"seatpool login {provider}, for another one; {LIFTED}")
    if by_state["paused"]:
        paused = by_state["paused"][0].name
        return Need(f"{provider}: {every} is paused", f"seatpool account resume {here().quote(paused)}")
    return None


def _back(row: AccountRow) -> tuple[datetime, str, str]:
    """When it serves again, what it rests for, and its name. What rests of it alone keeps nobody else waiting."""
    return min((c.until, c.reason, row.name) for c in row.cooldowns if c.scope is ScopeKind.ACCOUNT)
