"""Against the rate of requests: what the database takes for each of them."""

import asyncio
import time

from scripts.benchmark.axes.axis import Axis, Setting
from scripts.benchmark.axes.counting import Ledger, page_size
from scripts.benchmark.client import Group
from scripts.benchmark.wire import Kind, Requests

from seatpool.service.memory.writer import GATHER_S

LASTS_S = 8.0
"""At each rate, at most."""
LATE_S = 2 * GATHER_S
"""What the pool writes late: it gathers for so long, and what came while it wrote gathers anew."""
COLUMNS = {
    "transactions": ("transactions per request", "{:.3f}"),
    "rows": ("rows per request", "{:.2f}"),
    "kb": ("into the log, kB per request", "{:.2f}"),
}


async def along_rates(setting: Setting) -> Axis:
    """SQLite counts. Its own work beside requests (signs of life, looking for news) is in it."""
    axis = Axis("writes", "requests/s", COLUMNS)
    made = setting.field.proxy("writes", accounts=setting.plan.accounts)
    Ledger.prepare(made.program.database)
    pool = setting.field.start(made)
    async with Group(pool.target, setting.plan.connections) as group:
        await group.load(Requests(Kind.JSON), setting.plan.small)
        for rate in setting.sizes:
            count = max(1, int(min(LASTS_S * rate, setting.plan.small * setting.plan.rounds)))
            setting.say(f"writes: {count} x json, {rate:,} a second at most")
            await asyncio.sleep(LATE_S)
            with Ledger(pool.program.database) as ledger:
                took = await _paced(group, count, rate)
                await asyncio.sleep(LATE_S)
                (commits, pages), rows = ledger.written(), ledger.rows()
            kb = pages * page_size(pool.program.database) / 1024
            row = {"at": count / took, "transactions": commits / count, "rows": sum(rows.values()) / count}
            axis.rows.append(row | {"kb": kb / count})
            told = ", ".join(f"{name} {number / count:.2f}" for name, number in rows.items())
            axis.notes.append(f"rows per request at {count / took:,.0f}/s: {told}")
    pool.program.stop()
    return axis


async def _paced(group: Group, count: int, rate: float) -> float:
    """Ask so many; as fast as it goes where the rate cannot be had. Seconds that it took."""
    requests, began = Requests(Kind.JSON), time.perf_counter()
    slow = rate <= 2 * len(group.connections)
    for number in range(count if slow else 0):
        await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
        await group.connections[number % len(group.connections)].ask(requests.one())
    for done in range(0, 0 if slow else count, len(group.connections)):
        await asyncio.sleep(max(0.0, began + done / rate - time.perf_counter()))
        await group.load(requests, min(len(group.connections), count - done))
    return time.perf_counter() - began
