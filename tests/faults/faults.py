"""What goes wrong. Of the two accounts of a cell it goes wrong on the first one; or on both, where that is said."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from tests.upstream.doors import Door

Doing = Mapping[str, Any] | Door
"""A behaviour of the fakes, or a door at which the account is served."""


class Wire(Enum):
    """How the editor asks, and when it goes wrong."""

    HTTP1 = "HTTP/1.1"
    HTTP2 = "HTTP/2"
    HANDSHAKE = "handshake"
    """Of a WebSocket."""
    TURN = "turn"
    """On an open WebSocket."""


HTTP = (Wire.HTTP1, Wire.HTTP2)
ANSWER = (*HTTP, Wire.HANDSHAKE)
"""Wherever an HTTP answer is waited for."""
ALL = (*ANSWER, Wire.TURN)
ONLY_HTTP1, ONLY_HTTP2 = (Wire.HTTP1,), (Wire.HTTP2,)
ONLY_HANDSHAKE, ONLY_TURN = (Wire.HANDSHAKE,), (Wire.TURN,)


@dataclass(frozen=True, slots=True, eq=False)
class Fault:
    """One thing that goes wrong."""

    name: str
    words: str
    """For the README."""
    wires: tuple[Wire, ...]
    codex: Doing | None
    copilot: Doing | None
    """None: this provider has no such thing."""
    everybody: bool = False
    """It goes wrong on both accounts."""
    whole: bool = False
    """The request asks for no stream."""
    warm: bool = False
    """Its connection has carried a request that went well."""
    second: bool = False
    """It goes wrong in the second turn of a socket, which goes on where the first one ended."""
    listens: bool = False
    """The socket's client waits for what comes behind the answer."""
    rests: bool = False
    """Behind the answer the account is found limited by somebody else."""
    alone: bool = False
    """It is about the network address: such cells come one after the other, the pool forgets in between."""


def _same(name: str, words: str, wires: tuple[Wire, ...], doing: Doing, **more: bool) -> Fault:
    return Fault(name, words, wires, doing, doing, **more)


def _codex(name: str, words: str, wires: tuple[Wire, ...], doing: Doing, **more: bool) -> Fault:
    return Fault(name, words, wires, doing, None, **more)


def _copilot(name: str, words: str, wires: tuple[Wire, ...], doing: Doing, **more: bool) -> Fault:
    return Fault(name, words, wires, None, doing, **more)


def _says(status: int, error: Mapping[str, Any] | str | None, **more: Any) -> dict[str, Any]:
    body: object = error if isinstance(error, str) else {"error": error} if error is not None else None
    return {"kind": "status", "status": status, "body": body, **more}


_HTML = {"content-type": "text/html"}
_JSON = {"content-type": "application/json"}
_SSE = {"content-type": "text/event-stream"}
_FOR_GOOD = 10**9
_NOT_ADMITTED = "You are not authorized to access this model."
_LONG = "x" * 100_000

CONNECTING = (
    _same("nowhere", "the host's name does not resolve", ANSWER, Door.NOWHERE),
    _same("refused", "the connection is refused", ANSWER, Door.REFUSED),
    _same("silent", "nobody answers the connection", ANSWER, Door.SILENT),
    _same("tls-mute", "nobody answers in TLS", ANSWER, Door.MUTE),
    _same("tls-reset", "the connection is reset in TLS", ANSWER, Door.SLAMMED),
    _same("tls-plain", "the other side does not speak TLS", ANSWER, Door.PLAIN),
    _same("tls-stranger", "the certificate is nobody's that is trusted", ANSWER, Door.STRANGER),
    _same("refused-all", "the connection is refused, for every account", ANSWER, Door.REFUSED, everybody=True),
)

BEFORE_THE_HEAD = (
    _same("closed", "the connection is closed before an answer", ANSWER, {"kind": "close"}),
    _same("reset", "the connection is reset before an answer", ANSWER, {"kind": "reset"}),
    _same("hang", "no answer comes", ANSWER, {"kind": "hang"}),
    _same("warm-closed", "a kept connection is closed when it is used", HTTP, {"kind": "close"}, warm=True),
    _same("warm-reset", "a kept connection is reset when it is used", HTTP, {"kind": "reset"}, warm=True),
    _same("goaway", "GOAWAY, the request not touched", ONLY_HTTP2, {"kind": "goaway"}),
    _same("goaway-late", "GOAWAY, the request taken", ONLY_HTTP2, {"kind": "goaway_late"}),
    _same("refused-stream", "REFUSED_STREAM", ONLY_HTTP2, {"kind": "refused_stream"}),
)

IN_THE_HEAD = (
    _same("half-head-closed", "closed within the head", ANSWER, {"kind": "half_head"}),
    _same("half-head-reset", "reset within the head", ANSWER, {"kind": "half_head", "end": "reset"}),
    _same("half-head-hang", "silence within the head", ANSWER, {"kind": "half_head", "end": "hang"}),
    _same("bad-head", "a head that is malformed", ANSWER, {"kind": "bad_head"}),
    _same("junk", "something else than HTTP", ANSWER, {"kind": "junk"}),
    _same("lengths", "two lengths in one head", ONLY_HTTP1, {"kind": "ok", "headers": {"content-length": "7"}}),
    _same("bad-field", "a name of a field with a blank in it", ONLY_HTTP1, {"kind": "ok", "headers": {"no name": "x"}}),
    _same("long-field", "a field of 100 kB", HTTP, {"kind": "ok", "headers": {"x-long": _LONG}}),
)

LIMITS = (
    _codex("spent", "429 `usage_limit_reached`", ALL, {"kind": "usage_limit"}),
    _codex("spent-all", "429 `usage_limit_reached`, on every account", ALL, {"kind": "usage_limit"}, everybody=True),
    _codex(
        "spent-no-name",
        "429 whose headers show the window empty",
        ANSWER,
        {"kind": "usage_limit", "body": {"detail": "Too Many Requests"}},
    ),
    _codex("short", '429 `rate_limit_exceeded`, "try again in 1.5s"', ALL, {"kind": "rate_limited"}),
    _codex("no-codex", "429 `usage_not_included`", ALL, {"kind": "not_included"}),
    _codex("billing", "429 `insufficient_quota`", ANSWER, _says(429, {"code": "insufficient_quota"})),
    _copilot("spent", "429 `user_global_rate_limited`", ALL, {"kind": "usage_limit", "retry_after": 3600}),
    _copilot(
        "spent-all",
        "429 `user_global_rate_limited`, on every account",
        ALL,
        {"kind": "usage_limit", "retry_after": 3600},
        everybody=True,
    ),
    _copilot(
        "weekly",
        "429 `user_weekly_rate_limited`",
        ALL,
        _says(429, {"code": "user_weekly_rate_limited:pro"}, retry_after=9000),
    ),
    _copilot("model", "429 `user_model_rate_limited`", ALL, _says(429, {"code": "user_model_rate_limited"})),
    _copilot("agents", "429 `agent_mode_limit_exceeded`", ALL, _says(429, {"code": "agent_mode_limit_exceeded"})),
    _copilot("integrator", "429 `integration_rate_limited`", ALL, _says(429, {"code": "integration_rate_limited"})),
    _copilot("model-busy", "429 `model_overloaded`", ALL, _says(429, {"code": "model_overloaded"})),
    _copilot(
        "extension",
        "429 `extension_blocked`",
        ANSWER,
        _says(429, {"code": "extension_blocked", "type": "rate_limit_error"}),
    ),
    _copilot(
        "raw", "429 in the words of a model's maker", ANSWER, _says(429, {"code": 429, "status": "RESOURCE_EXHAUSTED"})
    ),
    _same("timed", "429 with nothing but `Retry-After`", ANSWER, _says(429, "", retry_after=30)),
    _same("nameless", "429 with neither a name nor a time", ANSWER, _says(429, ""), alone=True),
    _same("address", "429 with neither, on every account", ANSWER, _says(429, ""), everybody=True, alone=True),
    _same(
        "malformed-429",
        "429 with malformed JSON",
        ANSWER,
        _says(429, '{"error": {"code', headers=_JSON, retry_after=30),
    ),
    _same("cut-429", "429 that is cut in its body", ANSWER, _says(429, {"code": "x"}, cut_at=9, retry_after=30)),
    _same(
        "reset-429",
        "429 that is reset in its body",
        ANSWER,
        _says(429, {"code": "x"}, cut_at=9, retry_after=30, end="reset"),
    ),
    _same(
        "hang-429",
        "429 with silence in its body",
        ANSWER,
        _says(429, {"code": "x"}, cut_at=9, retry_after=30, end="hang"),
    ),
)

REFUSALS = (
    _same("stale", "401, and a renewed token is good", ANSWER, {"kind": "unauthorized", "first": 1}),
    _same("unauthorized", "401, whatever is renewed", ANSWER, {"kind": "unauthorized"}),
    _same(
        "unauthorized-all",
        "401, whatever is renewed, on every account",
        ANSWER,
        {"kind": "unauthorized"},
        everybody=True,
    ),
    _same("cut-401", "401 that is cut in its body", ANSWER, {"kind": "unauthorized", "cut_at": 9}),
    _copilot("selector", "401 `Invalid auto-mode selector`", ANSWER, {"kind": "selector"}),
    _copilot("item-id", "401 about an item of another account", ANSWER, {"kind": "item_id"}),
    _copilot(
        "consent",
        "401 that asks for consent",
        ANSWER,
        _says(401, {"message": "x", "authorize_url": "https://example.com"}),
    ),
    _codex("deactivated", "401 `account_deactivated`", ANSWER, _says(401, {"code": "account_deactivated"})),
    _codex("workspace", "402 `deactivated_workspace`", ANSWER, {"kind": "payment"}),
    _codex("admission", "401 `not authorized to access this model`", HTTP, _says(401, {"message": _NOT_ADMITTED})),
    _codex(
        "access",
        "403 `codex_workspace_access_denied`",
        ANSWER,
        {"kind": "status", "status": 403, "body": {"detail": {"code": "codex_workspace_access_denied"}}},
    ),
    _codex("payment", "402 of another kind", ANSWER, _says(402, {"code": "payment_required"})),
    _copilot("month", "402 `quota_exceeded`", ALL, {"kind": "payment"}),
    _copilot(
        "month-text",
        "429 that says `quota exceeded`, and no more",
        ANSWER,
        _says(429, "quota exceeded\n", headers={"x-ratelimit-exceeded": "quota_exceeded"}, retry_after=666518),
    ),
    _copilot("budget", "402 `overage_limit_reached`", ALL, _says(402, {"code": "overage_limit_reached"})),
    _copilot("licences", "402 `billing_not_configured`", ALL, _says(402, {"code": "billing_not_configured"})),
    _copilot("own-cap", "402 `session_quota_exceeded`", ALL, _says(402, {"code": "session_quota_exceeded"})),
    _codex("forbidden", "403 without a name", ANSWER, {"kind": "forbidden"}),
    _same("edge", "403, a page of Cloudflare's", ANSWER, {"kind": "cloudflare"}),
    _copilot("unlicensed", "403 `not licensed to use Copilot`", ANSWER, {"kind": "not_included"}),
    _copilot("feature", "403 `not authorized to use this Copilot feature`", ANSWER, {"kind": "forbidden"}),
    _copilot(
        "policy", "403 of a model's policy", HTTP, _says(403, {"message": "access to this model is disabled by policy"})
    ),
    _copilot("terms", "403 that tells of the terms of service", ANSWER, _says(403, {"message": "Terms of Service"})),
    _copilot("content", "403 of a content filter", ANSWER, _says(403, {"code": "content_filter"})),
    _same("misdirected", "421, and looking up the endpoints mends it", ANSWER, {"kind": "misdirected", "first": 1}),
    _same("misdirected-on", "421, whatever is looked up", ANSWER, {"kind": "misdirected"}),
    _same("cipher", "400 `invalid_encrypted_content`", ANSWER, {"kind": "invalid_encrypted"}),
    _same("no-model", "400, the model is not there", HTTP, {"kind": "model_not_supported", "model": "gpt-x"}),
    _same("not-found", "404", ANSWER, _says(404, {"message": "Not Found"})),
    _same("too-large", "413", HTTP, _says(413, {"message": "Payload Too Large"})),
    _same("unprocessable", "422", HTTP, _says(422, {"message": "Unprocessable"})),
    _same("upgrade", "426", ONLY_HANDSHAKE, _says(426, {"message": "Upgrade Required"})),
)

SERVICE = (
    _same("500", "500", ANSWER, {"kind": "server_error"}),
    _same("500-once", "500, and then an answer", ANSWER, {"kind": "server_error", "first": 1}),
    _same("502", "502, a page of the edge's", ANSWER, _says(502, "<html>Bad gateway</html>", headers=_HTML)),
    _same("503", "503, overloaded", ALL, {"kind": "overloaded"}),
    _same("529", "529", ANSWER, _says(529, {"message": "Overloaded"})),
    _same("200", "the handshake is answered with 200", ONLY_HANDSHAKE, _says(200, "fine")),
    _same("no-proof", "the handshake's proof is wrong", ONLY_HANDSHAKE, {"kind": "ok", "accept": False}),
)

_SPENT_CODEX = {"kind": "failed", "code": "usage_limit_reached"}
_SPENT_COPILOT = {"kind": "failed", "code": "user_global_rate_limited"}

IN_THE_ANSWER = (
    _same("first-event", "the first event is a failure", (*HTTP, Wire.TURN), {"kind": "failed"}),
    _same("first-event-once", "the first event is a failure, and then an answer", HTTP, {"kind": "failed", "first": 1}),
    Fault("first-spent", "the first event is a failure: a limit", (*HTTP, Wire.TURN), _SPENT_CODEX, _SPENT_COPILOT),
    Fault(
        "first-spent-all",
        "the first event is a failure: a limit, on every account",
        HTTP,
        _SPENT_CODEX,
        _SPENT_COPILOT,
        everybody=True,
    ),
    Fault(
        "first-busy",
        "the first event is a failure: overloaded",
        HTTP,
        {"kind": "failed", "code": "server_is_overloaded"},
        {"kind": "failed", "code": "model_overloaded"},
    ),
    _same("first-cut", "cut after the first event, which says nothing", HTTP, {"kind": "cut", "after": 0}),
    _same("first-stall", "silence after the first event, which says nothing", HTTP, {"kind": "stall", "after": 0}),
    _same("later-event", "a failure after some output", (*HTTP, Wire.TURN), {"kind": "failed", "after": 2}),
    Fault(
        "later-limit",
        "a failure after some output: a limit",
        HTTP,
        {**_SPENT_CODEX, "after": 2},
        {**_SPENT_COPILOT, "after": 2},
    ),
    _same("cut", "cut after some output", (*HTTP, Wire.TURN), {"kind": "cut", "after": 2}),
    _same("cut-reset", "reset after some output", (*HTTP, Wire.TURN), {"kind": "cut", "after": 2, "end": "reset"}),
    _same("truncated", "ends after some output without its last event", HTTP, {"kind": "truncated", "after": 2}),
    _same("stall", "silence after some output", (*HTTP, Wire.TURN), {"kind": "stall", "after": 2}),
    _same("leave", "GOAWAY after some output, and the rest", ONLY_HTTP2, {"kind": "leave", "after": 2}),
    _same("drip", "byte by byte", (*HTTP, Wire.TURN), {"kind": "ok", "piece": 7, "gap_ms": 3}),
    _same("slow", "longer than any limit of ours", (*HTTP, Wire.TURN), {"kind": "ok", "deltas": 11, "gap_ms": 450}),
    _same(
        "malformed-sse",
        "events that are malformed",
        HTTP,
        {"kind": "ok", "body": 'data: {"a\n\ndata\n\n:::\n', "headers": _SSE},
    ),
    _same(
        "malformed-json", "malformed JSON", HTTP, {"kind": "ok", "body": '{"choices": [', "headers": _JSON}, whole=True
    ),
    _same("empty", "an answer without a body", HTTP, {"kind": "ok", "body": "", "headers": _JSON}, whole=True),
    _same("cut-json", "JSON that is cut", HTTP, {"kind": "ok", "cut_at": 20}, whole=True),
    _same("reset-json", "JSON that is reset", HTTP, {"kind": "ok", "cut_at": 20, "end": "reset"}, whole=True),
    _same(
        "too-short",
        "less than the announced length",
        HTTP,
        {"kind": "ok", "length": 100_000, "cut_at": _FOR_GOOD},
        whole=True,
    ),
    _same("too-long", "more than the announced length", HTTP, {"kind": "ok", "length": 9}, whole=True),
)


def _closes(code: int) -> Fault:
    return _same(f"close-{code}", f"closed with {code}", ONLY_TURN, {"kind": "close_code", "code": code, "after": 2})


def _leaves(code: int) -> dict[str, Any]:
    return {"kind": "ok", "close_after": True, "code": code}


ON_A_SOCKET = (
    _same("frame-401", "a frame that says 401", ONLY_TURN, _says(401, {"code": "token_expired"})),
    _same("frame-500", "a frame that says 500", ONLY_TURN, {"kind": "server_error"}),
    _same("frame-unknown", "a frame that says something unknown", ONLY_TURN, _says(418, {"code": "teapot"})),
    _same("later-spent", "a limit after some output", ONLY_TURN, {"kind": "usage_limit", "after": 2}),
    _codex(
        "sixty",
        "`websocket_connection_limit_reached`",
        ONLY_TURN,
        _says(400, {"code": "websocket_connection_limit_reached"}),
    ),
    _same("turn-closed", "closed before anything", ONLY_TURN, {"kind": "close"}),
    _same("turn-reset", "reset before anything", ONLY_TURN, {"kind": "reset"}),
    _same("turn-hang", "silence", ONLY_TURN, {"kind": "hang"}),
    *(_closes(code) for code in (1000, 1001, 1008, 1009, 1011, 1012, 1013, 4000)),
    _same("first-1011", "closed with 1011 before anything", ONLY_TURN, {"kind": "close_code", "code": 1011}),
    _same("second-spent", "a limit in the second turn", ONLY_TURN, {"kind": "usage_limit"}, second=True),
    _same("between-rests", "a limit met by another request, between two turns", ONLY_TURN, {"kind": "ok"}, rests=True),
    _same("between-1001", "closed with 1001 between two turns", ONLY_TURN, _leaves(1001), listens=True),
    _same("between-cut", "cut between two turns", ONLY_TURN, _leaves(1006), listens=True),
    _same("garbled", "a frame that is none", ONLY_TURN, {"kind": "garbled", "after": 2}),
    _same("malformed-frame", "a message that is malformed JSON", ONLY_TURN, {"kind": "ok", "body": '{"type": "resp'}),
)

GROUPS: Mapping[str, tuple[Fault, ...]] = {
    "Connecting": CONNECTING,
    "Before the answer's head": BEFORE_THE_HEAD,
    "In the answer's head": IN_THE_HEAD,
    "Limits": LIMITS,
    "Other refusals": REFUSALS,
    "The service": SERVICE,
    "In the answer": IN_THE_ANSWER,
    "On an open WebSocket": ON_A_SOCKET,
}


def plain(doing: Mapping[str, Any]) -> dict[str, Any]:
    """A copy that can be written as JSON."""
    copied: dict[str, Any] = json.loads(json.dumps(doing))
    return copied
