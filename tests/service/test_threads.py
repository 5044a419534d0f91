"""A server that hangs holds up who looks at it for seconds, over and over: never a request. Over a real one."""

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from seatpool.clock import utcnow
from seatpool.core.model import WHOLE_ACCOUNT, Account, CredentialKind
from seatpool.core.policy import Policy
from seatpool.page.board import Board
from seatpool.page.looks import Looks
from seatpool.service.pool import PoolService
from seatpool.service.threads import WORKERS
from seatpool.store import Store, StoreUnavailable
from tests.harness import postgres
from tests.service.conftest import Issuer, sign_in


@pytest.fixture
def server() -> Iterator[postgres.Server]:
    """One of our own, since it is made to hang."""
    made = postgres.started()
    yield made
    made.remove()


async def limited(service: PoolService, account: Account) -> None:
    """What a request that meets a limit does."""
    await service.knowledge.cool(account, WHOLE_ACCOUNT, "usage", utcnow() + timedelta(minutes=1))


async def test_who_looks_at_the_page_of_a_server_that_hangs_holds_no_request_up(
    server: postgres.Server, issuer: Issuer
) -> None:
    with Store.open(server.new()) as store:
        account = sign_in(store, issuer, "alice")
        service = PoolService(store, issuer, Policy())
        service.load()
        store.hurry()
        board = Board(Looks(lambda: store))
        try:
            server.freeze()
            with suppress(StoreUnavailable):
                store.disable(account.id, "found out", utcnow())
            assert store.trouble is not None
            looking = [asyncio.create_task(board.open(None)) for _ in range(WORKERS)]
            await asyncio.sleep(0)  # each waits in a thread by then
            await limited(service, account)
            assert not any(each.done() for each in looking)
        finally:
            server.freeze(thaw=True)
        await asyncio.gather(*looking)
        await board.close()
        await service.stop()


class Threads:
    """A store that notes in which threads it is used."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.seen: dict[str, set[str]] = defaultdict(set)
        self.fails: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        return self._noted(name, found) if callable(found) else found

    def _noted(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **more: Any) -> Any:
            what = f"{name} again" if more.get("patient") else name
            self.seen[threading.current_thread().name.rpartition("_")[0]].add(what)
            if what in self.fails:
                self.fails.remove(what)
                raise StoreUnavailable("it is locked")
            return work(*args, **more)

        return noted


async def test_what_goes_on_trying_has_threads_of_its_own(store: Store, issuer: Issuer) -> None:
    account = sign_in(store, issuer, "alice", timedelta(minutes=3))
    threads: Any = Threads(store)
    service = PoolService(threads, issuer, Policy())
    service.load()
    service.start()
    threads.fails.add("save_credential")
    held = (await service._refresher._vault.held(account.id))[CredentialKind.CODEX_OAUTH]
    assert await service._credentials.keep(service._providers[account.provider], account, held)
    await limited(service, account)
    async with asyncio.timeout(30):
        while not {"save_credential again", "news"} <= set().union(*threads.seen.values()):
            await asyncio.sleep(0.01)
    await service.stop()
    requests, others = threads.seen["seatpool"], threads.seen["seatpool apart"]
    assert {"acquire", "save_credential", "cool"} <= requests
    assert {"save_credential again", "news", "every_credential"} <= others
    assert not {"save_credential again", "news", "every_credential", "prune"} & requests
