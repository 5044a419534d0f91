"""Against the number of accounts in the pool."""

from statistics import median

from scripts.benchmark.axes.axis import Axis, Setting
from scripts.benchmark.starting import let_learn, start_in_turns
from scripts.benchmark.turns import contestant, cpu_ms, over
from scripts.benchmark.wire import Kind

REFERENCE = 10
"""Accounts of the pool that larger ones are compared with, where it is there."""
COLUMNS = {
    "json_ms": ("CPU of small JSON, ms", "{:.3f}"),
    "json_x": ("x bare", "{:.3f}"),
    "short_ms": ("CPU of a short stream, ms", "{:.3f}"),
    "short_x": ("x bare", "{:.3f}"),
    "start_s": ("start, s", "{:.2f}"),
    "memory_mb": ("memory, MB", "{:.0f}"),
}


async def along_accounts(setting: Setting) -> Axis:
    """Pools of every size and a bare one, all at the same time and in turns."""
    axis = Axis("accounts", "accounts", COLUMNS)
    setting.say(f"accounts: making {', '.join(f'{size:,}' for size in setting.sizes)}")
    bare = await setting.bare()
    made = [setting.field.proxy(f"accounts-{size}", accounts=size) for size in setting.sizes]
    setting.say("accounts: one request for everybody")
    for size, proxy in zip(setting.sizes, made, strict=True):
        await let_learn(setting.field, proxy, size, setting.plan.connections)
    setting.say(f"accounts: {setting.plan.starts} starts of each")
    pools, took = await start_in_turns(setting.field, made, setting.plan.starts)
    contestants = [contestant(proxy) for proxy in (bare, *pools)]
    seen = {}
    for kind in (Kind.JSON, Kind.SHORT):
        setting.say(f"accounts: {setting.plan.rounds} rounds of {setting.plan.requests(kind)} x {kind}")
        seen[kind] = await setting.rounds(contestants, kind)
    for size, proxy in zip(setting.sizes, pools, strict=True):
        row: dict[str, float] = {"at": size, "start_s": median(took[proxy.name])}
        row["memory_mb"] = proxy.memory_kb() / 1024
        for key, kind in (("json", Kind.JSON), ("short", Kind.SHORT)):
            rounds = seen[kind][proxy.name]
            row |= {f"{key}_ms": cpu_ms(rounds), f"{key}_x": over(rounds, seen[kind][bare.name])}
        axis.rows.append(row)
    for proxy in (bare, *pools):
        proxy.program.stop()
    since = setting.sizes.index(REFERENCE) if REFERENCE in setting.sizes else 0
    axis.flat("json_ms", "CPU of small JSON", since=since)
    axis.flat("short_ms", "CPU of a short stream", since=since)
    return axis
