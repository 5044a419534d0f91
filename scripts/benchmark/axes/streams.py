"""Against the number of streams that are open at the same time."""

import contextlib
import resource

from scripts.benchmark.axes.axis import Axis, Setting
from scripts.benchmark.client import Broken, Group
from scripts.benchmark.goals import Goal
from scripts.benchmark.turns import cpu_ms, over
from scripts.benchmark.wire import Kind, Requests

SPARE = 200
"""File descriptors beside those of the streams."""
COLUMNS = {
    "bare_kb": ("memory of a stream, bare, kB", "{:.0f}"),
    "pool_kb": ("pool, kB", "{:.0f}"),
    "kb_x": ("x bare", "{:.3f}"),
    "bare_ms": ("CPU of a short stream beside them, bare, ms", "{:.3f}"),
    "pool_ms": ("pool, ms", "{:.3f}"),
    "ms_x": ("x bare", "{:.3f}"),
}


async def along_streams(setting: Setting) -> Axis:
    """More and more streams through a bare one and through a pool, and short ones beside them."""
    axis = Axis("streams", "open streams", COLUMNS)
    sizes = _possible(setting, axis)
    bare, pool = await setting.bare(), setting.field.start(setting.field.proxy("streams", accounts=100))
    before = {proxy.name: proxy.memory_kb() for proxy in (bare, pool)}
    held = 0
    async with contextlib.AsyncExitStack() as open_:
        for size in sizes:
            setting.say(f"streams: opening {size:,}, then {setting.plan.rounds} rounds of {setting.plan.short} x short")
            row: dict[str, float] = {"at": size}
            for name, proxy in (("bare", bare), ("pool", pool)):
                group = await open_.enter_async_context(Group(proxy.target, size - held))
                await group.hold(Requests(Kind.HELD))
                row[f"{name}_kb"] = (proxy.memory_kb() - before[proxy.name]) / size
            held = size
            theirs, ours = await setting.beside([bare], [pool], Kind.SHORT)
            row |= {"bare_ms": cpu_ms(theirs), "pool_ms": cpu_ms(ours), "ms_x": over(ours, theirs)}
            axis.rows.append(row | {"kb_x": row["pool_kb"] / max(row["bare_kb"], 1e-9)})
    for proxy in (bare, pool):
        proxy.program.stop()
    last = axis.rows[-1]
    shown = f"{last['bare_kb']:.0f} kB", f"{last['pool_kb']:.0f} kB"
    axis.goals.append(Goal(f"memory per stream, {last['at']:,.0f} open, x bare", *shown, last["kb_x"], 1.1, 1.0))
    axis.flat("ms_x", "CPU of a short stream, x bare")
    return axis


def _possible(setting: Setting, axis: Axis) -> list[int]:
    """Each stream takes two descriptors here, where both proxies' clients live."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = soft if hard == resource.RLIM_INFINITY else hard
    found = [size for size in setting.sizes if 2 * size + SPARE <= allowed]
    if len(found) < len(setting.sizes):
        axis.notes.append(f"no more than {allowed:,} open files are allowed here, so no more streams were opened")
    if not found:
        raise Broken(f"{allowed} open files are allowed here: too few for {min(setting.sizes)} streams (ulimit -n)")
    return found
