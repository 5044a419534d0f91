"""What a person is told of while nobody looks: in words without tokens, prompts or ids."""

from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from seatpool.core.model import Account, ProviderName, Scope
from seatpool.core.selection import RENEWAL, REVOKED
from seatpool.core.spans import by_the_clock

DAILY = timedelta(days=1)
FOR_GOOD = timedelta(days=3650)
"""Until whoever told it takes it back."""
AT_LEAST = timedelta(minutes=1)
"""A limit of seconds that comes again and again is told so often at most."""
EXPIRES_WITHIN = timedelta(days=14)


class Kind(StrEnum):
    """What it is about."""

    SWITCHED = "switched"
    EXHAUSTED = "exhausted"
    SIGN_IN = "sign-in"
    DISABLED = "disabled"
    CERTIFICATE = "certificate"
    TEST = "test"


class Notice(msgspec.Struct, frozen=True):
    """One message."""

    kind: Kind
    about: str
    """What tells it from others of its kind: it is told once for each."""
    title: str
    text: str
    again_at: datetime
    """Before then it is not told again."""
    account: str | None = None
    """Name of the account that it is about."""
    until: datetime | None = None
    """When that of which it tells is over, where that is known."""

    @property
    def key(self) -> str:
        """Its name among processes."""
        return f"notice:{self.kind}:{self.about}"


class Expiry(msgspec.Struct, frozen=True):
    """The end of the certificate authority that programs trust."""

    ends: datetime
    switches: datetime | None
    """When its successor is used in its place; None where none was made yet."""


def switched(
    account: Account, scope: Scope, reason: str, until: datetime | None, to: str | None, now: datetime
) -> Notice:
    """An account is limited, and another one serves."""
    part = f" for {scope.value}" if scope.value else ""
    goes_on = f"requests go on with {to}" if to is not None else "requests go on with another account"
    limited = f"{account.name} is limited{part}{_until(until, now)} ({reason}); {goes_on}."
    about = f"{account.id}:{scope.kind}:{scope.value[:80]}"
    again_at = max(until or now, now + AT_LEAST)
    return Notice(
        Kind.SWITCHED, about, f"seatpool: switched from {account.name}", limited, again_at, account.name, until
    )


def exhausted(provider: ProviderName, until: datetime, now: datetime, model: str | None = None) -> Notice:
    """Nobody is left; `model`: for this one, while others can be had."""
    what, part = (f" {model}", f" for {model}") if model is not None else ("", "")
    text = f"Every {provider} account that may serve{what} is limited{_until(until, now)}."
    return Notice(
        Kind.EXHAUSTED,
        f"{provider}:{model[:80]}" if model is not None else provider.value,
        f"seatpool: all {provider} accounts are limited{part}",
        text,
        max(until, now + AT_LEAST),
        until=until,
    )


def taken_out(account: Account, reason: str, now: datetime) -> Notice:
    """An account serves no more until a person acts: to sign in, or to see what its issuer has against it."""
    about = str(account.id)
    if reason.startswith(RENEWAL):
        code = reason.removeprefix(RENEWAL)
        how = "in your editor" if account.learnt else f"with: seatpool login {account.provider} --name {account.name}"
        text = f"{account.name} has to sign in again ({code}), {how}"
        return Notice(Kind.SIGN_IN, about, "seatpool: sign in again", text, now + DAILY, account.name)
    code = reason.removeprefix(REVOKED)
    text = (
        f"{account.name} is out of use ({code}). Look at its account page; then: seatpool account resume {account.name}"
    )
    return Notice(Kind.DISABLED, about, f"seatpool: {account.name} is disabled", text, now + FOR_GOOD, account.name)


def expiring(expiry: Expiry, now: datetime) -> Notice | None:
    """The last days of what programs trust; None before."""
    if expiry.ends - now > EXPIRES_WITHIN:
        return None
    text = f"The certificate authority that your programs trust ends on {expiry.ends:%d %B %Y}."
    if expiry.switches is not None:
        text += f" Its successor is used from {expiry.switches:%d %B %Y}; have it trusted: seatpool ca trust"
    else:
        text += " Make another: seatpool ca rotate"
    return Notice(Kind.CERTIFICATE, "ca", "seatpool: certificate expiring", text, now + DAILY, until=expiry.ends)


def test(now: datetime) -> Notice:
    """What `seatpool notify test` sends."""
    return Notice(Kind.TEST, "test", "seatpool: test", "Notices of seatpool arrive here.", now)


def _until(until: datetime | None, now: datetime) -> str:
    return f" until {by_the_clock(until, now)}" if until is not None else ""
