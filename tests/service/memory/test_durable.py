"""What was learnt of an account is kept, whatever becomes of the request that met it. Over a real store and loop."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from seatpool.core.model import WHOLE_ACCOUNT, Cooldown, Cooling
from seatpool.core.policy import Policy
from seatpool.providers.http import Headers
from seatpool.service.memory.durable import Durable
from seatpool.service.memory.knowledge import Knowledge
from seatpool.service.memory.vault import Vault
from seatpool.service.memory.writer import Writer
from seatpool.service.pool import PoolService
from seatpool.service.threads import WORKERS, aside
from seatpool.service.trail import Assignment
from seatpool.store import Store
from tests.service.conftest import Issuer, sign_in
from tests.service.flows.test_waiting import settle
from tests.service.memory.test_health import locked
from tests.service.test_pool import FACTS

NOW = datetime.now(UTC)
REFUSAL = b'{"type":"error","status":429,"error":{"type":"usage_limit_reached","resets_in_seconds":3600}}'
LATER = NOW + timedelta(hours=1)


@pytest.fixture
async def service(store: Store, issuer: Issuer) -> AsyncIterator[PoolService]:
    for name in ("alice", "bob"):
        sign_in(store, issuer, name)
    service = PoolService(store, issuer, Policy())
    service.load()
    yield service
    await service.stop()


@asynccontextmanager
async def occupied() -> AsyncIterator[None]:
    """All threads are at work."""
    free = threading.Event()
    busy = [asyncio.create_task(aside(free.wait, 30)) for _ in range(WORKERS)]
    await settle()
    try:
        yield
    finally:
        free.set()
        await asyncio.gather(*busy)


def kept(store: Store) -> list[str]:
    return [cooldown.reason for cooldown in store.cooldowns(NOW)]


async def test_what_an_answer_has_told_is_stored_though_its_request_is_gone_and_the_process_ends(
    store: Store, service: PoolService
) -> None:
    """It has not begun to be written when the request goes: a socket's, whose limits come in the midst of it."""
    trail = service.open("flow", replace(FACTS, route=replace(FACTS.route, websocket=True)), Headers())
    assert isinstance(await service.assign(trail), Assignment)
    async with occupied():
        told = asyncio.create_task(service.sockets.server_frame(trail, REFUSAL))
        await settle()
        told.cancel()
        stopping = asyncio.create_task(service.stop())
        await settle()
    await stopping
    assert kept(store) == ["usage_limit_reached"]


async def test_it_is_the_writers_where_the_database_is_away_until_then(
    store: Store, issuer: Issuer, tmp_path: Path
) -> None:
    cooldown = Cooldown(sign_in(store, issuer, "alice").id, WHOLE_ACCOUNT, "said-so", LATER, NOW)
    writer = Writer(store)
    durable = Durable(writer)
    store.hurry()
    with locked(tmp_path / "pool.db"):
        asked = asyncio.create_task(durable.make(partial(store.cool, cooldown), Cooling(cooldown), "%s %s", "alice"))
        await settle()
        asked.cancel()
        await durable.drain()
        assert writer.waiting == 1
    writer.start()
    writer.close()
    assert kept(store) == ["said-so"]


@pytest.mark.parametrize("away", [False, True])
async def test_a_limit_that_was_told_since_stays_when_the_one_before_it_is_lifted(
    store: Store, issuer: Issuer, tmp_path: Path, away: bool
) -> None:
    """It is written at once, or when the database is back; what ended a moment before it always comes later."""
    alice = sign_in(store, issuer, "alice")
    held = store.cool(Cooldown(alice.id, WHOLE_ACCOUNT, "usage_limit_reached", LATER, NOW))
    knowledge = Knowledge(store, Vault(store), Policy(), "owner")
    knowledge.take(store.changes(None))
    store.hurry()
    with locked(tmp_path / "pool.db") if away else nullcontext():
        knowledge.succeeded(alice.id, (WHOLE_ACCOUNT,), datetime.now(UTC), held)
        await knowledge.cool(alice, WHOLE_ACCOUNT, "told-since", LATER - timedelta(minutes=1))
    assert kept(store) == (["usage_limit_reached"] if away else ["told-since"])
    knowledge.writer.start()
    await knowledge.stop()
    assert kept(store) == ["told-since"]
