"""The first event that means something, in every dialect and however it comes."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatpool.core.model import CredentialKind, ProviderName
from seatpool.core.outcome import OutcomeKind
from seatpool.providers.base import Frame, RequestFacts, Route
from seatpool.providers.openings import Opening, Read, last_refusal
from seatpool.providers.registry import PROVIDERS

NOW = datetime(2026, 11, 21, tzinfo=UTC)
CODEX, COPILOT = ProviderName.CODEX, ProviderName.COPILOT


def reader(provider: ProviderName, route: str = "responses") -> Read:
    facts = RequestFacts(Route(provider, route, "api"), (CredentialKind.CODEX_OAUTH,), "gpt-x")
    return lambda data: PROVIDERS[provider].read_event(facts, data, NOW)


def sse(*events: str) -> bytes:
    return "".join(f"data: {event}\n\n" for event in events).encode()


CREATED, IN_PROGRESS = '{"type":"response.created","response":{}}', '{"type":"response.in_progress"}'
EMPTY = '{"choices":[],"created":0,"id":"","prompt_filter_results":[]}'
ROLE = '{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}'
START, PING = '{"type":"message_start","message":{"usage":{}}}', '{"type": "ping"}'

SILENT = [
    (CODEX, "responses", sse(CREATED, IN_PROGRESS)),
    (CODEX, "responses", sse('{"type":"codex.rate_limits","rate_limits":{}}', '{"type":"keepalive"}')),
    (COPILOT, "responses", sse(CREATED, IN_PROGRESS)),
    (COPILOT, "chat-completions", sse(EMPTY, ROLE)),
    (COPILOT, "messages", sse(START, PING)),
    (COPILOT, "chat-completions", b": keepalive\n\nretry: 10\n\nevent: x\n\n"),
]
ANSWERS = [
    (CODEX, "responses", '{"type":"response.output_text.delta","delta":"x"}'),
    (CODEX, "responses", '{"type":"response.output_item.added","item":{}}'),
    (CODEX, "responses", '{"type":"response.completed","response":{"id":"r"}}'),
    (CODEX, "responses", '{"type":"response.incomplete","response":{}}'),
    (CODEX, "responses", "[DONE]"),
    (CODEX, "responses", "what is this"),
    (COPILOT, "responses", '{"type":"response.output_text.delta","delta":"x"}'),
    (COPILOT, "chat-completions", '{"choices":[{"delta":{"content":"x"}}]}'),
    (COPILOT, "chat-completions", '{"choices":[{"delta":{"role":"assistant","tool_calls":[{"index":0}]}}]}'),
    (COPILOT, "chat-completions", '{"choices":[{"delta":{},"finish_reason":"stop"}]}'),
    (COPILOT, "chat-completions", '{"some":"thing"}'),
    (COPILOT, "chat-completions", "[DONE]"),
    (COPILOT, "engine", '{"choices":[{"text":"x","index":0}]}'),
    (COPILOT, "messages", '{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}'),
]
K = OutcomeKind
REFUSALS = [
    (
        CODEX,
        "responses",
        '{"type":"response.failed","response":{"error":{"code":"usage_limit_reached"}}}',
        K.QUOTA_SPENT,
    ),
    (
        CODEX,
        "responses",
        '{"type":"response.failed","response":{"error":{"code":"server_is_overloaded"}}}',
        K.OVERLOADED,
    ),
    (CODEX, "responses", '{"type":"error","error":{"code":"rate_limit_exceeded","message":"x"}}', K.RATE_LIMITED),
    (COPILOT, "responses", '{"type":"response.failed","response":{"error":{"code":"rate_limited"}}}', K.RATE_LIMITED),
    (COPILOT, "chat-completions", '{"error":{"message":"x","code":"user_global_rate_limited:pro"}}', K.QUOTA_SPENT),
    (COPILOT, "chat-completions", '{"error":"it failed"}', K.SERVER_ERROR),
    (COPILOT, "engine", '{"error":{"code":"quota_exceeded"}}', K.QUOTA_SPENT),
    (COPILOT, "messages", '{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}', K.OVERLOADED),
    (COPILOT, "messages", '{"type":"error","error":{"type":"api_error","message":"x"}}', K.SERVER_ERROR),
]


@pytest.mark.parametrize(("provider", "route", "content"), SILENT)
def test_what_comes_ahead_of_an_answer_says_nothing(provider: ProviderName, route: str, content: bytes) -> None:
    opening = Opening(reader(provider, route))
    assert opening.feed(content) is None
    assert opening.size == len(content)


@pytest.mark.parametrize(("provider", "route", "event"), ANSWERS)
def test_an_answer_is_let_go(provider: ProviderName, route: str, event: str) -> None:
    outcome = Opening(reader(provider, route)).feed(sse(event))
    assert outcome is not None and outcome.kind is K.OK


@pytest.mark.parametrize(("provider", "route", "event", "kind"), REFUSALS)
def test_a_failure_is_what_it_would_be_as_a_status(
    provider: ProviderName, route: str, event: str, kind: OutcomeKind
) -> None:
    outcome = Opening(reader(provider, route)).feed(sse(event))
    assert outcome is not None and outcome.kind is kind


@pytest.mark.parametrize(("provider", "route", "event", "kind"), REFUSALS)
def test_a_failure_at_the_end_is_found_there(provider: ProviderName, route: str, event: str, kind: OutcomeKind) -> None:
    read = reader(provider, route)
    before = b'he "error" said\n\n' + sse('{"choices":[{"delta":{"content":"x"}}]}')
    for end in (b"", b": bye\n\n", sse("[DONE]")):
        outcome = last_refusal(read, before + sse(event) + end)
        assert outcome is not None and outcome.kind is kind
        crlf = (before + sse(event) + end).replace(b"\n", b"\r\n")
        assert last_refusal(read, crlf) == outcome


@pytest.mark.parametrize(
    "end",
    [b"", b"\n\n", sse('{"type":"response.completed","response":{"error":null}}'), b'"error"}\n\n', b'data: {"error'],
)
def test_an_end_without_a_failure_has_none(end: bytes) -> None:
    assert last_refusal(reader(CODEX), end) is None


@given(st.data())
def test_neither_the_cuts_nor_the_line_ends_matter(data: st.DataObject) -> None:
    line_end = data.draw(st.sampled_from(["\n", "\r\n", "\r"]))
    lines = data.draw(
        st.lists(
            st.sampled_from([": note", "event: x", f"data: {CREATED}", "data:" + CREATED, "data", "", ""]), max_size=9
        )
    )
    failure = ['data: {"type":"error",', 'data: "error":{"code":"usage_limit_reached"}}', "", ""]
    content = line_end.join([*lines, "", "", *failure]).encode()
    cuts = sorted(data.draw(st.sets(st.integers(1, len(content) - 1), max_size=10)))
    opening, told = Opening(reader(CODEX)), []
    for start, end in zip([0, *cuts], [*cuts, len(content)], strict=True):
        told.append(opening.feed(content[start:end]))
        if told[-1] is not None:
            break
    assert told[-1] is not None and told[-1].kind is K.QUOTA_SPENT


def test_only_the_first_event_that_says_something_is_read() -> None:
    read: list[bytes] = []

    def note(data: bytes) -> Frame:
        read.append(data)
        return Frame(output=b"says" in data)

    assert Opening(note).feed(sse('{"a":1}', '{"says":1}', '{"b":1}')) is not None
    assert read == [b'{"a":1}', b'{"says":1}']


@pytest.mark.parametrize("piece", [1, 2, 3, 100])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xef\xbb\xbfdata:[DONE]\n\n", True),
        (b"\n\r\n\xef\xbb\xbfdata:[DONE]\n\n", False),
        (b": a\r\r\ndata:[DONE]\r\r\n", True),
        (b": a\n\r\ndata:[DONE]\n\n", True),
    ],
    ids=["a mark of the encoding", "one that is not at the beginning", "an end of CR and CRLF", "one of LF and CRLF"],
)
def test_rare_ends_and_beginnings_mean_the_same_however_they_are_cut(piece: int, content: bytes, says: bool) -> None:
    opening = Opening(reader(CODEX))
    told = [opening.feed(content[at : at + piece]) for at in range(0, len(content), piece)]
    assert any(told) is says
