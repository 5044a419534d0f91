"""The page of a pool without a proxy, as a program in a lab: `python -m tests.page.serving PORT DATABASE`."""

import asyncio
import sys
from pathlib import Path

from seatpool.page.listener import Listener
from seatpool.page.site import Site
from seatpool.store import Store


async def serve(port: int, database: Path) -> None:
    """Until it is ended."""
    with Store.open(str(database)) as store:
        site = Site(lambda: store, lambda _account, _rested: None, lambda: database.with_name("page-token"))
        await Listener(site.answer).open(port)
        print("listening", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
