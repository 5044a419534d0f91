"""Compressed streams pass as they come, and are read all the same."""

import pytest
from mitmproxy import http
from mitmproxy.net import encoding

from seatpool.clock import utcnow
from seatpool.core.outcome import OK, OutcomeKind
from seatpool.providers.base import Frame
from seatpool.providers.codex import CODEX
from seatpool.proxy.tap import Tap
from seatpool.proxy.unpacking import AT_ONCE, CODINGS, opening
from tests.providers.test_counts import TOLD, stream
from tests.proxy.layers.test_replay import FACTS
from tests.proxy.process.test_bounds import PACKERS
from tests.upstream import dialogue

LIMIT = b'data: {"type":"response.failed","response":{"error":{"code":"rate_limit_exceeded"}}}\n\n'
every_coding = pytest.mark.parametrize("coding", sorted(CODINGS))


def read(data: bytes) -> Frame:
    return CODEX.read_event(FACTS, data, utcnow())


def answer(coding: str) -> http.Response:
    return http.Response.make(200, b"", {"content-encoding": coding.upper()})


def pieces(packed: bytes) -> list[bytes]:
    return [packed[at : at + 7] for at in range(0, len(packed), 7)]


def packed(content: bytes, coding: str) -> bytes:
    made = encoding.encode(content, coding)
    assert isinstance(made, bytes)
    return made


@every_coding
def test_the_counts_of_a_stream_are_known(coding: str) -> None:
    seen, came = Tap(answer(coding), read, kept=False), pieces(packed(stream(dialogue.messages, deltas=900), coding))
    assert all(seen(chunk) is chunk for chunk in came)
    assert seen.told().counted == (TOLD["messages"], True)


@every_coding
def test_a_refusal_at_the_beginning_is_known(coding: str) -> None:
    begun = opening(answer(coding), read)
    told = [outcome for chunk in pieces(packed(LIMIT, coding)) if (outcome := begun.feed(chunk)) is not None]
    assert [outcome.kind for outcome in told] == [OutcomeKind.RATE_LIMITED]


@every_coding
def test_what_becomes_far_too_much_of_one_piece_is_not_read(coding: str) -> None:
    bomb = PACKERS[coding](bytes(2 * AT_ONCE))
    begun, seen = opening(answer(coding), read), Tap(answer(coding), read, kept=False)
    assert len(bomb) < 64 * 1024
    assert begun.feed(bomb) is OK
    assert (begun.size, seen(bomb)) == (0, bomb)
    assert seen.told() == ((None, False), None, b"")


@every_coding
def test_what_is_not_so_compressed_goes_on_unread(coding: str) -> None:
    begun, seen = opening(answer(coding), read), Tap(answer(coding), read, kept=False)
    assert begun.feed(LIMIT) is OK
    assert seen(LIMIT) is LIMIT
    assert seen.told() == ((None, False), None, b"")
