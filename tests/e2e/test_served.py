"""Two real proxies, as on two machines, on one real PostgreSQL: what one learns moves the other, and what a server that
goes away misses is there when it is back."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from seatpool.store import Store
from tests.e2e.conftest import ACCOUNTS, ALONE, Scene
from tests.e2e.test_metrics import scrape
from tests.e2e.test_promises import post
from tests.e2e.test_unhealthy import wait_until
from tests.harness import Lab, Mitmdump, postgres
from tests.harness.marks import needs_namespaces
from tests.harness.remains import leaks

pytestmark = [needs_namespaces, pytest.mark.asyncio]

LIMITED = {"kind": "usage_limit", "resets_in_s": 7200, "route": "responses"}
REST = ("seatpool_cooldown_remaining_seconds", "alice", "account", "", "usage_limit_reached")


class Machines:
    """The proxies and the server between them."""

    def __init__(self, server: postgres.Server, one: Scene, two: Scene) -> None:
        self.server, self.one, self.two = server, one, two
        self.sent = 0

    async def served_by(self, scene: Scene, conversation: str) -> str:
        self.sent += 1
        status, body = await post(scene, conversation)
        assert status == 200
        return next(name for name in ACCOUNTS if f"{name}0".encode() in body)


@pytest.fixture
async def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Machines]:
    server = postgres.started(fsync=True)
    try:
        monkeypatch.setenv("SEATPOOL_KEYRING", "off")
        monkeypatch.setenv("SEATPOOL_KEY_FILE", str(tmp_path / "carried.key"))
        url = server.socket_url(server.new().rpartition("/")[2])
        with Lab(tmp_path) as lab:
            fakes = lab.upstream({"accounts": ACCOUNTS})
            scenes = []
            for number in range(2):
                options = {**ALONE, "pool_db": url}
                proxy = Mitmdump(tmp_path / f"machine-{number}", lab=lab, upstream_ca=fakes.ca, options=options)
                proxy.port, proxy.database = 8080 + number, url
                scenes.append(Scene(lab, fakes, proxy, tmp_path))
            await asyncio.to_thread(scenes[0].pool, "alice", "bob")
            with scenes[0].proxy, scenes[1].proxy:
                yield Machines(server, *scenes)
    finally:
        server.remove()


async def test_a_limit_met_on_one_machine_moves_the_other_and_a_crash_of_the_server_costs_nobody_anything(
    machines: Machines,
) -> None:
    one, two, server = machines.one, machines.two, machines.server
    assert await machines.served_by(one, "before") == await machines.served_by(two, "before too") == "alice"
    one.fakes.behave("alice", LIMITED)
    assert await machines.served_by(one, "limited") == "bob"
    await told_of(two, lambda rests: rests > 7000)
    asked = one.asked("responses").count("alice")
    assert await machines.served_by(two, "elsewhere") == "bob"
    assert one.asked("responses").count("alice") == asked, "the second machine did not have to meet it itself"

    server.stop(signal.SIGQUIT)
    for number in range(6):
        assert await machines.served_by(one if number % 2 else two, f"away-{number}") == "bob"
    for scene in (one, two):
        scene.proxy.wait_log("action=database-away .*reason=the database postgresql://")
    one.fakes.behave("bob", LIMITED)
    assert (await post(one, "limited as well"))[0] == 429
    await told_of(one, lambda rests: rests > 7000, "bob")
    server.start()
    for scene in (one, two):
        scene.proxy.wait_log("action=database-back .* lost=0", 30)

    def caught_up() -> bool:
        with one.store as store:
            return {c.account_id for c in store.cooldowns(datetime.now(UTC))} == {a.id for a in store.accounts()}

    await asyncio.to_thread(wait_until, caught_up)
    await told_of(two, lambda rests: rests > 7000, "bob")
    with Store.open(str(one.proxy.database)) as store:
        await asyncio.to_thread(wait_until, lambda: len(store.past.attempts(limit=99)) >= machines.sent + 2)
        sent = sorted(each.flow_id for each in store.past.attempts(limit=99))
    assert len(sent) == machines.sent + 2, "each once; and the two that were refused"
    assert leaks(one.folder) == []

    two.proxy.stop()
    server.stop()
    for account in ("alice", "bob"):
        one.fakes.behave(account)
    since = len(two.proxy.log)
    two.proxy.start()
    assert await machines.served_by(two, "a start without it") == "editor"
    server.start()
    with Store.open(str(one.proxy.database)) as store:
        store.clear_cooldowns()
    two.proxy.wait_log("action=start .* codex=2", 30, since=since)
    assert await machines.served_by(two, "and with it") == "alice"


async def told_of(scene: Scene, holds: Callable[[float], bool], account: str = "alice") -> None:
    """Wait until a proxy knows how long an account rests."""
    key = (REST[0], account, *REST[2:])
    await asyncio.to_thread(wait_until, lambda: holds(scrape(scene).get(key, 0)))
