"""Recording of flows while a person wishes it (`seatpool record`), with everything of theirs replaced.

As long as nobody does, twice a second it is looked whether a file is there, and that is all: what listens to flows is
loaded with the first wish, put among mitmproxy's addons, and taken out of them at its end.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mitmproxy import ctx

from seatpool.proxy.exchange import Exchanges
from seatpool.setup import recording as wishes
from seatpool.setup.recording import LOOK_EVERY_S, Wish

if TYPE_CHECKING:
    from seatpool.proxy.recorder import Session

logger = logging.getLogger(__name__)


class Recording:
    """One per proxy."""

    def __init__(self, exchanges: Exchanges, file: Callable[[], Path] = wishes.wish_file) -> None:
        self._exchanges = exchanges
        self._path = file()
        self._session: Session | None = None
        self._refused = ""
        """What could not be begun: it is not tried again and again."""
        self._next: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Look for wishes from now on."""
        self._look()

    def stop(self) -> None:
        """Write what has come, and look no more."""
        if self._next is not None:
            self._next.cancel()
        self._end()

    def _look(self) -> None:
        self._next = asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._look)
        if self._session is None and not wishes.fresh(self._path):
            return
        wish = wishes.read(self._path)
        try:
            self._follow(wish)
        except Exception:
            self._refused = wish.file if wish is not None else ""
            logger.exception("action=record reason=failed")

    def _follow(self, wish: Wish | None) -> None:
        session = self._session
        if session is not None and (wish is None or wish.ending or wish.file != session.wish.file):
            self._end()
        if self._session is None and wish is not None and not wish.ending and wish.file != self._refused:
            from seatpool.proxy.recorder import Session

            session = self._session = Session(wish, self._exchanges)
            addons = ctx.master.addons
            addons.chain.insert(0, addons.register(session.ear))  # a message is heard before the pool changes it
            addons.add(session)
            logger.info("action=record file=%s", wish.file)

    def _end(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            ctx.master.addons.remove(session.ear)
            ctx.master.addons.remove(session)
            session.finish()
            logger.info("action=recorded file=%s flows=%d", session.wish.file, session.count)
