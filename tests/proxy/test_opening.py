"""A database that cannot be opened at start is tried again until it can."""

import asyncio
from pathlib import Path

import pytest

from seatpool.proxy.opening import give_up, until_open
from seatpool.store import NewerDatabase, Store, StoreError, StoreUnavailable, WrongKey


async def test_it_is_tried_until_it_opens_and_its_rows_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEATPOOL_KEYRING", "off")
    results: list[StoreError | None] = [WrongKey("locked"), None, None]
    refusals: list[StoreError | None] = [StoreUnavailable("busy"), None]
    taken: list[Store] = []

    def attempt() -> Store:
        if (error := results.pop(0)) is not None:
            raise error
        return Store.open(str(tmp_path / "pool.db"))

    def take(store: Store) -> None:
        if (error := refusals.pop(0)) is not None:
            raise error
        taken.append(store)

    await until_open(attempt, take, pause_s=0.001)
    (store,) = taken
    assert (store.accounts(), results, refusals) == ((), [], [])
    store.close()


async def test_what_only_another_version_opens_is_given_up() -> None:
    def attempt() -> Store:
        raise NewerDatabase("newer")

    await until_open(attempt, lambda store: None, pause_s=0.001)


async def test_at_the_end_of_the_proxy_it_ends() -> None:
    def attempt() -> Store:
        raise WrongKey("locked")

    task = asyncio.create_task(until_open(attempt, lambda store: None))
    await asyncio.sleep(0)
    await give_up(task)
    assert task.cancelled()
    await give_up(None)
