"""The pool's database goes away, in every way; requests go on, nothing is lost, and no restart is needed."""

import asyncio
import os
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from seatpool.store import Store
from tests.e2e.conftest import Scene
from tests.e2e.test_promises import post
from tests.harness.namespace import REPOSITORY

LIMITED = {"kind": "usage_limit", "route": "responses"}


async def served_by(scene: Scene, conversation: str, within_s: float = 4.0) -> bytes:
    begun = time.monotonic()
    status, body = await post(scene, conversation)
    assert status == 200
    assert time.monotonic() - begun < within_s, "a request does not wait for a database that is away"
    return next(name for name in (b"alice", b"bob", b"editor") if name + b"0" in body)


def status(scene: Scene, database: str) -> tuple[str, str]:
    """What the command prints on standard output and on standard error."""
    environment = {
        "PYTHONPATH": str(REPOSITORY / "addon"),
        "SEATPOOL_KEYRING": "off",
        "XDG_RUNTIME_DIR": str(scene.proxy.folder / "runtime"),
    }
    ran = scene.lab.run(
        [sys.executable, "-m", "seatpool.cli", "--db", database, "status", "--json"], env=environment, cwd=scene.folder
    )
    return ran.stdout, ran.stderr


async def test_a_lock_of_ten_seconds_and_a_clock_that_is_set_lose_nothing(start: Callable[..., Scene]) -> None:
    scene = start("alice", "bob", arguments=("-s", str(Path(__file__).with_name("set_clock.py"))))
    assert await served_by(scene, "before") == b"alice"
    scene.fakes.behave("alice", {**LIMITED, "rate_limits": False})  # no window resets when the limit ends
    with sqlite3.connect(scene.proxy.database, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        until = time.monotonic() + 10
        requests = 0
        said = None
        while time.monotonic() < until:
            assert await served_by(scene, f"talk-{requests}") == b"bob"
            requests += 1
            if said is None and requests == 3:
                scene.proxy.wait_log("action=database-away .*database is locked")
                said = await asyncio.to_thread(status, scene, str(scene.proxy.database))
            await asyncio.sleep(0.5)
        other.execute("ROLLBACK")
    other.close()
    assert said is not None
    assert "warning:" in said[1]
    assert "says since" in said[1]
    scene.proxy.wait_log("action=database-back .* lost=0")
    assert len([line for line in scene.proxy.log if "action=database-away" in line]) == 1
    with scene.store as store:
        await asyncio.to_thread(wait_until, lambda: len(store.past.attempts(limit=999)) == requests + 2)
    held = scene.cooldowns()["alice"]

    os.kill(scene.proxy.pid, signal.SIGUSR1)
    scene.proxy.wait_log("action=clock-jump by_s=3[56]")
    assert await served_by(scene, "an hour later") == b"bob", "a limit does not end early"
    await asyncio.to_thread(wait_until, lambda: scene.cooldowns()["alice"].until > held.until)
    assert abs(scene.cooldowns()["alice"].until - held.until - timedelta(hours=1)) < timedelta(seconds=5)
    os.kill(scene.proxy.pid, signal.SIGUSR2)
    scene.proxy.wait_log("action=clock-jump by_s=-3[56]")
    assert await served_by(scene, "and back") == b"bob"


async def test_a_damaged_file_is_passed_by_and_its_successor_taken_up_also_when_its_disk_fills(
    start: Callable[..., Scene], tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    database = disk / "pool.db"
    database.write_bytes(b"no database at all, but long enough to look like a file" * 100)
    scene = start("alice", "bob", pool_db=str(database))
    assert await served_by(scene, "damaged") == b"editor"
    assert len([line for line in scene.proxy.log if "not a database" in line]) == 1
    said = await asyncio.to_thread(status, scene, str(database))
    assert "not a database" in said[1]
    assert "says since" in said[1]

    made = scene.lab.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk])
    assert made.returncode == 0, made.stderr
    for name in ("pool.db.key", "pool.db"):
        scene.lab.run(["cp", scene.proxy.database.with_name(name), disk / name])
    scene.proxy.wait_log("action=start .* codex=2", 20)
    assert await served_by(scene, "mended") == b"alice"

    await asyncio.sleep(1.5)  # until what was seen is written, so that the disk is as full as it can be
    scene.lab.run(["sh", "-c", f"cat /dev/zero > '{disk}/fill'"])
    scene.fakes.behave("alice", LIMITED)
    for number in range(6):
        assert await served_by(scene, f"full-{number}") == b"bob"
        await asyncio.sleep(0.3)
    scene.proxy.wait_log("action=database-away .*full")
    said = await asyncio.to_thread(status, scene, str(database))
    assert "full" in said[1]
    scene.lab.run(["rm", disk / "fill"])
    scene.proxy.wait_log("action=database-back .* lost=0")
    await asyncio.sleep(1.5)
    told = await asyncio.to_thread(status, scene, str(database))
    assert "usage_limit_reached" in told[0]
    assert "says since" not in told[1]


async def test_block_holds_while_a_newer_seatpools_file_is_there_and_ends_with_it(
    start: Callable[..., Scene], tmp_path: Path
) -> None:
    newer = tmp_path / "newer.db"
    Store.open(str(newer)).close()
    with sqlite3.connect(newer) as other:
        other.execute("UPDATE alembic_version SET version_num = '9999'")
    other.close()
    scene = start("alice", pool_db=str(newer), pool_on_failure="block")
    answer, body = await post(scene)
    assert (answer, b'"error"' in body) == (503, True)
    assert scene.asked("responses") == []
    assert [line for line in scene.proxy.log if "NewerDatabase" in line]
    for name in ("pool.db.key", "pool.db"):
        aside = tmp_path / "aside"
        shutil.copy(scene.proxy.database.with_name(name), aside)
        aside.replace(tmp_path / name.replace("pool", "newer"))
    scene.proxy.wait_log("action=start .* codex=1", 20)
    assert await served_by(scene, "mended") == b"alice"


def wait_until(holds: Callable[[], bool], timeout_s: float = 10) -> None:
    until = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)
