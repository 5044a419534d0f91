"""Which path is answered with what."""

import logging
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from urllib.parse import unquote

import msgspec

from seatpool.clock import utcnow
from seatpool.core import exposition
from seatpool.core.model import Account
from seatpool.core.outlook import outlooks
from seatpool.page import files, manners, table
from seatpool.page.board import Board
from seatpool.page.looks import AWAY, Looks
from seatpool.page.visit import EVENT_STREAM, Answer, Visit, data, words
from seatpool.service.telling import reporting
from seatpool.service.threads import apart, aside
from seatpool.setup import page_token
from seatpool.store import NotAllowed, Store, StoreError, UnknownAccount

logger = logging.getLogger(__name__)

ACCOUNTS = "/api/accounts/"
READING = frozenset({"GET", "HEAD"})
DONE = Answer(204)

Handler = Callable[[Visit], Awaitable[Answer]]
Change = Callable[[Store, str], Account]
"""Blocking. The account as it is then; raises `UnknownAccount`."""
Changed = Callable[[Account, bool], None]
"""To be told of an account that is another one now, and whether it rests no longer."""


def _pause(store: Store, name: str) -> Account:
    return store.set_paused(name, True, utcnow())


def _resume(store: Store, name: str) -> Account:
    return store.set_paused(name, False, utcnow())


def _clear(store: Store, name: str) -> Account:
    account = store.account(name)
    store.clear_cooldowns(account.id)
    return account


CLEAR = "clear-cooldowns"
CHANGES: dict[str, Change] = {"pause": _pause, "resume": _resume, CLEAR: _clear}
"""What may be done with an account."""


class Site:
    """One per proxy, for all ways that lead here."""

    def __init__(
        self,
        store: Callable[[], Store | None],
        changed: Changed,
        token_file: Callable[[], Path] = page_token.default_file,
        metrics: Callable[[], Callable[[], str] | None] = lambda: None,
    ) -> None:
        """`store`, and `metrics`, which gives what puts them into words: None while the database is away."""
        self._store = store
        self._changed = changed
        self._token_file = token_file
        self._metrics = metrics
        self.board = Board(Looks(store))
        self._read: dict[str, Handler] = {
            "/": self._page,
            "/api/report": self._report,
            "/api/forecasts": self._forecasts,
            "/api/events": self._events,
            "/metrics": self._scraped,
        }

    async def answer(self, visit: Visit, hosts: Collection[str]) -> Answer:
        """Whatever comes. `hosts`: our names there, with their port."""
        refused = manners.refusal(visit, hosts)
        if refused is not None:
            return refused
        try:
            return await self._answer(visit)
        except UnknownAccount as error:
            return words(404, str(error))
        except NotAllowed as error:
            return words(403, str(error))
        except StoreError as error:
            return words(503, str(error))
        except Exception:
            logger.exception("action=page-failed path=%r", visit.path)
            return words(500, "seatpool failed; see its log")

    async def _answer(self, visit: Visit) -> Answer:
        handler = self._read.get(visit.path)
        if handler is not None:
            return await handler(visit) if visit.method in READING else _only("GET, HEAD")
        if visit.path == "/api/token":
            return await self._act(visit, None, "")
        if visit.path.startswith(ACCOUNTS):
            name, _, what = visit.path.removeprefix(ACCOUNTS).rpartition("/")
            if name and what in CHANGES:
                return await self._act(visit, CHANGES[what], unquote(name))
        elif visit.method in READING:
            found = await aside(files.answer, visit)
            if found is not None:
                return found
        return words(404, "There is nothing here.")

    # -- reading

    async def _page(self, _visit: Visit) -> Answer:
        store = self._store()
        html = await apart(table.page, store, utcnow())
        return Answer(200, html, "text/html; charset=utf-8")

    async def _report(self, _visit: Visit) -> Answer:
        return data(await apart(lambda: msgspec.json.encode(reporting.read(self._there(), utcnow()))))

    async def _forecasts(self, _visit: Visit) -> Answer:
        def read() -> bytes:
            store = self._there()
            rows = reporting.read(store, utcnow())
            history = store.past.window_history([row.id for row in rows.accounts])
            return msgspec.json.encode(outlooks(rows.accounts, history, rows.at))

        return data(await apart(read))

    async def _scraped(self, _visit: Visit) -> Answer:
        taken = self._metrics()
        if taken is None:
            return words(503, AWAY)
        return Answer(200, (await aside(taken)).encode(), exposition.CONTENT_TYPE)

    async def _events(self, visit: Visit) -> Answer:
        if visit.method != "GET":
            return Answer(200, content_type=EVENT_STREAM)
        last = visit.headers.get("last-event-id", "")
        viewer = await self.board.open(int(last) if last.isascii() and last.isdigit() and len(last) < 19 else None)
        if viewer is None:
            return Answer(503, b"Too many are looking.\n", more={"retry-after": "10"})
        return Answer(200, content_type=EVENT_STREAM, stream=viewer)

    def _there(self) -> Store:
        store = self._store()
        if store is None:
            raise StoreError(AWAY)
        return store

    # -- acting

    async def _act(self, visit: Visit, change: Change | None, name: str) -> Answer:
        """Without a change: whether it is the token."""
        if visit.method != "POST":
            return _only("POST")
        try:
            expected = await aside(page_token.token, self._token_file())
        except OSError as error:
            return words(503, f"The token cannot be read: {error.strerror}")
        refused = manners.acting(visit, expected)
        if refused is not None or change is None:
            return refused or DONE
        account = await apart(change, self._there(), name)
        what = visit.path.rpartition("/")[2]
        self._changed(account, what == CLEAR)
        logger.info("account=%s action=%s reason=page", account.name, what)
        return DONE


def _only(methods: str) -> Answer:
    return Answer(405, f"Only {methods} is answered here.\n".encode(), more={"allow": methods})
