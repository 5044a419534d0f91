"""Work beside everything else, and its end."""

import asyncio

import pytest

from seatpool.service.tasks import Tasks


async def test_what_is_begun_while_others_are_waited_for_is_waited_for_as_well() -> None:
    tasks, done = Tasks(), list[str]()

    async def second() -> None:
        await asyncio.sleep(0)
        done.append("second")

    async def first() -> None:
        await asyncio.sleep(0)
        tasks.begin(second())
        done.append("first")

    tasks.begin(first())
    await tasks.drain()
    assert done == ["first", "second"]
    assert len(tasks) == 0


async def test_what_fails_does_not_keep_the_others_from_their_end() -> None:
    tasks = Tasks()
    never = asyncio.Event()

    async def fails() -> None:
        raise ValueError("meant to")

    failed = tasks.begin(fails())
    slow = tasks.begin(never.wait())
    await tasks.end(within_s=0.01)
    assert slow.cancelled()
    assert len(tasks) == 0
    with pytest.raises(ValueError, match="meant to"):
        failed.result()


async def test_what_is_begun_at_once_goes_as_far_as_it_can_before_anybody_waits() -> None:
    tasks, seen = Tasks(), list[int]()

    async def two_steps() -> int:
        seen.append(1)
        await asyncio.sleep(0)
        seen.append(2)
        return 3

    task = tasks.begin(two_steps(), at_once=True)
    assert seen == [1]
    assert await task == 3
    await tasks.drain()


async def test_without_any_there_is_nothing_to_wait_for() -> None:
    tasks = Tasks()
    await tasks.drain()
    await tasks.end(within_s=60.0)
