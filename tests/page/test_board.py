"""Viewers are told what is new, cost nothing while there are none, and are bounded in number and in what they cost."""

import asyncio
from collections.abc import Iterator
from itertools import repeat

from seatpool.page import board
from seatpool.page.board import Board, Viewer
from seatpool.page.looks import AWAY, Look, Looks
from seatpool.store import Store
from tests.store.made import attempt, sign_in


class Scripted(Looks):
    """Looks that find what a test says."""

    def __init__(self, *looks: Look | Exception) -> None:
        super().__init__(lambda: None)
        self.taken = 0
        self._script: Iterator[Look | Exception] = iter((*looks, *repeat(Look(0.001), 10_000)))

    def first(self, after: int | None) -> Look:
        return Look(report=b"first", requests=b"[%d]" % (after or 0), place=7)

    def look(self) -> Look:
        self.taken += 1
        found = next(self._script)
        if isinstance(found, Exception):
            raise found
        return found


async def opened(looks: Looks, after: int | None = None) -> tuple[Board, Viewer]:
    made = Board(looks)
    viewer = await made.open(after)
    assert viewer is not None
    return made, viewer


async def heard(viewer: Viewer, words: bytes) -> bytes:
    """Everything until these come."""
    said = b""
    async with asyncio.timeout(5):
        while words not in said:
            piece = await viewer.next()
            assert piece is not None
            said += piece
    return said


async def test_a_viewer_is_told_all_there_is_and_then_what_is_new() -> None:
    made, viewer = await opened(Scripted(Look(report=b"second", rest_s=0), Look(requests=b"[8]", place=8)), after=3)
    said = await heard(viewer, b"[8]")
    assert said.startswith(b"retry: 1000\n\n")
    assert b"id: 7\nevent: requests\ndata: [3]\n\n" in said
    assert b"event: report\ndata: second\n\n" in said
    assert said.endswith(b"id: 8\nevent: requests\ndata: [8]\n\n")
    await made.close()
    assert await viewer.next() is None


async def test_who_takes_it_late_gets_the_newest_report_and_every_request() -> None:
    made, viewer = await opened(Scripted())
    for number in range(5):
        viewer.tell(Look(report=b"r%d" % number, requests=b"q%d" % number, place=number))
    said = await viewer.next()
    assert said is not None
    assert said.count(b"event: report") == 1 and b"data: r4" in said
    assert [b"data: q%d" % n in said for n in range(5)] == [True] * 5
    await made.close()


async def test_nobody_looks_at_the_store_for_nobody() -> None:
    looks = Scripted()
    made, viewer = await opened(looks)
    while not looks.taken:
        await asyncio.sleep(0.001)
    viewer.close()
    while made._task is not None:
        await asyncio.sleep(0.001)
    taken = looks.taken
    await asyncio.sleep(0.02)
    assert (looks.taken, len(made)) == (taken, 0)
    again = await made.open(None)
    assert again is not None and made._task is not None
    await made.close()


async def test_there_are_never_too_many() -> None:
    made = Board(Scripted())
    viewers = [await made.open(None) for _ in range(board.MOST)]
    assert None not in viewers
    assert await made.open(None) is None
    viewers[0].close()  # type: ignore[union-attr]
    assert await made.open(None) is not None
    await made.close()


async def test_a_stream_ends_before_it_has_cost_too_much_whether_it_is_read_or_not() -> None:
    big = Look(requests=b"x" * (board.AT_MOST // 2), place=1)
    made, reads = await opened(Scripted())
    while not reads.over:
        reads.tell(big)
        await reads.next()
    never = await made.open(None)
    assert never is not None
    for _ in range(3):
        never.tell(big)
    assert never.over and await never.next() is None and len(made) == 0


async def test_a_trouble_is_told_once_and_a_fault_ends_the_streams() -> None:
    away = Look(0.001, problem=AWAY)
    made, viewer = await opened(Scripted(away, away, Look(0.05, b"back"), ValueError("a fault of ours")))
    assert (await heard(viewer, b"data: back")).count(b"event: trouble") == 1
    async with asyncio.timeout(5):
        while await viewer.next() is not None:
            pass
    assert len(made) == 0


async def test_a_look_finds_what_was_written_since_and_rests_the_longer_the_more_it_costs(store: Store) -> None:
    looks = Looks(lambda: store)
    first = looks.first(None)
    assert first.report is not None and b'"work"' in first.report and first.requests == b"[]"
    assert looks.look().report is not None
    assert looks.look() == Look()
    store.record(attempts=[attempt(sign_in(store, "work", identity="work"), 1)])
    store.set_paused("work", True, attempt(store.account("work"), 1).started_at)
    changed = looks.look()
    assert changed.report is not None and b'"paused"' in changed.report
    assert changed.rest_s >= 0.25
    store.close()
    assert looks.look().problem
    assert Looks(lambda: None).look().problem == AWAY
