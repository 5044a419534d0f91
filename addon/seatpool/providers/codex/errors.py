"""What a refusal means: a table over status and code (codex.md 3.3, 4, 6). The first row that fits decides.

A row's `names` are looked for in `error.code`, `error.type`, `error` itself, `code` and `detail.code`, in this order.
"""

import re
from collections.abc import Callable, Container, Mapping
from datetime import datetime
from enum import Enum
from types import MappingProxyType

import msgspec
from msgspec.structs import replace

from seatpool.core.model import WHOLE_ACCOUNT, Scope, ScopeKind
from seatpool.core.outcome import OK, UNKNOWN, About, Outcome, OutcomeKind
from seatpool.core.silence import silent
from seatpool.providers.base import RequestFacts
from seatpool.providers.codex.quota import (
    OWN_BUCKETS,
    is_additional,
    is_main,
    spent,
    spent_until,
    windows_of_headers,
)
from seatpool.providers.codex.wire import after, moment, read_object, retry_after, text
from seatpool.providers.http import HeaderView, HttpReply
from seatpool.providers.tolerant import GENERIC, Json, mapping, stable_code

MODEL_NOT_SUPPORTED = "model_not_supported"

_TRY_AGAIN = re.compile(r"(?i)try again in\s*(\d+(?:\.\d+)?)\s*(s|ms|seconds?)")  # codex.md 3.3
_NO_MODEL = re.compile(
    r"The '([A-Za-z0-9._:/-]{1,128})' model is not supported when using Codex\b"
    r"|You are not authorized to access this model\b"
)
"""Of the account's plan, with 400, and no code comes with it (openai/codex issues 6603, 17642, 19654); or of what the
account is admitted to, with a 401 that no renewed token mends (openai/codex issues 44566, 44577, 44587)."""
GONE = ("deactivated_workspace", "account_deactivated")
"""The workspace or the person is shut out, the person with a 401 (openai/codex issue 42655)."""
_REACHED = ("rate_limit_reached", "credits_depleted", "usage_limit_reached")
_HTML_HEAD_BYTES = 16_384  # the marks of an edge page stand near its top


class Refusal(msgspec.Struct, frozen=True):
    """A refusal, taken apart. It can come as an HTTP answer or inside a frame."""

    status: int | None
    headers: HeaderView
    error: Json
    """The object that holds message and resets."""
    names: tuple[str, ...]
    page: str = ""
    """The lower-case head of a body that is HTML."""
    said: str = ""
    """Its message: never kept or logged."""

    __repr__ = silent("headers", "error", "page", "said")


class Ends(Enum):
    """Where a row's end is read."""

    UNSAID = "unsaid"
    RETRY_AFTER = "retry-after"
    QUOTA = "quota"
    """`resets_at`, else `resets_in_seconds`, else the spent windows of the headers, else `Retry-After`."""
    THROTTLE = "throttle"
    """`try again in 1.5s` of the message, else `Retry-After`."""


class Row(msgspec.Struct, frozen=True):
    """One row of the table. What is left out fits everything."""

    kind: OutcomeKind
    code: str = ""
    """Of the outcome; empty: the name that fitted."""
    names: tuple[str, ...] = ()
    statuses: Container[int] | None = None
    test: Callable[[Refusal, datetime], bool] | None = None
    ends: Ends = Ends.UNSAID
    reach: ScopeKind = ScopeKind.ACCOUNT
    """What it is about at least. MODEL: the one that the message names, else the request's. BUCKET: everything that
    such a login serves, so that the account rests, and is asked again; nobody has to put it right here."""
    nameless: bool = False
    """It may be about where we come from (codex.md 3.3), unless something in the answer is the account's own."""
    whose: About | None = None
    """Where it is another's than refusals of its kind usually are."""


def _edge(refusal: Refusal, now: datetime) -> bool:
    """A Cloudflare page or challenge: it is about where we come from, not about the account."""
    return _challenged(refusal, now) or "just a moment" in refusal.page or "cloudflare" in refusal.page


def _challenged(refusal: Refusal, now: datetime) -> bool:
    return "cf-mitigated" in refusal.headers


def _lacks_model(refusal: Refusal, now: datetime) -> bool:
    return _NO_MODEL.match(refusal.said) is not None


def _spent(refusal: Refusal, now: datetime) -> bool:
    own = is_additional(refusal.headers)
    return any(spent(w) and (own or is_main(w)) for w in windows_of_headers(refusal.headers, now))


def _reached(refusal: Refusal, now: datetime) -> bool:
    """The header names which limit of the account or of its workspace was reached (codex.md 3.3)."""
    return refusal.headers.get("x-codex-rate-limit-reached-type", "").endswith(_REACHED)


_K = OutcomeKind
_OWN = frozenset({_K.QUOTA_SPENT, _K.RATE_LIMITED, _K.NOT_ENTITLED})
"""What may be about no more than what has a bucket of its own."""
TABLE: tuple[Row, ...] = (
    # The edge. 5xx pages are left to the last row but one: they are outages more often than blocks.
    Row(_K.OVERLOADED, "edge-blocked", statuses=(403, 429), test=_edge, ends=Ends.RETRY_AFTER, whose=About.EGRESS),
    Row(_K.OVERLOADED, "edge-blocked", statuses=(503,), test=_challenged, ends=Ends.RETRY_AFTER, whose=About.EGRESS),
    # The account, by name: these come with several statuses, and inside frames with none.
    Row(_K.REVOKED, names=GONE),
    Row(_K.QUOTA_SPENT, names=("usage_limit_reached",), ends=Ends.QUOTA),
    Row(_K.QUOTA_SPENT, names=("insufficient_quota", "organization_spend_limit_exceeded"), ends=Ends.QUOTA),
    Row(_K.NOT_ENTITLED, names=("usage_not_included",)),
    # An administrator can allow it at any time, and it is said of people who have access (lidge-jun/opencodex issues
    # 1789, 2046; openai/codex issue 24495).
    Row(
        _K.NOT_ENTITLED,
        names=("codex_workspace_access_denied", "invalid_workspace_selected"),
        reach=ScopeKind.BUCKET,
    ),
    Row(_K.RATE_LIMITED, names=("rate_limit_exceeded",), ends=Ends.THROTTLE),
    Row(_K.CARRIER, names=("invalid_encrypted_content",)),
    Row(_K.UNAUTHORIZED, names=("token_expired", "token_invalidated", "token_revoked")),
    # The service, by name.
    Row(_K.OVERLOADED, names=("server_is_overloaded", "slow_down"), ends=Ends.RETRY_AFTER),
    # The model. Another account may have it.
    Row(_K.NOT_ENTITLED, MODEL_NOT_SUPPORTED, statuses=(400, 401), test=_lacks_model, reach=ScopeKind.MODEL),
    # The client's own affair: it reconnects by itself and sends everything again (codex.md 5).
    Row(
        _K.CLIENT_ERROR,
        names=("websocket_connection_limit_reached", "previous_response_not_found"),
        whose=About.CLIENT,
    ),
    # By status.
    Row(_K.UNAUTHORIZED, "unauthorized", statuses=(401,)),
    Row(
        _K.CLIENT_ERROR, "upgrade-refused", statuses=(426,), whose=About.CLIENT
    ),  # the client goes on over HTTPS by itself
    # A 429 without a name whose headers show the window empty (the capture of codex.md 3.1 is one).
    Row(_K.QUOTA_SPENT, "usage_limit_reached", statuses=(429,), test=_spent, ends=Ends.QUOTA),
    Row(_K.QUOTA_SPENT, "usage_limit_reached", statuses=(429,), test=_reached, ends=Ends.QUOTA),
    Row(_K.RATE_LIMITED, "rate-limited", statuses=(429,), ends=Ends.THROTTLE, nameless=True),
    Row(_K.SERVER_ERROR, "server-error", statuses=range(500, 600), ends=Ends.RETRY_AFTER),
    Row(_K.SERVER_ERROR, "server-error", names=("server_error", "internal_server_error")),
    # 402 and 403 of other kinds may be a refusal of the person: the editor reads them, nobody else is asked.
)


ABOUT: Mapping[str, About] = MappingProxyType(
    {
        code: Outcome(row.kind, code, Scope(row.reach), whose=row.whose).about
        for row in reversed(TABLE)
        for code in ((row.code,) if row.code else row.names)
    }
)
"""Whose affair each code is that `classify` gives."""


def classify(facts: RequestFacts, reply: HttpReply, now: datetime) -> Outcome:
    """What a whole answer means. Its body is the decoded one."""
    if reply.status < 400:
        return OK
    fields = read_object(reply.body)
    page = ""
    if not fields and reply.body.lstrip()[:1] == b"<":
        page = reply.body[:_HTML_HEAD_BYTES].decode("utf-8", "replace").lower()
    refusal = Refusal(reply.status, reply.headers, mapping(fields.get("error")), _names(fields), page, _said(fields))
    return judge(facts, refusal, now)


def classify_frame(
    facts: RequestFacts, fields: Json, status: int | None, headers: HeaderView, now: datetime
) -> Outcome:
    """What the refusal inside a frame means; `fields` is the object that has the `error`.

    It comes from behind the door: the address was let in, so it is never about that.
    """
    refusal = Refusal(status, headers, mapping(fields.get("error")), _names(fields), said=_said(fields))
    return replace(judge(facts, refusal, now), anonymous=False)


def judge(facts: RequestFacts, refusal: Refusal, now: datetime) -> Outcome:
    """Apply the table; what it does not know is the request's own fault, and the editor reads it."""
    for row in TABLE:
        code = _fits(row, refusal, now)
        if code is not None:
            scope = _scope(facts, row, refusal, now)
            until = _until(row.ends, refusal, now)
            anonymous = row.nameless and until is None and not _says_whose(refusal, now)
            concurrent = row.kind is _K.RATE_LIMITED and _at_once(refusal)
            name = _unknown(refusal) if row.nameless and not concurrent else ""
            return Outcome(
                row.kind,
                f"{UNKNOWN}{name}" if name else code,
                scope,
                until,
                concurrent=concurrent,
                anonymous=anonymous and not concurrent,
                whose=row.whose,
                status=refusal.status if name else None,
            )
    bare = "refused" if refusal.status is None else f"http-{refusal.status}"
    return Outcome(_K.CLIENT_ERROR, f"{UNKNOWN}{_unknown(refusal) or bare}", status=refusal.status)


def _unknown(refusal: Refusal) -> str:
    """What a refusal that no row names calls itself, where that can stand in a log and says more than its status."""
    codes = (stable_code(name) for name in refusal.names)
    return next((code for code in codes if code and code not in GENERIC), "")


def _fits(row: Row, refusal: Refusal, now: datetime) -> str | None:
    """The outcome's code where the row fits."""
    if row.statuses is not None and refusal.status not in row.statuses:
        return None
    name = next((n for n in refusal.names if n in row.names), "")
    if row.names and not name:
        return None
    if row.test is not None and not row.test(refusal, now):
        return None
    return row.code or name


def _at_once(refusal: Refusal) -> bool:
    """Whether it is about requests at the same time. No capture shows one; so it would have to be said."""
    return any("concurren" in each.lower() for each in (*refusal.names, refusal.said))


def _says_whose(refusal: Refusal, now: datetime) -> bool:
    """Whether a code that could be an account's, or an account's quota, comes with it."""
    return bool(_unknown(refusal) or windows_of_headers(refusal.headers, now))


def _names(fields: Json) -> tuple[str, ...]:
    error = fields.get("error")
    inner, detail = mapping(error), mapping(fields.get("detail"))
    stated = (inner.get("code"), inner.get("type"), error, fields.get("code"), detail.get("code"))
    return tuple(name for value in stated if (name := text(value)) is not None)


def _said(fields: Json) -> str:
    return text(mapping(fields.get("error")).get("message")) or text(fields.get("detail")) or ""


def _scope(facts: RequestFacts, row: Row, refusal: Refusal, now: datetime) -> Scope:
    """As far as the row reaches; or the request's model, where its additional limit is empty and not the main one."""
    if row.reach is ScopeKind.MODEL:
        named = _NO_MODEL.match(refusal.said)
        return Scope(ScopeKind.MODEL, (named and named[1]) or facts.model or "")
    if row.reach is ScopeKind.BUCKET:
        return Scope(ScopeKind.BUCKET, str(facts.needs[0]))
    windows = windows_of_headers(refusal.headers, now)
    main = [w for w in windows if is_main(w)]
    bucket = OWN_BUCKETS.get(facts.route.name)
    if bucket is not None and row.kind in _OWN and not any(map(spent, main)):
        return Scope(ScopeKind.BUCKET, bucket)
    if row.ends is not Ends.QUOTA:
        return WHOLE_ACCOUNT
    others_spent = any(spent(w) and not is_main(w) for w in windows)
    own = is_additional(refusal.headers) or (main and others_spent and not any(map(spent, main)))
    if facts.model and own:
        return Scope(ScopeKind.MODEL, facts.model)
    return WHOLE_ACCOUNT


def _until(ends: Ends, refusal: Refusal, now: datetime) -> datetime | None:
    if ends is Ends.UNSAID:
        return None
    if ends is Ends.QUOTA:
        stated = moment(refusal.error.get("resets_at"), now)
        stated = stated or after(refusal.error.get("resets_in_seconds"), now)
        stated = stated or spent_until(windows_of_headers(refusal.headers, now), now)
    else:
        stated = _throttle(refusal, now) if ends is Ends.THROTTLE else None
    return stated or retry_after(refusal.headers, now)


def _throttle(refusal: Refusal, now: datetime) -> datetime | None:
    found = _TRY_AGAIN.search(refusal.said)
    if found is None:
        return None
    seconds = float(found[1]) / (1000.0 if found[2].lower() == "ms" else 1.0)
    return after(seconds, now)
