"""What is read of the end of an answer, in every dialect, and of whatever else comes by."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatpool.core.model import Tokens
from seatpool.providers.counts import BEGINNING, END, Counted, billed, counted
from tests.upstream import dialogue
from tests.upstream.dialogue import Script, Usage, sse

USAGE = Usage(20_000, 18_000, 300)
TOLD = {
    "responses": Tokens(20_000, 18_000, 300, reasoning=150),
    "billed responses": Tokens(20_000, 18_000, 300, reasoning=150, written=0, nano_credits=1_250_000),
    "chat": Tokens(20_000, 18_000, 300, written=0, nano_credits=1_250_000),
    "messages": Tokens(20_000, 18_000, 300, written=0, nano_credits=1_250_000),
}
Build = Callable[[str, str, int, Usage], Script]
DIALECTS: dict[str, Build] = {
    "responses": dialogue.responses,
    "billed responses": dialogue.billed_responses,
    "chat": dialogue.chat,
    "messages": dialogue.messages,
}


def stream(build: Build, words: str = "word ", deltas: int = 3, *, upto: int | None = None) -> bytes:
    """A whole answer as it streams, or its first events."""
    script = build("alice", "gpt-x", 1, USAGE)
    events = [*script.opening, *[script.delta(words)] * deltas, *script.closing(words * deltas)]
    return b"".join(sse(event) for event in events[:upto])


def ends(content: bytes) -> tuple[bytes, bytes, bytes]:
    """What is kept of a long answer."""
    return content[-END:], content[:BEGINNING], billed(b"", content[:-END])


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("deltas", [3, 3_000])
def test_the_end_of_a_stream_tells_all_of_it(dialect: str, deltas: int) -> None:
    assert counted(*ends(stream(DIALECTS[dialect], deltas=deltas))) == Counted(TOLD[dialect], over=True)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_answer_that_does_not_stream_tells_them_as_well(dialect: str) -> None:
    body = json.dumps(DIALECTS[dialect]("alice", "gpt-x", 1, USAGE).whole("word " * 9_000)).encode()
    told = TOLD[dialect] if dialect != "messages" else TOLD[dialect]._replace(nano_credits=None)
    assert counted(*ends(body)) == Counted(told, over=True)


CUT = {
    "responses": None,
    "billed responses": None,
    "chat": None,
    "messages": Tokens(
        20_000, 18_000, 1, written=0
    ),  # the beginning has told of the prompt, and of one token of the answer
}


@pytest.mark.parametrize("dialect", CUT)
@pytest.mark.parametrize("deltas", [3, 3_000])
def test_a_stream_that_was_cut_tells_what_had_come(dialect: str, deltas: int) -> None:
    content = stream(DIALECTS[dialect], deltas=deltas, upto=deltas)
    assert counted(*ends(content)) == Counted(CUT[dialect], over=False)


def usage(**fields: Any) -> bytes:
    return json.dumps({"usage": fields}).encode()


SHAPES = {
    "embeddings: a prompt alone": (usage(prompt_tokens=7, total_tokens=7), Tokens(7, None, None)),
    "Anthropic without a cache": (usage(input_tokens=10, output_tokens=1), Tokens(10, None, 1)),
    "Anthropic that writes its cache": (
        usage(input_tokens=5, cache_creation_input_tokens=1_000, cache_read_input_tokens=0, output_tokens=9),
        Tokens(1_005, 0, 9, written=1_000),
    ),
    "Anthropic's repeated looks at itself": (
        usage(input_tokens=5, output_tokens=9, iterations=[{"input_tokens": 1, "cache_creation": {"ephemeral": 0}}]),
        Tokens(5, None, 9),
    ),
    "OpenAI's, with both details": (
        usage(
            input_tokens=9,
            input_tokens_details={"cached_tokens": 8},
            output_tokens=3,
            output_tokens_details={"reasoning_tokens": 1},
        ),
        Tokens(9, 8, 3, reasoning=1),
    ),
    "OpenAI's, since it charges for its cache": (
        usage(
            input_tokens=18_014,
            input_tokens_details={"cache_write_tokens": 18_011, "cached_tokens": 0},
            output_tokens=42,
            output_tokens_details={"reasoning_tokens": 25},
        ),
        Tokens(18_014, 0, 42, reasoning=25, written=18_011),
    ),
    "the same of a chat": (
        usage(
            prompt_tokens=9_657,
            completion_tokens=78,
            prompt_tokens_details={"cached_tokens": 0, "cache_write_tokens": 9_654, "audio_tokens": 0},
        ),
        Tokens(9_657, 0, 78, written=9_654),
    ),
    "Anthropic's, which says how long it thought": (
        usage(input_tokens=1, output_tokens=25_848, output_tokens_details={"thinking_tokens": 25_636}),
        Tokens(1, None, 25_848, reasoning=25_636),
    ),
    "Copilot's Gemini, which counts its thoughts beside the answer": (
        usage(prompt_tokens=19_581, completion_tokens=53, total_tokens=19_768, reasoning_tokens=134),
        Tokens(19_581, None, 187, reasoning=134),
    ),
    "thoughts beside the answer, among the details": (
        usage(
            prompt_tokens=36,
            completion_tokens=10,
            total_tokens=736,
            completion_tokens_details={"reasoning_tokens": 690},
        ),
        Tokens(36, None, 700, reasoning=690),
    ),
    "thoughts within the answer": (
        usage(
            prompt_tokens=36,
            completion_tokens=700,
            total_tokens=736,
            completion_tokens_details={"reasoning_tokens": 690},
        ),
        Tokens(36, None, 700, reasoning=690),
    ),
    "nothing yet": (
        usage(completion_tokens=0, prompt_tokens=0, prompt_tokens_details={"cached_tokens": 0}, total_tokens=0),
        None,
    ),
    "a bill that alone tells what was put into a cache": (
        b'{"copilot_usage":{"token_details":[{"token_count":7,"token_type":"input"},{"token_count":25,"token_type":'
        b'"cache_write"}],"total_nano_aiu":5},' + usage(prompt_tokens=32, completion_tokens=1)[1:],
        Tokens(32, None, 1, written=25, nano_credits=5),
    ),
    "with what was charged": (
        usage(prompt_tokens=9)[:-1] + b', "copilot_usage": {"token_details": [{}], "total_nano_aiu": 5}}',
        Tokens(9, None, None, nano_credits=5),
    ),
    "charged as no number": (
        usage(prompt_tokens=9)[:-1] + b',"copilot_usage":{"total_nano_aiu":"5"},"total_nano_aiu":1.5}',
        Tokens(9, None, None),
    ),
    "null details": (usage(prompt_tokens=9, prompt_tokens_details=None, completion_tokens=1), Tokens(9, None, 1)),
    "counts that are none": (usage(input_tokens="9", output_tokens=-1), None),
    "true is no count": (usage(input_tokens=True, output_tokens=2), Tokens(None, None, 2)),
    "beyond reason": (usage(input_tokens=10**12, output_tokens=2), Tokens(None, None, 2)),
    "of something else": (b'{"tools":[{"parameters":{"usage":{"type":"object"}}}]}', None),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_each_shape_is_read(shape: str) -> None:
    content, expected = SHAPES[shape]
    assert counted(content).tokens == expected


IGNORED = {
    "nothing": b"",
    "no usage": b'data: {"type":"response.output_text.delta"}\n\n',
    "null": b'{"usage":null}',
    "a text": b'{"usage":"a lot"}',
    "a list": b'{"usage":[1,2]}',
    "cut amid it": b'{"usage":{"input_tokens":12,"outp',
    "no JSON": b'{"usage":{input_tokens}}',
    "too deep": b'{"usage":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b"}",
    "bad text": b'{"usage":{"input_tokens":"\xff\xfe","a":1}}',
    "words about it": json.dumps({"delta": '{"usage":{"input_tokens":5}}'}).encode(),
}


@pytest.mark.parametrize("content", IGNORED.values(), ids=IGNORED.keys())
def test_what_is_not_one_tells_nothing(content: bytes) -> None:
    assert counted(content, content).tokens is None


@given(st.integers(1, 9_000), st.integers(0, 9_000))
def test_a_bill_is_kept_however_what_is_let_go_is_cut(size: int, shift: int) -> None:
    content = b" " * shift + stream(dialogue.billed_responses, deltas=3_000)
    gone, kept = content[:-END], b""
    for at in range(0, len(gone), size):
        kept = billed(kept, gone[at : at + size])
    assert counted(content[-END:], content[:BEGINNING], kept).tokens == TOLD["billed responses"]
    assert len(kept) <= BEGINNING


def test_what_stands_behind_does_not_hide_it() -> None:
    content = stream(dialogue.responses) + b'data: {"usage":null}\n\n: ping\n\ndata: [DONE]\n\n'
    assert counted(content).tokens == TOLD["responses"]


@given(st.binary(max_size=300), st.integers(0, 400), st.sampled_from(list(DIALECTS)))
def test_whatever_comes_nothing_is_raised(noise: bytes, at: int, dialect: str) -> None:
    content = stream(DIALECTS[dialect], deltas=1)
    told = counted(content[-at:] + noise, noise + content[: at // 2])
    assert told.tokens is None or all(count is None or count >= 0 for count in told.tokens)
