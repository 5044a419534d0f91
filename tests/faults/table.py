"""What follows from each fault, as it is. The first of a row's keys that fits a cell counts.

A key names providers (`codex`, `copilot`) and wires (`http`, `http1`, `http2`, `handshake`, `turn`); `every` fits all.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.faults.cells import Cell
from tests.faults.faults import HTTP, Wire


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of a cell; `a` and `b` are its accounts, `a` is asked first."""

    got: str
    """What the client got."""
    sent: str
    """To whom the request was sent, in order: `a a b`."""
    paid: str = ""
    """What it cost an account."""


def _verbatim(status: int, sent: str = "a", paid: str = "") -> Seen:
    return Seen(f"{status} of a", sent, paid)


def _frame(code: str, paid: str = "") -> Seen:
    return Seen(f"error `{code}`", "a", paid)


SERVED = Seen("answer of a", "a")
SERVED_AGAIN = Seen("answer of a", "a a")
NEXT = Seen("answer of b", "a b", "a rests")
NEXT_FOR_CHAT = Seen("answer of b", "a b", "a rests for chat")
AFTER_A_SECOND = Seen("answer of b", "a a b")
FAILED = Seen("502 of ours", "a")
RECONNECT = _frame("websocket_connection_limit_reached", "a rests")

TABLE: Mapping[str, Mapping[str, Seen]] = {
    # Connecting
    "nowhere": {"every": AFTER_A_SECOND},
    "refused": {"every": AFTER_A_SECOND},
    "silent": {"every": AFTER_A_SECOND},
    "tls-mute": {"every": AFTER_A_SECOND},
    "tls-reset": {"every": AFTER_A_SECOND},
    "tls-plain": {"every": AFTER_A_SECOND},
    "tls-stranger": {"every": AFTER_A_SECOND},
    "refused-all": {"every": Seen("502 of ours", "a a b")},
    # Before the answer's head
    "closed": {"handshake": AFTER_A_SECOND, "http": FAILED},
    "reset": {"handshake": AFTER_A_SECOND, "http": FAILED},
    "hang": {"handshake": AFTER_A_SECOND, "http": FAILED},
    "warm-closed": {"every": SERVED_AGAIN},
    "warm-reset": {"every": SERVED_AGAIN},
    "goaway": {"every": AFTER_A_SECOND},
    "goaway-late": {"every": FAILED},
    "refused-stream": {"every": AFTER_A_SECOND},
    # In the answer's head
    "half-head-closed": {"handshake": AFTER_A_SECOND, "http": FAILED},
    "half-head-reset": {"handshake": AFTER_A_SECOND, "http": FAILED},
    "half-head-hang": {"handshake": AFTER_A_SECOND, "http": FAILED},
    "bad-head": {"handshake": AFTER_A_SECOND, "http": FAILED},
    "junk": {"handshake": AFTER_A_SECOND, "http": FAILED},
    "lengths": {"every": FAILED},
    "bad-field": {"every": FAILED},
    "long-field": {"http1": SERVED, "http2": FAILED},
    # Limits
    "spent": {"codex turn": RECONNECT, "codex": NEXT, "copilot": NEXT_FOR_CHAT},
    "spent-all": {
        "codex turn": RECONNECT,
        "copilot turn": Seen("error `user_global_rate_limited:pro`", "a b", "a rests for chat; b rests for chat"),
        "codex handshake": Seen("426 of ours", "a b", "a rests; b rests"),
        "copilot handshake": Seen("429 of ours", "a b", "a rests for chat; b rests for chat"),
        "codex": _verbatim(429, sent="a b", paid="a rests; b rests"),
        "copilot": _verbatim(429, sent="a b", paid="a rests for chat; b rests for chat"),
    },
    "spent-no-name": {"every": NEXT},
    "short": {"codex turn": RECONNECT, "codex": NEXT},
    "no-codex": {
        "codex turn": _frame("websocket_connection_limit_reached", paid="a disabled"),
        "codex": Seen("answer of b", "a b", "a disabled"),
    },
    "billing": {"every": NEXT},
    "weekly": {"every": NEXT_FOR_CHAT},
    "model": {
        "copilot handshake": Seen("answer of b", "a b"),
        "copilot": Seen("answer of b", "a b", "a rests for gpt-x"),
    },
    "agents": {"every": NEXT_FOR_CHAT},
    "integrator": {"copilot turn": _frame("integration_rate_limited"), "copilot": _verbatim(429)},
    "model-busy": {"copilot turn": _frame("model_overloaded"), "copilot": _verbatim(429, sent="a a")},
    "extension": {"every": _verbatim(429)},
    "raw": {"every": _verbatim(429)},
    "timed": {"every": NEXT},
    "nameless": {"every": NEXT},
    "address": {"every": Seen("429 of b", "a b")},
    "malformed-429": {"every": NEXT},
    "cut-429": {"every": NEXT},
    "reset-429": {"every": NEXT},
    "hang-429": {"every": NEXT},
    # Other refusals
    "stale": {"every": SERVED_AGAIN},
    "unauthorized": {"every": Seen("answer of b", "a a b", "a rests")},
    "unauthorized-all": {
        "codex handshake": Seen("426 of ours", "a a b", "a rests"),
        "copilot handshake": Seen("429 of ours", "a a b", "a rests"),
        "http": _verbatim(401, sent="a a b", paid="a rests"),
    },
    "cut-401": {"every": Seen("answer of b", "a a b", "a rests")},
    "selector": {"every": _verbatim(401, sent="a a")},
    "item-id": {"every": _verbatim(401)},
    "consent": {"every": _verbatim(401)},
    "deactivated": {"every": _verbatim(401, paid="a disabled")},
    "workspace": {"every": _verbatim(402, paid="a disabled")},
    "admission": {"every": Seen("answer of b", "a b", "a rests for gpt-x")},
    "access": {"every": Seen("answer of b", "a b", "a rests for codex-oauth")},
    "payment": {"every": _verbatim(402)},
    "month": {
        "handshake": Seen("answer of b", "a b", "a rests for chat"),
        "every": Seen("answer of b", "a b", "a rests for gpt-x"),
    },
    "month-text": {
        "handshake": Seen("answer of b", "a b", "a rests for chat"),
        "every": Seen("answer of b", "a b", "a rests for gpt-x"),
    },
    "budget": {
        "handshake": Seen("answer of b", "a b", "a rests for chat"),
        "every": Seen("answer of b", "a b", "a rests for gpt-x"),
    },
    "licences": {"every": NEXT},
    "own-cap": {"copilot turn": _frame("session_quota_exceeded"), "copilot": _verbatim(402)},
    "forbidden": {"every": _verbatim(403)},
    "edge": {"every": _verbatim(403)},
    "unlicensed": {"every": _verbatim(403, paid="a disabled")},
    "feature": {"every": Seen("answer of b", "a b", "a rests for copilot-token")},
    "policy": {"every": Seen("answer of b", "a b", "a rests for gpt-x")},
    "terms": {"every": _verbatim(403)},
    "content": {"every": _verbatim(403)},
    "misdirected": {"codex": _verbatim(421), "copilot": SERVED_AGAIN},
    "misdirected-on": {"codex": _verbatim(421), "copilot": _verbatim(421, sent="a a")},
    "cipher": {"every": _verbatim(400)},
    "no-model": {"every": Seen("answer of b", "a b", "a rests for gpt-x")},
    "not-found": {"every": _verbatim(404)},
    "too-large": {"every": _verbatim(413)},
    "unprocessable": {"every": _verbatim(422)},
    "upgrade": {"every": _verbatim(426)},
    # The service
    "500": {"every": _verbatim(500, sent="a a")},
    "500-once": {"every": SERVED_AGAIN},
    "502": {"every": _verbatim(502, sent="a a")},
    "503": {
        "codex turn": _frame("server_is_overloaded"),
        "copilot turn": _frame("upstream_provider_rate_limit"),
        "copilot": _verbatim(503, sent="a a"),
        "every": _verbatim(503),
    },
    "529": {"every": _verbatim(529, sent="a a")},
    "200": {"every": _verbatim(200)},
    "no-proof": {"every": Seen("a handshake that it refuses", "a")},
    # In the answer
    "first-event": {"turn": Seen("failure", "a"), "http": Seen("failure of a", "a a")},
    "first-event-once": {"http": SERVED_AGAIN},
    "first-spent": {
        "codex turn": RECONNECT,
        "codex": NEXT,
        "copilot turn": Seen("failure", "a", "a rests for chat"),
        "copilot": NEXT_FOR_CHAT,
    },
    "first-spent-all": {
        "codex": Seen("failure of b", "a b", "a rests; b rests"),
        "copilot": Seen("failure of b", "a b", "a rests for chat; b rests for chat"),
    },
    "first-busy": {"copilot http": Seen("failure of a", "a a"), "http": Seen("failure of a", "a")},
    "first-cut": {"http": Seen("answer of a, cut", "a")},
    "first-stall": {"http": Seen("answer of a, then silence", "a")},
    "later-event": {"turn": Seen("beginning of a, failure", "a"), "http": Seen("failure of a", "a")},
    "later-limit": {
        "codex": Seen("failure of a", "a", "a rests"),
        "copilot": Seen("failure of a", "a", "a rests for chat"),
    },
    "cut": {"turn": Seen("beginning of a, dropped", "a"), "http": Seen("answer of a, cut", "a")},
    "cut-reset": {"turn": Seen("beginning of a, dropped", "a"), "http": Seen("answer of a, cut", "a")},
    "truncated": {"every": Seen("answer of a, without its end", "a")},
    "stall": {"turn": Seen("beginning of a, silence", "a"), "http": Seen("answer of a, then silence", "a")},
    "leave": {"every": SERVED},
    "drip": {"every": SERVED},
    "slow": {"every": SERVED},
    "malformed-sse": {"every": Seen("answer of a, without its end", "a")},
    "malformed-json": {"every": SERVED},
    "empty": {"every": SERVED},
    "cut-json": {"every": FAILED},
    "reset-json": {"every": FAILED},
    "too-short": {"every": FAILED},
    "too-long": {"http1": SERVED, "http2": FAILED},
    # On an open WebSocket
    "frame-401": {"every": _frame("token_expired")},
    "frame-500": {"codex turn": _frame("server_error"), "copilot turn": _frame("internal_error")},
    "frame-unknown": {"every": _frame("teapot")},
    "later-spent": {
        "codex turn": Seen("beginning of a, error `websocket_connection_limit_reached`", "a", "a rests"),
        "copilot turn": Seen("beginning of a, error `user_global_rate_limited:pro`", "a", "a rests for chat"),
    },
    "sixty": {"every": _frame("websocket_connection_limit_reached")},
    "turn-closed": {"every": Seen("dropped", "a")},
    "turn-reset": {"every": Seen("dropped", "a")},
    "turn-hang": {"every": Seen("silence", "a")},
    "close-1000": {"every": Seen("beginning of a, closed with 1000", "a")},
    "close-1001": {"every": Seen("beginning of a, closed with 1001", "a")},
    "close-1008": {"every": Seen("beginning of a, closed with 1008", "a")},
    "close-1009": {"every": Seen("beginning of a, closed with 1009", "a")},
    "close-1011": {"every": Seen("beginning of a, closed with 1011", "a")},
    "close-1012": {"every": Seen("beginning of a, closed with 1012", "a")},
    "close-1013": {"every": Seen("beginning of a, closed with 1013", "a")},
    "close-4000": {"every": Seen("beginning of a, closed with 4000", "a")},
    "first-1011": {"every": Seen("closed with 1011", "a")},
    "second-spent": {
        "codex turn": RECONNECT,
        "copilot turn": _frame("previous_response_not_found", "a rests for chat"),
    },
    "between-rests": {"every": Seen("answer of a, closed with 1000", "a", "a rests")},
    "between-1001": {"every": Seen("answer of a, closed with 1001", "a")},
    "between-cut": {"every": Seen("answer of a, closed with 1000", "a")},
    "garbled": {"every": Seen("beginning of a, closed with 1002", "a")},
    "malformed-frame": {"every": Seen("a malformed message, answer of a", "a")},
}

_WIRES = {"http": HTTP, **{wire.name.lower(): (wire,) for wire in Wire}}


def expected(cell: Cell) -> Seen:
    """What the table says of a cell."""
    return next(seen for key, seen in TABLE[cell.fault.name].items() if fits(key, cell))


def fits(key: str, cell: Cell) -> bool:
    """Whether a key is about a cell."""
    words = [word for word in key.split() if word != "every"]
    return all(cell.wire in _WIRES[word] if word in _WIRES else cell.provider == word for word in words)
