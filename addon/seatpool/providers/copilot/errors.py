"""What a refusal means (copilot.md 5.4), by status, code prefix and text. The table is the whole story.

Codes carry a `:sku` suffix upstream; it is cut off before anything is compared. The first row that fits wins.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from types import MappingProxyType

import msgspec
from msgspec.structs import replace

from seatpool.core.model import WHOLE_ACCOUNT, CredentialKind, Scope, ScopeKind
from seatpool.core.outcome import OK, UNKNOWN, About, Outcome, OutcomeKind
from seatpool.core.quotas import CHAT
from seatpool.core.silence import silent
from seatpool.providers.base import RequestFacts
from seatpool.providers.copilot import quota
from seatpool.providers.copilot.wire import retry_after, text
from seatpool.providers.http import Headers, HeaderView, HttpReply
from seatpool.providers.tolerant import GENERIC, Json, mapping, read_json, stable_code


class Reach(Enum):
    """How far a refusal reaches."""

    ACCOUNT = "account"
    MODEL = "model"
    """The request's model; one that is not known (WebSocket handshakes name none) limits nothing."""
    BUCKET = "bucket"
    """Chat or completions, whichever the request drew on."""
    PRICED = "priced"
    """Of chat the request's model, since those that the plan includes are served all the same; else as BUCKET, which
    holds as well where the model is not known."""
    LIMITER = "limiter"
    """What `x-ratelimit-exceeded` names: chat alone, else the account."""
    KIND = "kind"
    """The kind of credential that the request came with: editors and the CLI have one each, and a policy each."""


class Mark(Enum):
    """Signs of a refusal beside its code."""

    CONSENT = "consent"
    """`authorize_url`: a remote agent wants the person's consent."""
    DETAILS = "details"
    """`error_details`: the account has no access (copilot.md 2.4)."""
    AT_ONCE = "at-once"
    """Requests at the same time, or in a second (copilot.md 5.1: `...user-tps...`)."""
    CROWDED = "crowded"
    """The same by the limiter's name, which knows better than a code that stands for limits of hours as well."""
    FIVE_HOURS = "five-hours"
    WEEK = "week"
    QUOTA = "quota"


_SAID = "concurren"
_LIMITERS = (
    (("user-tps", _SAID), Mark.CROWDED),
    (("5-hour", "five-hour"), Mark.FIVE_HOURS),
    (("week", "7-day"), Mark.WEEK),
    (("quota_exceeded",), Mark.QUOTA),
)
_SPENT_QUOTA = "quota exceeded"
"""All that is said to ghost text, and in chat to some clients (anomalyco/opencode#17682)."""
_ADDRESS = re.compile(r"https?://[^\s)>\]\"']*")
"""Of a page that explains: its path names policies that the refusal is not about."""
_LONGEST_TEXT = 2000
"""Characters of a message that are looked at: the known texts stand at its beginning."""


class Refusal(msgspec.Struct, frozen=True):
    """A refusal, taken apart. Lives for one classification; its text is never kept or logged."""

    status: int
    name: str = ""
    """Code without its suffix."""
    text: str = ""
    marks: frozenset[Mark] = frozenset()
    limiter: str = ""
    notification: str = ""

    __repr__ = silent("text")

    @property
    def code(self) -> str:
        """What it calls itself, else its status."""
        return self.name or f"http-{self.status}"


class Row(msgspec.Struct, frozen=True):
    """One row: fits when the status is listed (empty: any) and a name, text or mark fits (all empty: any)."""

    kind: OutcomeKind
    statuses: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    """Parts of the message, in lower case, without backticks and addresses."""
    together: tuple[str, ...] = ()
    """The same, of which all must be there."""
    marks: tuple[Mark, ...] = ()
    code: str = ""
    """Outcome's code; empty: the name itself."""
    reach: Reach = Reach.ACCOUNT
    whose: About | None = None
    """Where it is another's than refusals of its kind usually are."""
    brief: bool = False
    """Worth asking the same account once more after a short pause."""

    def fits(self, refusal: Refusal) -> bool:
        if self.statuses and refusal.status not in self.statuses:
            return False
        return (
            not (self.names or self.texts or self.together or self.marks)
            or refusal.name in self.names
            or any(part in refusal.text for part in self.texts)
            or bool(self.together and all(part in refusal.text for part in self.together))
            or any(mark in refusal.marks for mark in self.marks)
        )


_CARRIER, _CLIENT = OutcomeKind.CARRIER, OutcomeKind.CLIENT_ERROR
_SPENT, _LIMITED, _OVERLOADED = OutcomeKind.QUOTA_SPENT, OutcomeKind.RATE_LIMITED, OutcomeKind.OVERLOADED

NO_FEATURE = "feature-policy"
NO_POLICY = "model-policy"
NO_MODEL = "model_not_supported"
AUTO_MODE = "auto-mode-selector"
ITEM_ID = "item-id"

_THROTTLE = Row(_LIMITED, (429,), code="rate_limited", reach=Reach.LIMITER, brief=True)
"""A 429 that nothing else is known of."""

TABLE: tuple[Row, ...] = (
    # What only another account can read. Renewing a token mends none of it (copilot.md 0.3, 4).
    Row(_CARRIER, (401,), texts=("invalid auto-mode selector",), code=AUTO_MODE),
    Row(_CARRIER, (400, 401), texts=("input item id does not belong",), code=ITEM_ID),
    Row(
        _CARRIER,
        (400,),
        names=("invalid_encrypted_content",),
        texts=("encrypted content could not be decrypted", "encrypted function output content could not be decrypted"),
        code="invalid_encrypted_content",
    ),
    Row(_CARRIER, (400,), texts=("invalid signature in thinking block",), code="thinking-signature"),
    Row(_CARRIER, (400, 404), names=("previous_response_not_found",)),
    Row(_CARRIER, (400, 403, 404, 422), names=("vision_attachment_not_accessible",)),
    # The token.
    Row(_CLIENT, (401,), marks=(Mark.CONSENT,), code="authorize-url"),
    Row(OutcomeKind.UNAUTHORIZED, (401,), code="unauthorized"),
    Row(OutcomeKind.MISDIRECTED, (421,), code="misdirected"),
    # The month's quota. The CLI's own spend cap is not the account's.
    Row(_CLIENT, (402, 429), names=("session_quota_exceeded",), whose=About.CLIENT),
    Row(_SPENT, (402, 429), names=("free_quota_exceeded",), reach=Reach.BUCKET),
    Row(
        _SPENT,
        (402, 429),
        names=("quota_exceeded",),
        texts=("you have no quota",),
        marks=(Mark.QUOTA,),
        code="quota_exceeded",
        reach=Reach.PRICED,
    ),
    Row(_SPENT, (402,), names=("overage_limit_reached", "additional_spend_limit_reached"), reach=Reach.PRICED),
    Row(_SPENT, (402,), names=("billing_not_configured",)),
    # The seat. A refusal of the content is the request's own and never leads to another account.
    Row(OutcomeKind.REVOKED, (403,), texts=("not licensed to use copilot",), code="not-licensed"),
    Row(OutcomeKind.REVOKED, (403,), marks=(Mark.DETAILS,), code="no-access"),
    Row(
        _CLIENT,
        (403,),
        names=("content_filter",),
        texts=(
            "content filter",
            "content management policy",
            "content policy",
            "usage polic",
            "responsible ai",
            "safety",
        ),
        code="content",
    ),
    # Whoever is told of the terms is told as a person: no other account may answer in the place of that one.
    Row(_CLIENT, (403,), texts=("terms of service", "acceptable use"), code="terms"),
    Row(OutcomeKind.NOT_ENTITLED, (403,), together=("model", "policy"), code=NO_POLICY, reach=Reach.MODEL),
    # The client. No policy allows it, which says nothing of others; and the service says so for half an hour, some
    # times a week, to people whom nobody has taken anything from (github/copilot-cli#1561, #2306).
    Row(
        OutcomeKind.NOT_ENTITLED,
        (403,),
        texts=("not authorized to use this copilot feature",),
        code=NO_FEATURE,
        reach=Reach.KIND,
    ),
    # The model.
    Row(
        OutcomeKind.NOT_ENTITLED,
        (400,),
        names=(NO_MODEL, "no_available_model_endpoints"),
        texts=("requested model is not supported",),
        code=NO_MODEL,
        reach=Reach.MODEL,
    ),
    Row(_CLIENT, (400,), names=("model_not_available_for_integrator",), whose=About.INTEGRATOR),
    Row(_CLIENT, (400,), names=("unsupported_api_for_model",)),
    # Limits that are nobody's on this machine: another account would meet them as well.
    Row(_OVERLOADED, (429, 503), names=("integration_rate_limited",), whose=About.INTEGRATOR),
    Row(_OVERLOADED, (429, 503), names=("model_overloaded", "upstream_provider_rate_limit"), brief=True),
    Row(_OVERLOADED, (429,), names=("extension_blocked",), whose=About.INTEGRATOR),
    Row(
        _OVERLOADED,
        (429,),
        names=("RESOURCE_EXHAUSTED", "insufficient_quota", "rate_limit_error", "overloaded_error"),
        texts=("resource_exhausted", "insufficient_quota"),
        code="provider-limit",
    ),
    # The account's throttles. Those of hours and days are chat's (`global-chat:...`): ghost text goes on meanwhile, and
    # says so itself where it does not. Some are over in seconds (github/copilot-cli#2787).
    Row(_LIMITED, (429,), names=("user_model_rate_limited",), reach=Reach.MODEL),
    Row(_LIMITED, (429,), marks=(Mark.CROWDED,), code="rate_limited", reach=Reach.LIMITER, brief=True),
    Row(_SPENT, (429,), names=("user_global_rate_limited", "user_weekly_rate_limited"), reach=Reach.BUCKET, brief=True),
    Row(_LIMITED, (429,), names=("agent_mode_limit_exceeded",), reach=Reach.BUCKET),
    Row(_SPENT, (429,), marks=(Mark.FIVE_HOURS,), code="user_global_rate_limited", reach=Reach.BUCKET),
    Row(_SPENT, (429,), marks=(Mark.WEEK,), code="user_weekly_rate_limited", reach=Reach.BUCKET),
    _THROTTLE,
    # The rest is for the editor to read, or the service's own trouble.
    Row(_CLIENT, (400,), names=("bad_request", "content_filter")),
    Row(_CLIENT, (404, 413, 422, 424, 499)),
    Row(_CLIENT, (466,), code="client-too-old", whose=About.CLIENT),
    Row(_OVERLOADED, (503,), code="service_unavailable", brief=True),
    Row(OutcomeKind.SERVER_ERROR, tuple(range(500, 600)), code="server-error"),
)

_OF_MODEL = frozenset({Reach.MODEL, Reach.PRICED})

ABOUT: Mapping[str, About] = MappingProxyType(
    {
        code: Outcome(
            row.kind, code, Scope(ScopeKind.MODEL) if row.reach in _OF_MODEL else WHOLE_ACCOUNT, whose=row.whose
        ).about
        for row in reversed(TABLE)
        for code in ((row.code,) if row.code else row.names)
    }
)
"""Whose affair each code is that `classify` gives."""

_RESETS_WITH: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"user_global_rate_limited": (quota.SESSION,), "user_weekly_rate_limited": (quota.WEEKLY,)}
)
"""Windows whose reset ends a refusal; for the others, the buckets that the request drew on."""

_TIMED = frozenset({_SPENT, _LIMITED, _OVERLOADED, OutcomeKind.SERVER_ERROR})

_FRAME_STATUS: Mapping[str, int] = MappingProxyType(
    {name: row.statuses[0] for row in reversed(TABLE) for name in row.names}
    | {
        # as both clients map them (copilot.md 7.1)
        "bad_request": 400,
        "not_found": 404,
        "request_too_large": 413,
        "rate_limited": 429,
        "content_filter": 400,
        "service_unavailable": 503,
        # and the two that a socket's owner can meet by name
        "unauthorized": 401,
        "forbidden": 403,
    }
)
"""Status that a WebSocket frame's code stands for; 500 for every other."""


def classify(facts: RequestFacts, reply: HttpReply, now: datetime) -> Outcome:
    """What a whole answer means."""
    if reply.status < 400:
        return OK
    raw = reply.body[: 64 * 1024]
    document = read_json(raw)
    refusal = _refusal(reply.status, document, raw.decode("utf-8", "replace"), reply.headers)
    return _outcome(refusal, facts, reply.headers, now)


def classify_frame(facts: RequestFacts, document: Json, now: datetime) -> Outcome:
    """What the error of a WebSocket frame means: its code stands for a status, then the same table holds.

    It comes from behind the door: the address was let in, so it is never about that.
    """
    nothing = Headers()
    refusal = _refusal(0, document, "", nothing)
    status = _FRAME_STATUS.get(refusal.name, 500)
    if any(row.kind is _CARRIER and row.fits(replace(refusal, status=400)) for row in TABLE):
        status = 400  # known by its text; its code may be empty, or just say that this is a socket (copilot.md 4)
    named = Refusal(status, refusal.name, refusal.text, refusal.marks, notification=refusal.notification)
    return replace(_outcome(named, facts, nothing, now), anonymous=False)


def _refusal(status: int, document: object, raw: str, headers: HeaderView) -> Refusal:
    """Take `{"error":{...}}`, its inner object alone, a list of one, or plain text apart."""
    if isinstance(document, list) and document:
        document = document[0]
    outer = mapping(document)
    error = outer.get("error")
    inner = mapping(error) or outer
    message = text(inner.get("message")) or text(error) or (raw if not outer else "")
    limiter = headers.get("x-ratelimit-exceeded", "").lower()
    details = mapping(inner.get("error_details")) or mapping(outer.get("error_details"))
    marks = {mark for parts, mark in _LIMITERS if any(part in limiter for part in parts)}
    if Mark.CROWDED in marks or _SAID in f"{_name(inner)} {message[:_LONGEST_TEXT]}".lower():
        marks.add(Mark.AT_ONCE)
    if message.strip().lower() == _SPENT_QUOTA:
        marks.add(Mark.QUOTA)
    if inner.get("authorize_url") or outer.get("authorize_url"):
        marks.add(Mark.CONSENT)
    if details:
        marks.add(Mark.DETAILS)
    return Refusal(
        status=status,
        name=_name(inner),
        text=_ADDRESS.sub("", message[:_LONGEST_TEXT]).replace("`", "").lower(),
        marks=frozenset(marks),
        limiter=limiter,
        notification=stable_code(details.get("notification_id")),
    )


def _name(error: Json) -> str:
    """Copilot's code, else the raw provider's `status` or `type` (some send a number as the code)."""
    for key in ("code", "status", "type"):
        stated = stable_code(text(error.get(key)).partition(":")[0])
        if stated:
            return stated
    return ""


def _outcome(refusal: Refusal, facts: RequestFacts, headers: HeaderView, now: datetime) -> Outcome:
    row = next((row for row in TABLE if row.fits(refusal)), None)
    if row is None:
        return Outcome(_CLIENT, f"{UNKNOWN}{refusal.code}", status=refusal.status)
    code = row.code or refusal.code
    if Mark.DETAILS in row.marks:
        code = refusal.notification or code
    until = _until(row, code, facts, headers, now) if row.kind in _TIMED else None
    concurrent = row.kind is _LIMITED and Mark.AT_ONCE in refusal.marks
    status = None
    if row is _THROTTLE and refusal.name and refusal.name not in GENERIC and not concurrent:
        code, status = f"{UNKNOWN}{refusal.name}", refusal.status
    anonymous = row is _THROTTLE and until is None and not concurrent and not _says_whose(refusal, headers, now)
    return Outcome(
        row.kind,
        code,
        _scope(row.reach, refusal, facts),
        until,
        CredentialKind.COPILOT_SESSION if row.code == AUTO_MODE else None,
        concurrent,
        anonymous,
        brief=row.brief and (until is not None or row.kind is _OVERLOADED),
        whose=row.whose,
        status=status,
    )


def _says_whose(refusal: Refusal, headers: HeaderView, now: datetime) -> bool:
    """Whether a code that could be an account's, its limiter or its quota comes with it."""
    named = refusal.name and refusal.name not in GENERIC
    return bool(named or refusal.limiter or quota.of_headers(headers, now))


def _scope(reach: Reach, refusal: Refusal, facts: RequestFacts) -> Scope:
    bucket = facts.buckets[0] if facts.buckets else ""
    if reach is Reach.MODEL or (reach is Reach.PRICED and facts.model is not None and bucket == CHAT):
        return Scope(ScopeKind.MODEL, facts.model or "")
    if reach is not Reach.ACCOUNT and facts.route.name in quota.OWN_BUCKETS:
        return Scope(ScopeKind.BUCKET, bucket)
    if reach is Reach.KIND:
        return Scope(ScopeKind.BUCKET, str(facts.needs[0]))
    named = reach in (Reach.BUCKET, Reach.PRICED) or (reach is Reach.LIMITER and bucket and bucket in refusal.limiter)
    return Scope(ScopeKind.BUCKET, bucket) if named and bucket else WHOLE_ACCOUNT


def _until(row: Row, code: str, facts: RequestFacts, headers: HeaderView, now: datetime) -> datetime | None:
    """When upstream says that it ends: `retry-after`, else (spent quota) the reset of the window that is empty."""
    told = retry_after(headers, now)
    if told is not None or row.kind is not _SPENT:
        return told
    buckets = _RESETS_WITH.get(code, facts.buckets)
    ends = [
        w.resets_at
        for w in quota.of_headers(headers, now)
        if w.bucket in buckets and w.left <= 0 and w.resets_at is not None and w.resets_at > now
    ]
    return max(ends, default=None)
