"""The tap lets everything through and keeps no more than it needs."""

import gc
import json
import random
import sys

import pytest
from mitmproxy import http

from seatpool.core.model import Tokens
from seatpool.providers.base import NO_NEWS, Frame
from seatpool.providers.counts import BEGINNING, END
from seatpool.proxy.tap import KEPT, SET_ASIDE, Tap, ending, tap
from seatpool.service.memory.records import CUT, LEFT, OK, Ending
from tests.providers.test_counts import TOLD, USAGE, stream
from tests.upstream import dialogue


def unread(data: bytes) -> Frame:
    return NO_NEWS


def chunks(content: bytes, seed: int) -> list[bytes]:
    """Cut anywhere."""
    chance = random.Random(seed)
    cuts = sorted(chance.sample(range(1, len(content)), 60))
    return [content[a:b] for a, b in zip([0, *cuts], [*cuts, len(content)], strict=True)]


def answer(content: bytes = b"", **headers: str) -> http.Response:
    return http.Response.make(200, content, {name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("deltas", [3, 900])
def test_every_chunk_passes_as_it_is_and_the_ends_are_known(seed: int, deltas: int) -> None:
    seen = Tap(answer(), unread, kept=False)
    came = chunks(stream(dialogue.messages, deltas=deltas), seed)
    assert all(seen(chunk) is chunk for chunk in came)
    assert seen(b"") == b""
    assert seen.told() == ((TOLD["messages"], True), None, b"")


def test_of_a_long_answer_only_both_ends_are_kept() -> None:
    seen, chunk = Tap(answer(), unread, kept=False), b"x" * 100
    for number in range(100_000):
        seen(chunk + b"%d" % number)
    kept = sum(sys.getsizeof(each) for each in gc.get_referents(*gc.get_referents(seen)) if isinstance(each, bytes))
    assert END < kept < 2 * (KEPT + BEGINNING)


def test_when_it_was_read_nothing_is_kept() -> None:
    seen = Tap(answer(), unread, kept=False)
    for chunk in chunks(stream(dialogue.chat), 1):
        seen(chunk)
    assert seen.told().counted.tokens == TOLD["chat"]
    assert seen.told() == ((None, False), None, b"")


@pytest.mark.parametrize(
    ("stream_it", "headers", "tapped"),
    [
        (True, {}, True),
        (True, {"content_encoding": "identity"}, True),
        (True, {"content_encoding": "gzip"}, True),
        (True, {"content_encoding": "compress"}, False),
        (False, {}, False),
    ],
)
def test_only_streams_that_can_be_read_are_looked_at(stream_it: bool, headers: dict[str, str], tapped: bool) -> None:
    response = answer()
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    response.stream = stream_it
    seen = tap(response, unread, kept=False)
    assert (seen is not None, response.stream) == (tapped, seen or stream_it)


def test_it_is_alone_unless_the_chunks_are_stored_or_somebody_else_wants_them() -> None:
    response = answer()
    response.stream = True
    seen = tap(response, unread, kept=False)
    assert seen is not None and seen.alone
    response.stream = bytes.upper
    assert not seen.alone
    assert not Tap(response, unread, kept=True).alone


def test_an_answer_that_was_read_whole_is_looked_at_in_its_place() -> None:
    body = json.dumps(dialogue.chat("alice", "gpt-x", 1, USAGE).whole("hi")).encode()
    assert ending(OK, 5.0, None, answer(body)) == Ending(OK, 5.0, TOLD["chat"], issued=body)
    assert ending(OK, 5.0, None, answer(body, content_encoding="br")) == Ending(OK, 5.0, TOLD["chat"], issued=body)
    cut = answer(body, content_encoding="br")
    cut.raw_content = (cut.raw_content or b"")[:-9]
    assert ending(OK, 5.0, None, cut).tokens is None
    assert ending(CUT, 5.0, None, None) == Ending(CUT, 5.0)


@pytest.mark.parametrize(
    ("upto", "outcome", "tokens"),
    [(None, OK, TOLD["messages"]), (4, LEFT, Tokens(20_000, 18_000, 1, written=0)), (0, LEFT, None)],
)
def test_who_leaves_after_the_last_event_has_missed_nothing(
    upto: int | None, outcome: str, tokens: Tokens | None
) -> None:
    seen = Tap(answer(), unread, kept=False)
    seen(stream(dialogue.messages, upto=upto))
    assert ending(LEFT, 5.0, seen, None) == Ending(outcome, 5.0, tokens)


# -- what an answer gives out

MARKS = (b"output_item.done",)


def given() -> list[bytes]:
    script = dialogue.responses("alice", "gpt-x", 7, USAGE, reasoning=True)
    events = [*script.opening, *(script.delta(f"word {n} ") for n in range(400)), *script.closing("words")]
    return [dialogue.sse(event) for event in events]


def sieve(marks: tuple[bytes, ...] = MARKS) -> Tap:
    response = answer()
    response.stream = True
    seen = tap(response, unread, kept=False, marks=marks)
    assert seen is not None and seen.alone
    return seen


@pytest.mark.parametrize("size", [64, 500, 1400, 16_384])
def test_events_that_give_something_out_are_set_aside_whole(size: int) -> None:
    seen, events = sieve(), given()
    content = b"".join(events)
    for at in range(0, len(content), size):
        chunk = content[at : at + size]
        assert seen(chunk) is chunk
    told = seen.told()
    assert b'"encrypted_content": "cipher_FAKESECRET_alice_7"' in told.issued
    assert told.issued == b"".join(event for event in events if MARKS[0] in event)
    assert told.counted.over
    assert seen.told().issued == b"", "nothing is kept of it"


def test_an_event_that_never_ends_is_not_kept_without_bound() -> None:
    seen = sieve()
    seen(b"event: response.output_item.done\n")
    for _ in range(1000):
        seen(b"x" * 1000)
    assert 0 < len(seen.told().issued) <= SET_ASIDE
