"""A recording as fixtures of tests: one file for each kind of answer, and what our own readers make of it.

The files are of the kinds that `tests/fixtures/streams` has: `.sse`, `.json`, and `.jsonl` for sockets, whose turns an
empty line parts. `told.json` names each with provider, route, outcome and tokens.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec

from seatpool.core.model import CredentialKind, Tokens
from seatpool.core.outcome import OK
from seatpool.providers.base import Frame, RequestFacts, Route
from seatpool.providers.counts import BEGINNING, END, counted
from seatpool.providers.openings import last_refusal
from seatpool.providers.recording.contents import content_of
from seatpool.providers.recording.flows import EVENTS, JSON, Flow
from seatpool.providers.registry import PROVIDERS

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TOLD = "told.json"
CUT = "cut"
_NO_NAME = re.compile(r"[^\w.-]", re.ASCII)


class Fixture(msgspec.Struct, frozen=True):
    """A file, and what is told of it."""

    name: str
    content: bytes
    told: dict[str, Any]


def fixtures(flows: Iterable[Flow]) -> list[Fixture]:
    """Of each kind - provider, route, status, form, outcome - the first that was recorded."""
    made: dict[str, Fixture] = {}
    for flow in flows:
        for each in _of(flow):
            made.setdefault(each.name, each)
    return list(made.values())


def _of(flow: Flow) -> Iterator[Fixture]:
    if flow.route is None:
        return
    told = {"provider": flow.provider, "route": flow.route}
    facts = _facts(flow)
    if flow.messages:
        yield _socket(flow, facts, told)
    for answer in flow.answers:
        if answer.body is None or answer.own or answer.body.kind not in (JSON, EVENTS):
            continue
        content = content_of(answer.body)
        refused = answer.status >= 400
        last = answer is flow.answers[-1]
        found = counted(content[-END:], content[:BEGINNING])
        refusal = last_refusal(partial(_read, facts), content) if answer.body.kind == EVENTS else None
        whole = found.over or (last and flow.outcome == OK.code)
        outcome = refusal.code if refusal is not None else str(answer.status) if refused else OK.code if whole else CUT
        kind = "sse" if answer.body.kind == EVENTS else "json"
        name = _name(flow, "" if outcome == OK.code else f"-{outcome}", kind)
        yield Fixture(name, content, {**told, "outcome": outcome, "tokens": _tokens(found.tokens)})


def _name(flow: Flow, outcome: str, kind: str) -> str:
    """Of a file and of nothing else, whatever somebody has written into a recording."""
    return _NO_NAME.sub("_", f"{flow.provider}-{flow.route}{outcome}.{kind}")


def _read(facts: RequestFacts, data: bytes) -> Frame:
    return PROVIDERS[facts.route.provider].read_event(facts, data, NOW)


def _socket(flow: Flow, facts: RequestFacts, told: dict[str, Any]) -> Fixture:
    provider = PROVIDERS[facts.route.provider]
    turns: list[list[bytes]] = [[]]
    counts: list[Any] = [None]
    over = False
    for message in flow.messages:
        if message.client or message.own or message.body.kind != JSON:
            continue
        if over:
            turns.append([])
            counts.append(None)
        content = content_of(message.body)
        frame = provider.read_frame(facts, content, NOW)
        turns[-1].append(content)
        over = frame.terminal
        if over:
            counts[-1] = _tokens(frame.tokens)
    outcome = OK.code if over else CUT
    name = _name(flow, "" if over else f"-{CUT}", "jsonl")
    content = b"\n\n".join(b"\n".join(turn) for turn in turns) + b"\n"
    return Fixture(name, content, {**told, "outcome": outcome, "tokens": counts})


def _facts(flow: Flow) -> RequestFacts:
    websocket = any(name.lower() == "upgrade" for name, _ in flow.request.headers) or bool(flow.messages)
    route = Route(flow.provider, flow.route or "", "api", websocket)
    return RequestFacts(route, (CredentialKind.CODEX_OAUTH,), None, None)


def _tokens(tokens: Tokens | None) -> dict[str, int] | None:
    if tokens is None:
        return None
    return {name: value for name, value in tokens._asdict().items() if value is not None}
