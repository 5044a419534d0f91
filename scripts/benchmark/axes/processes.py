"""Against the number of processes that share a database."""

from collections.abc import Sequence
from statistics import median

from scripts.benchmark.axes.axis import Axis, Setting
from scripts.benchmark.turns import Round

COLUMNS = {
    "bare_ms": ("CPU of small JSON, as many bare ones, ms", "{:.3f}"),
    "ms": ("pools, ms", "{:.3f}"),
    "x": ("x bare", "{:.3f}"),
    "idle_ms": ("CPU of each when idle, ms/s", "{:.2f}"),
    "memory_mb": ("memory of each, MB", "{:.0f}"),
}


async def along_processes(setting: Setting) -> Axis:
    """The same load, spread over more and more of them, and over as many bare ones: that costs by itself."""
    axis = Axis("processes", "processes", COLUMNS)
    bares = [await setting.bare()]
    pools = [setting.field.start(setting.field.proxy("process-1", accounts=setting.plan.accounts))]
    shared = pools[0].program.database
    for size in setting.sizes:
        while len(pools) < size:
            number = len(pools) + 1
            bares.append(setting.field.start(setting.field.proxy(f"bare-{number}", bare=True)))
            pools.append(setting.field.start(setting.field.proxy(f"process-{number}", database=shared)))
        setting.say(f"processes: {size}, {setting.plan.rounds} rounds of {setting.plan.small} x json")
        theirs, ours = await setting.beside(bares, pools)
        idle = median(seen.idle for seen in ours) / size * 1000
        memory = sum(proxy.memory_kb() for proxy in pools) / size / 1024
        row = {"at": size, "bare_ms": _at_work(theirs), "ms": _at_work(ours), "idle_ms": idle, "memory_mb": memory}
        axis.rows.append(row | {"x": row["ms"] / row["bare_ms"]})
    for proxy in (*bares, *pools):
        proxy.program.stop()
    axis.notes.append("CPU per request is without what the processes use when idle")
    axis.flat("x", "CPU of small JSON, x bare")
    return axis


def _at_work(rounds: Sequence[Round]) -> float:
    """CPU per request in ms, without that of idle processes."""
    return max(1e-9, median((seen.cpu_s - seen.idle * seen.wall_s) / seen.requests for seen in rounds) * 1000)
