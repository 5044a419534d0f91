"""Against the number of processes that share a database."""

from collections.abc import Sequence
from statistics import median

from scripts.benchmark.axes.axis import Axis, Setting
from scripts.benchmark.turns import Round

COLUMNS = {
    "ms": ("CPU of small JSON, all processes, ms", "{:.3f}"),
    "x": ("x bare", "{:.3f}"),
    "idle_ms": ("CPU of each when idle, ms/s", "{:.2f}"),
    "memory_mb": ("memory of each, MB", "{:.0f}"),
}


async def along_processes(setting: Setting) -> Axis:
    """The same load, spread over more and more of them."""
    axis = Axis("processes", "processes", COLUMNS)
    bare = await setting.bare()
    pools = [setting.field.start(setting.field.proxy("process-1", accounts=setting.plan.accounts))]
    shared = pools[0].program.database
    for size in setting.sizes:
        while len(pools) < size:
            made = setting.field.proxy(f"process-{len(pools) + 1}", database=shared)
            pools.append(setting.field.start(made))
        setting.say(f"processes: {size}, {setting.plan.rounds} rounds of {setting.plan.small} x json")
        theirs, ours = await setting.beside(bare, *pools)
        idle = median(seen.idle for seen in ours) / size * 1000
        memory = sum(proxy.memory_kb() for proxy in pools) / size / 1024
        row = {"at": size, "ms": _at_work(ours), "idle_ms": idle, "memory_mb": memory}
        axis.rows.append(row | {"x": row["ms"] / _at_work(theirs)})
    for proxy in (bare, *pools):
        proxy.program.stop()
    axis.notes.append("CPU per request is without what the processes use when idle")
    axis.flat("x", "CPU of small JSON, x bare")
    return axis


def _at_work(rounds: Sequence[Round]) -> float:
    """CPU per request in ms, without that of idle processes."""
    return max(1e-9, median((seen.cpu_s - seen.idle * seen.wall_s) / seen.requests for seen in rounds) * 1000)
