"""Against the number of requests that a process has served."""

from scripts.benchmark.axes.axis import FLAT, Axis, Setting
from scripts.benchmark.goals import Goal, ratio
from scripts.benchmark.turns import contestant, in_turns
from scripts.benchmark.wire import Kind

SETTLED = 0.25
"""The share of requests after which memory is to stay as it is: caches are full, the allocator has what it wants."""
COLUMNS = {
    "bare_mb": ("memory of bare, MB", "{:.1f}"),
    "pool_mb": ("of the pool, MB", "{:.1f}"),
    "mb_x": ("x bare", "{:.3f}"),
    "pool_ms": ("CPU of small JSON, ms", "{:.3f}"),
    "ms_x": ("x bare", "{:.3f}"),
}


async def along_requests(setting: Setting) -> Axis:
    """Small answers, by turns through a bare one and through a pool."""
    axis = Axis("requests", "requests", COLUMNS)
    bare = await setting.bare()
    pool = setting.field.start(setting.field.proxy("requests", accounts=setting.plan.accounts))
    served, both = 0, [contestant(bare, name="bare"), contestant(pool, name="pool")]
    for number, size in enumerate(setting.sizes):
        setting.say(f"requests: {size:,}")
        seen = await in_turns(both, Kind.JSON, size - served, setting.plan.connections, number)
        served = size
        row = {"at": size, "bare_mb": bare.memory_kb() / 1024, "pool_mb": pool.memory_kb() / 1024}
        ms, theirs = seen["pool"].cpu_ms, seen["bare"].cpu_ms
        row |= {"mb_x": row["pool_mb"] / row["bare_mb"], "pool_ms": ms, "ms_x": ratio(ms, theirs)}
        axis.rows.append(row)
    for proxy in (bare, pool):
        proxy.program.stop()
    axis.flat("pool_mb", "memory", since=int((len(axis.rows) - 1) * SETTLED), limits=FLAT)
    last = axis.rows[-1]
    shown = f"{last['bare_mb']:.0f} MB", f"{last['pool_mb']:.0f} MB"
    axis.goals.append(Goal(f"memory after {last['at']:,.0f} requests, x bare", *shown, last["mb_x"], 1.25, 1.15))
    return axis
