"""What holds of our answers, whatever came in."""

import re
from datetime import UTC, datetime, timedelta
from math import isfinite

from seatpool.core.model import Credential, CredentialKind, QuotaWindow, ScopeKind, Tokens
from seatpool.core.outcome import Outcome, OutcomeKind
from seatpool.providers.base import Frame, RequestFacts
from seatpool.providers.logins import ImportedLogin
from seatpool.providers.sidecalls import NotTold, Usage

NOW = datetime(2026, 11, 21, 10, 0, 0, tzinfo=UTC)
LONGEST = timedelta(days=40)
"""No window of any plan is longer than a month."""

_CODE = re.compile(r"(unknown-)?[A-Za-z0-9_.-]{1,64}")
_BUCKET = re.compile(r"[^\s\x00-\x1f]{1,80}|.{1,64}/(primary|secondary)", re.DOTALL)


def moment(when: datetime | None, *, ahead: bool = True) -> None:
    """A time that can be waited for, or none."""
    if when is not None:
        assert when.tzinfo is not None
        assert (NOW if ahead else NOW - LONGEST) <= when <= NOW + LONGEST, when


def outcome(found: Outcome, *, refused: bool) -> None:
    """A classified answer that the pool can act on."""
    assert isinstance(found.kind, OutcomeKind)
    assert (found.kind is OutcomeKind.OK) is not refused
    assert _CODE.fullmatch(found.code), found.code
    moment(found.until)
    assert isinstance(found.scope.kind, ScopeKind)
    assert (found.scope.kind is ScopeKind.ACCOUNT) <= (found.scope.value == "")
    assert found.without is None or isinstance(found.without, CredentialKind)
    if found.concurrent or found.anonymous:
        assert found.kind is OutcomeKind.RATE_LIMITED
        assert not (found.concurrent and found.anonymous)
    if found.anonymous:
        assert found.until is None


def window(found: QuotaWindow) -> None:
    """A quota window that can be stored, compared and shown."""
    assert 0.0 <= found.left <= 1.0
    assert _BUCKET.fullmatch(found.bucket), found.bucket
    assert found.observed_at == NOW
    assert found.length_s is None or 0 <= found.length_s <= 10**10
    moment(found.resets_at, ahead=False)
    assert found.shown is not None
    assert found.empty_until is None or found.empty_until.tzinfo is not None


def tokens(found: Tokens | None) -> None:
    """Counts that a database takes."""
    for count in found or ():
        assert count is None or 0 <= count < 2**62


def frame(found: Frame) -> None:
    """What a message of a socket was said to mean."""
    if found.outcome is not None:
        outcome(found.outcome, refused=True)
        assert found.terminal
    for each in found.windows:
        window(each)
    tokens(found.tokens)
    header(found.turn_state)


def header(value: str | None) -> None:
    """Something that may go into a header as it is."""
    assert value is None or (value.isascii() and value.isprintable() and value and " " not in value)


def credential(found: Credential) -> None:
    """A credential that can be sent and stored."""
    header(found.token)
    if found.refresh_token is not None:
        header(found.refresh_token)
    if found.expires_at is not None:
        assert found.expires_at.tzinfo is not None
    for key, value in (*found.endpoints.items(), *found.attributes.items()):
        (key + value).encode()
    assert len(found.token) < 24 or found.token not in repr(found)  # shorter ones can be the names of its fields


def login(found: ImportedLogin) -> None:
    """A login that can be put into the pool."""
    assert found.name
    assert found.name.isprintable()
    assert found.credentials
    for each in found.credentials:
        credential(each)
    assert all((part or "").isprintable() for part in (found.identity, found.handle, found.note, found.program))


def facts(found: RequestFacts) -> None:
    """What selection, rules and the database get to see of a request."""
    assert found.needs
    for told in (found.model, found.conversation):
        assert told is None or (0 < len(told) <= 128 and told.isascii() and told.isprintable())
    assert found.client is None or (0 < len(found.client) <= 100 and found.client == found.client.lower())
    for name in found.repositories:
        assert "/" in name
        assert not re.search(r"\s|[\x00-\x1f]", name)
    header(found.turn_state)
    hash((found.model, found.client, found.repositories))


def told(found: Usage | NotTold) -> None:
    """What an issuer said of an account's quota."""
    if isinstance(found, NotTold):
        assert found.code
        moment(found.retry_at)
        return
    for each in found.windows:
        window(each)
    if found.credential is not None:
        credential(found.credential)


def seconds(pause_s: float) -> None:
    """A pause that somebody can wait out."""
    assert isfinite(pause_s)
    assert 0 <= pause_s <= 24 * 3600
