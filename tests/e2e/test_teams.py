"""Two people, a proxy each, on one database: each is served by what is theirs, and both by what an admin has locked."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from seatpool.setup import troubles
from seatpool.store import Store, located
from tests.e2e.conftest import ACCOUNTS, ALONE, CODEX_BODY, CODEX_PATH, Scene, codex_headers
from tests.harness import Incoming, Lab, Mitmdump, postgres
from tests.harness.marks import needs_namespaces

pytestmark = needs_namespaces

ROUTE = "responses"
RULES = """
[[rule]]
name = "work code"
only = "bob"
"""


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of theirs."""
    if request.param == "sqlite":
        yield str(tmp_path / "pool.db")
        return
    server = postgres.started()
    try:
        yield server.socket_url(server.new().rpartition("/")[2])
    finally:
        server.remove()


@contextmanager
def two_people(folder: Path, url: str) -> Iterator[dict[str, Scene]]:
    """Ann and Ben. Ann's Codex account is `alice`, of higher rank than `bob`, which is everybody's."""
    with pytest.MonkeyPatch.context() as patch, Lab(folder) as lab:
        patch.setenv("SEATPOOL_KEYRING", "off")
        if "://" in url:
            patch.setenv("SEATPOOL_KEY_FILE", str(folder / "key"))
        fakes = lab.upstream({"accounts": ACCOUNTS})
        scenes = {}
        for port, person in enumerate(("ann", "ben"), start=8080):
            own = {"pool_rotate_on_limit": "true"} if person == "ben" else {}
            options = {**ALONE, "pool_db": url, "pool_person": person, **own}
            proxy = Mitmdump(folder / person, lab=lab, upstream_ca=fakes.ca, options=options)
            proxy.port, proxy.database = port, url
            scenes[person] = Scene(lab, fakes, proxy, folder)
        scenes["ann"].pool("alice", "bob")
        with scenes["ann"].store as store:
            store.team.set_owner("alice", "ann")
        with scenes["ann"].proxy, scenes["ben"].proxy:
            yield scenes


async def asks(scene: Scene, conversation: str) -> Incoming:
    """One turn of a conversation, read to its end."""
    client = await scene.network.http1("chatgpt.com")
    incoming = await client.send("POST", CODEX_PATH, codex_headers(conversation), CODEX_BODY)
    await incoming.body()
    await client.close()
    return incoming


def told(scene: Scene, codex: int) -> None:
    """The proxy has so many accounts for Codex by now."""
    scene.proxy.wait_last_log(r"action=(?:pool|start) ", rf"codex={codex} copilot=0$")


async def overruled(scene: Scene) -> list[str]:
    """What `seatpool status` warns of, once there is anything."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(scene.proxy.folder / "runtime"))
        async with asyncio.timeout(20):
            while not (left := troubles.read(located(str(scene.proxy.database)))):
                await asyncio.sleep(0.05)
    return [trouble.what for trouble in left]


async def test_an_account_serves_its_owner_and_whom_it_is_shared_with_and_locks_hold_for_both(
    tmp_path: Path, url: str
) -> None:
    with two_people(tmp_path, url) as people:
        ann, ben = people["ann"], people["ben"]
        fakes = ann.fakes
        with Store.open(url, person="ann") as store:
            # whoever is not listed is never served by it
            for _ in range(3):
                await asks(ben, "bens")
            await asks(ann, "anns")
            assert ann.asked(ROUTE) == ["bob", "bob", "bob", "alice"]
            assert any(re.search(r"action=person person=ben not-theirs=1", line) for line in ben.proxy.log)

            # not even where nobody else can serve: the limit is told instead
            fakes.behave("bob", {"route": ROUTE, "kind": "usage_limit", "resets_in_s": 3600})
            fakes.clear()
            assert (await asks(ben, "limited")).status == 429
            assert set(ann.asked(ROUTE)) == {"bob"}
            fakes.behave("bob")
            store.clear_cooldowns()

            # shared, it serves without a restart, and a conversation that is there stays
            store.team.share("alice", ["ben"])
            told(ben, 2)
            fakes.clear()
            await asks(ben, "warm")
            await asks(ben, "warm")
            assert ann.asked(ROUTE) == ["alice", "alice"]

            # taken back, the same conversation goes elsewhere
            store.team.unshare("alice", ["ben"])
            told(ben, 1)
            fakes.clear()
            await asks(ben, "warm")
            assert ann.asked(ROUTE) == ["bob"]
            fakes.behave("bob", {"route": ROUTE, "kind": "usage_limit", "resets_in_s": 3600})
            assert (await asks(ben, "warm")).status == 429
            assert "alice" not in ann.asked(ROUTE)
            fakes.behave("bob")
            store.clear_cooldowns()
            await asks(ann, "anns")
            assert ann.asked(ROUTE)[-1] == "alice"

            # a lock on rotation stops it in both, whatever is set there, and no longer than it is set
            store.team.share("alice", ["ben"])
            told(ben, 2)
            store.team.lock("rotate_on_limit", "false")
            for scene in (ann, ben):
                scene.proxy.wait_log(r"action=locked option=pool_rotate_on_limit value=false by=ann")
            assert ben.proxy.wait_log(r"action=locked .*here=true: what is set here does not count")
            assert [line.split(": ")[0] for line in await overruled(ben)] == [
                "pool_rotate_on_limit=true does not count here, ann has locked it to false"
            ]
            fakes.behave("alice", {"route": ROUTE, "kind": "rate_limited", "retry_after": 1})
            fakes.clear()
            for scene, name in ((ann, "one"), (ben, "two")):
                assert (await asks(scene, name)).status == 429
            assert ann.asked(ROUTE) == ["alice", "alice"]
            store.team.unlock("rotate_on_limit")
            for scene in (ann, ben):
                scene.proxy.wait_log(r"action=unlocked option=pool_rotate_on_limit value=true")
                assert (await asks(scene, "three")).status == 200

            # rules as a whole
            fakes.behave("alice")
            store.clear_cooldowns()
            store.team.lock("rules", RULES)
            for scene in (ann, ben):
                scene.proxy.wait_log(r"action=locked option=pool_rules value=team by=ann")
                fakes.clear()
                assert (await asks(scene, "ruled")).status == 200
                assert ann.asked(ROUTE) == ["bob"]

            deeds = [(deed.actor.person, deed.did, deed.account) for deed in store.team.deeds()]
            assert deeds[-3:] == [("ann", "unlock", None), ("ann", "clear-cooldowns", "alice"), ("ann", "lock", None)]
        for scene in (ann, ben):
            assert not [line for line in scene.proxy.log if "Traceback" in line or "action=follow-failed" in line]
