"""Against the number of requests on record."""

import asyncio
import sqlite3
import sys
import time
from pathlib import Path
from statistics import median

from scripts.benchmark.axes.axis import Axis, Setting
from scripts.benchmark.axes.filling import fill_history
from scripts.benchmark.client import Broken
from scripts.benchmark.field import Field, Proxy
from scripts.benchmark.starting import first_answer, start_in_turns
from scripts.benchmark.turns import cpu_ms, over

from tests.harness import REPOSITORY

ACCOUNTS = 10
PRUNED_WITHIN_S = 300.0
COLUMNS = {
    "start_s": ("start, s", "{:.2f}"),
    "pruned_s": ("until the old is dropped, s", "{:.1f}"),
    "ms": ("CPU of small JSON, ms", "{:.3f}"),
    "x": ("x bare", "{:.3f}"),
    "memory_mb": ("memory, MB", "{:.0f}"),
    "status_s": ("seatpool status, s", "{:.2f}"),
    "usage_s": ("usage, s", "{:.2f}"),
    "file_mb": ("file, MB", "{:,.0f}"),
}


async def along_history(setting: Setting) -> Axis:
    """A database for every size; a day's share of what is in it is older than what is kept."""
    axis = Axis("history", "requests on record", COLUMNS)
    bare = await setting.bare()
    for size in setting.sizes:
        setting.say(f"history: making {size:,} requests")
        pool = setting.field.proxy(f"history-{size}", accounts=ACCOUNTS)
        database = Path(pool.program.database)
        await _sample(setting.field, pool)
        row: dict[str, float] = {"at": size}
        row["file_mb"] = await asyncio.to_thread(fill_history, database, size, ACCOUNTS) / 2**20
        setting.say(f"history: {size:,}, what is old, and {setting.plan.starts} starts")
        began = time.perf_counter()
        pool = setting.field.start(pool)
        await first_answer(pool.target)
        row["pruned_s"] = await _pruned(database, began)
        (pool,), took = await start_in_turns(setting.field, [pool], setting.plan.starts)
        row["start_s"] = median(took[pool.name])
        theirs, ours = await setting.beside([bare], [pool])
        row |= {"ms": cpu_ms(ours), "x": over(ours, theirs), "memory_mb": pool.memory_kb() / 1024}
        for command in ("status", "usage"):
            row[f"{command}_s"] = await asyncio.to_thread(_asked, setting, database, command)
        pool.program.stop()
        for part in database.parent.glob(database.name + "*"):
            part.unlink()  # gigabytes, and nobody needs them any more
        axis.rows.append(row)
    bare.program.stop()
    axis.flat("x", "CPU of small JSON, x bare")
    axis.flat("start_s", "start", limits=(1.5, 1.2))
    return axis


async def _sample(field: Field, pool: Proxy) -> None:
    """Let a few real requests be recorded, of which all others are made."""
    started = field.start(pool)
    for _ in range(3):
        await first_answer(started.target)
    pool.program.stop()


async def _pruned(database: Path, began: float) -> float:
    """Seconds until nothing is left of what is too old; what is not wanted lies before a mark that `filling` made."""
    db = sqlite3.connect(database, timeout=60)
    try:
        while time.perf_counter() - began < PRUNED_WITHIN_S:
            oldest = db.execute("SELECT count(*) FROM (SELECT 1 FROM endings, bench_mark WHERE began_at < due LIMIT 1)")
            if not oldest.fetchone()[0]:
                return time.perf_counter() - began
            await asyncio.sleep(0.05)
    finally:
        db.close()
    raise Broken(f"what is too old was still there after {PRUNED_WITHIN_S:.0f} s")


def _asked(setting: Setting, database: Path, command: str) -> float:
    """Seconds for a command of `seatpool`, the better of two."""
    argv = [sys.executable, "-m", "seatpool.cli", command, "--db", str(database), "--json"]
    took = []
    for _ in range(2):
        began = time.perf_counter()
        ran = setting.field.run(argv, {"PYTHONPATH": str(REPOSITORY / "addon"), "SEATPOOL_KEYRING": "off"})
        took.append(time.perf_counter() - began)
        if ran.returncode not in (0, 1):
            raise Broken(f"seatpool {command} ended with {ran.returncode}: {ran.stderr[-300:]}")
    return min(took)
