"""The addon: mitmproxy's hooks on one side, the pool service on the other.

A hook's body is one `try`: whatever goes wrong inside is logged once and the flow goes on as if the pool were not here.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from mitmproxy import connection, ctx, exceptions, http, version
from mitmproxy.addonmanager import Loader
from mitmproxy.proxy import layer, server_hooks

from seatpool.core.empty import EMPTY_POOL
from seatpool.providers.registry import match, provider_of, stray
from seatpool.proxy import (
    about,
    checking,
    deferred,
    listening,
    messages,
    options,
    process,
    sealed,
    settings,
    shortcuts,
    starting,
)
from seatpool.proxy.answers import comes_bit_by_bit, is_event_stream
from seatpool.proxy.certificates import Certificates
from seatpool.proxy.commands import Commands
from seatpool.proxy.counting import Counting
from seatpool.proxy.door import Door, Opened
from seatpool.proxy.exchange import LOOP_DETECTED, Exchange, Exchanges
from seatpool.proxy.faults import Faults
from seatpool.proxy.guard import FAULT, Guard
from seatpool.proxy.hiding import hide_password
from seatpool.proxy.layers import replay, seams, sockets
from seatpool.proxy.layers.boundary import FIRST_REFUSAL
from seatpool.proxy.layers.wording import say, word_refused_connect
from seatpool.proxy.locking import Locking
from seatpool.proxy.loops import Loops
from seatpool.proxy.own_host import OwnHost
from seatpool.proxy.pac import PacFile
from seatpool.proxy.page import Page
from seatpool.proxy.recording import Recording
from seatpool.proxy.seen import Seen
from seatpool.proxy.serving import Serving
from seatpool.proxy.shown import client_quota
from seatpool.service.flows.rulebook import RulesError
from seatpool.service.memory.records import CUT, LEFT, OK
from seatpool.service.network import reaching
from seatpool.service.pool import PoolService
from seatpool.setup.code import MITMPROXY
from seatpool.setup.strangers import paths_file

logger = logging.getLogger(__name__)

UNKNOWN_PATH = "action=passed request=%r reason=unknown-path: seatpool does not know what it is for"


class Pool:
    """What `addon/pool.py` gives to mitmproxy."""

    def __init__(self) -> None:
        self.loops = Loops()
        self.exchanges = Exchanges(explained=self.loops.explains)
        self.guard = Guard()
        self.serving = Serving(self.exchanges, self.guard)
        self.recording = Recording(self.exchanges)
        self.certificates = Certificates()
        self.faults = Faults()
        self.locking = Locking(self.guard.book, self.faults)
        self._door: Door | None = None
        self._waiting: asyncio.Task[None] | None = None
        self._opened: Opened | None = None
        self.strays = Counting(paths_file, UNKNOWN_PATH)
        self.page = Page(lambda: self._opened.store if self._opened else None, lambda: self.service)
        self.own_host = OwnHost(self.page)
        self.seen = Seen()
        # mitmproxy asks these for their hooks after this one
        self.addons = (PacFile(), self.loops, self.own_host, self.page, self.seen)
        self._misread: tuple[str, ...] = ()
        """What is wrong with options that were said before they were known; a start ends with that."""
        self._database: str | None = None
        self._person = ""
        self._builtin: Any = None
        self._moving: asyncio.Task[None] | None = None
        self._stay: Callable[[], object] = lambda: None

    @property
    def service(self) -> PoolService | None:
        """None while the database is away."""
        return self.serving.service

    # -- life

    def load(self, loader: Loader) -> None:
        """Declare the options, and look at what was said of them before."""
        self._stay = starting.watch(loader.master, lambda: self._database is not None)
        process.prepare(loader.master)
        options.add_options(loader)
        self._misread = tuple(deferred.settle(loader.master.options))
        for problem in self._misread:
            starting.refuse(problem)
        Commands(lambda: self._opened).add(loader)

    def configure(self, updated: set[str]) -> None:
        """Check the options; the first time, open the database and read the pool."""
        if self._misread:
            return  # what is in force instead is nobody's wish, and may name another database
        if self._database is None:
            self._database, self._person = settings.database_of(ctx.options), ctx.options.pool_person
            try:
                self._begin(self._database)
            except exceptions.OptionsError as error:  # mitmproxy would say it with the way here, in fifty lines
                starting.refuse(str(error))
            return
        checking.check(ctx.options)
        self.locking.check(updated)
        self._set_up_exchanges()
        if not updated.isdisjoint(sealed.OPTIONS):
            self._look_for_seals()
        if "pool_db" in updated and settings.database_of(ctx.options) != self._database:
            raise exceptions.OptionsError("pool_db: restart to change the database")
        if "pool_person" in updated and ctx.options.pool_person != self._person:
            raise exceptions.OptionsError("pool_person: restart to be somebody else")
        if "pool_rules" in updated:
            self._read_rules()
        if self.service is not None:
            self.service.set_policy(settings.policy_of(ctx.options))

    def _begin(self, database: str) -> None:
        wrong = seams.missing_seams()
        if wrong:
            raise exceptions.OptionsError(
                f"mitmproxy {version.VERSION} does not fit the replay layer ({'; '.join(wrong)}): install {MITMPROXY}"
            )
        options.apply_defaults(ctx.options)
        checking.check(ctx.options)
        self._look_for_seals()
        self._set_up_exchanges()
        self._read_rules()
        self.exchanges.at_once = shortcuts.install(ctx.master.addons)
        self._open(database)

    def _set_up_exchanges(self) -> None:
        self.exchanges.limits = settings.limits_of(ctx.options)
        self.exchanges.named = ctx.options.pool_account_header
        self.exchanges.quota = client_quota(ctx.options.pool_client_quota, self.service)

    def _look_for_seals(self) -> None:
        problem = sealed.said_of(ctx.options)
        if problem is not None:
            logger.warning("action=sealed reason=%s", problem)

    def _read_rules(self) -> None:
        try:
            self.guard.book.load(ctx.options.pool_rules)
        except RulesError as error:
            raise exceptions.OptionsError(str(error)) from error

    def _open(self, database: str) -> None:
        self._door = Door(database, ctx.options)
        self.faults.database = self._door.where
        opened = self._door.open()
        if opened is not None:
            self._come_in(opened)
            return
        # A warning, not an error: mitmproxy ends on errors at start, and a dead proxy is worse than none.
        problem = self._door.problem or ""
        logger.warning("action=%s reason=%s; it is tried again", ctx.options.pool_on_failure, problem)
        self.faults.database_is(problem)

    def _come_in(self, opened: Opened) -> None:
        self._opened = opened
        self.serving.service = opened.service
        service = opened.service
        self.exchanges.quota = client_quota(ctx.options.pool_client_quota, service)
        service.ruling.rule_of = self.guard.book.of_turn
        service.notices.expiry = lambda: self.certificates.expiry
        service.follower.health.tell = self.faults.database_is
        service.knowledge.relocked = lambda: self.locking.take(service.knowledge.locks)
        service.knowledge.relocked()
        roster = service.knowledge.roster
        logger.info("action=start database=%s codex=%d copilot=%d", opened.store.url, *roster.values())
        foreign = len(service.knowledge.state.foreign)
        if foreign:
            logger.info("action=person person=%s not-theirs=%d", opened.store.team.person, foreign)
        if not any(roster.values()):
            logger.info("action=%s reason=no-account: %s", ctx.options.pool_on_failure, EMPTY_POOL)

    def _come_late(self, opened: Opened) -> None:
        self.faults.database_is(None)
        self._come_in(opened)
        opened.service.start()

    def running(self) -> None:
        """Close every door but loopback's; follow what other processes write."""
        process.settle_in(ctx.master)
        self._stay()
        if unheard := deferred.unheard(ctx.options):
            logger.warning("action=ignored options=%s reason=unknown: no such option is known here", ",".join(unheard))
        servers = ctx.master.addons.get("proxyserver").servers
        self._moving = asyncio.create_task(listening.move_to_loopback(ctx.options, servers))
        counted = {"hosts": self.certificates.strangers, "paths": self.strays}
        database = lambda: self._opened.store.url if self._opened else None  # noqa: E731 # a name for what is passed on
        self.own_host.pages[about.PATH] = about.About(self.seen, counted, database, self.page).page
        self.guard.book.start()
        self.recording.start()
        if self.service is not None:
            self.service.start()
        elif self._door is not None:
            self._waiting = asyncio.create_task(self._door.wait(self._come_late), name="seatpool door")

    async def done(self) -> None:
        """Finish what is under way and write what is queued."""
        await self.guard.book.stop()
        self.recording.stop()
        for counting in (self.certificates.strangers, self.strays):
            await asyncio.to_thread(counting.write)
        for flow_id in self.exchanges.of_client():
            self._end(flow_id, CUT)
        if self._waiting is not None:
            self._waiting.cancel()
        opened, self._opened, self.serving.service = self._opened, None, None
        if opened is not None:
            await opened.service.stop()
            await opened.transport.close()
            await asyncio.to_thread(opened.store.close)
        await self.faults.end()
        process.leave()

    # -- a request

    def http_connect_error(self, flow: http.HTTPFlow) -> None:
        """With `connection_strategy=eager` a host that cannot be reached is mitmproxy's to tell, in plain text."""
        word_refused_connect(flow)

    def next_layer(self, nextlayer: layer.NextLayer) -> None:
        """Put the replay layer where HTTP to a pooled host begins; leave sealed what our authority is not for."""
        try:
            if self._builtin is None:
                self._builtin = ctx.master.addons.get("nextlayer")
            if self.loops.stops(nextlayer) or self.own_host.serves(nextlayer):
                return
            tlsconfig = ctx.master.addons.get("tlsconfig")
            if not self.certificates.passes(nextlayer, tlsconfig, ctx.options, self.own_host.takes):
                self.page.attends(nextlayer, self._builtin)
                replay.install(nextlayer, self._builtin, self.exchanges)
        except Exception:  # what comes of it then is looked at again in `request`
            self.faults.note("next_layer", ctx.options.pool_on_failure)

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Find out what is asked, of whom and by whom: that decides whether the body is read whole."""
        exchange, request = self.exchanges.get(flow), flow.request
        try:
            hide_password(flow)
            upgrade = request.headers.get("upgrade", "").lower() == "websocket"
            host = exchange.host if exchange is not None else request.pretty_host
            route = match(request.method, host, request.path, upgrade=upgrade)
            if route is None:
                if exchange is None:
                    self.own_host.hide(flow)
                elif (kind := stray(request.method, host, request.path)) is not None:
                    self.strays.note(kind)
                return
            if exchange is None:
                self.guard.unseen(flow, route)
                return
            self.guard.expect(exchange, route)
        except Exception:
            self.faults.note("requestheaders", ctx.options.pool_on_failure)
            self._give_up(flow, exchange)

    async def request(self, flow: http.HTTPFlow) -> None:
        """The request was read whole: put it on an account, where it may move."""
        exchange = self.exchanges.get(flow)
        if exchange is None or exchange.route is None or flow.response is not None:
            return
        try:
            await self.serving.assign(flow, exchange, exchange.route)
        except Exception:
            self.faults.note("request", ctx.options.pool_on_failure)
            self._give_up(flow, exchange)

    # -- an answer

    def responseheaders(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """An answer begins: learn from its head, let events through as they come. Awaited where that has to wait."""
        exchange = self.exchanges.get(flow)
        response = flow.response
        if exchange is None or response is None:
            if response is not None and flow.server_conn.connected and comes_bit_by_bit(response):
                response.stream = True  # of a host that is not ours, asked in the clear
            return None
        if response.status_code >= FIRST_REFUSAL:
            return None  # it is read whole: `Holding.start_response_stream`
        if is_event_stream(response, partial(exchange.asks_for_stream, flow.request)):
            response.stream = True
        try:
            failed = partial(self.faults.note, "responseheaders", "passthrough")
            return self.serving.begins(exchange, response, failed)
        except Exception:
            self.faults.note("responseheaders", "passthrough")
            return None

    async def pool_recover(self, flow: http.HTTPFlow) -> None:
        """An attempt was refused, or failed before a byte of its answer: send again, or say what the editor gets."""
        exchange = self.exchanges.get(flow)
        if exchange is None:
            return
        loop = self.loops.explains(flow.request.pretty_host) if flow.response is None else None
        if loop is not None:
            exchange.answer = exchange.say(LOOP_DETECTED, loop)
            return
        try:
            await self.serving.recover(flow, exchange)
        except Exception:
            exchange.again = None
            self.faults.note("pool_recover", "deliver")

    # -- WebSocket messages

    def websocket_start(self, flow: http.HTTPFlow) -> None:
        """A socket is open."""
        exchange = self.exchanges.get(flow)
        if exchange is not None and exchange.trail is not None and self.service is not None:
            close = partial(sockets.close_between_turns, flow, ctx.master.addons.get("proxyserver"))
            self.service.sockets.opened(exchange.trail, close)

    async def websocket_message(self, flow: http.HTTPFlow) -> None:
        """Learn from frames; rewrite a refusal into the reconnect that the client performs silently."""
        exchange = self.exchanges.get(flow)
        if exchange is None or exchange.facts is None or flow.websocket is None:
            return
        message, service = flow.websocket.messages[-1], self.service
        # An hour's socket would otherwise keep every prompt and answer in memory, and in a dump of flows.
        del flow.websocket.messages[:-1]
        if message.from_client and not self.guard.client_message(flow, exchange, message, service):
            return
        if exchange.trail is None or service is None or (message.injected and not message.from_client):
            return
        try:
            await messages.relay(flow, exchange, exchange.trail, message, service)
            if self.exchanges.get(flow) is not exchange:
                service.release(exchange.trail)  # as in `Serving.assign`
        except Exception:
            self.faults.note("websocket_message", "passthrough")

    # -- every way out

    def response(self, flow: http.HTTPFlow) -> None:
        """The answer is complete; a WebSocket goes on."""
        if flow.websocket is None:
            try:
                exchange = self.exchanges.get(flow)
                if exchange is not None:
                    self.serving.add_models(flow, exchange)
                    self.serving.looked_up(flow, exchange)
            except Exception:
                self.faults.note("response", "passthrough")
            self._end(flow.id, OK, flow.response)

    def error(self, flow: http.HTTPFlow) -> None:
        """The flow ended without an answer, or the client went away."""
        self._end(flow.id, CUT)

    def websocket_end(self, flow: http.HTTPFlow) -> None:
        """The WebSocket is closed."""
        self._end(flow.id, LEFT if flow.websocket is not None and flow.websocket.closed_by_client else CUT)

    def client_connected(self, client: connection.Client) -> None:
        """Nobody from outside without a password."""
        listening.turn_away(client, ctx.options, ctx.master.addons.get("proxyserver").connections)

    def server_connect(self, data: server_hooks.ServerConnectionHookData) -> None:
        """In the task that connects next. An upstream proxy's name does not tell what it is asked for."""
        reaching.for_us.set(provider_of(data.client.sni or "") is not None)

    def client_disconnected(self, client: connection.Client) -> None:
        """Whatever a connection left open ends with it."""
        for flow_id in self.exchanges.of_client(client.id):
            self._end(flow_id, LEFT)

    def _end(self, flow_id: str, outcome: str, response: http.Response | None = None) -> None:
        exchange = self.exchanges.end(flow_id)
        if exchange is None:
            return
        try:
            exchange.left()
            self.serving.ended(exchange, outcome, response)
        except Exception:
            self.faults.note("end", "not-recorded")
        finally:
            self._release(exchange)

    def _release(self, exchange: Exchange) -> None:
        try:
            self.serving.release(exchange)
        except Exception:
            self.faults.note("release", "passthrough")

    def _give_up(self, flow: http.HTTPFlow, exchange: Exchange | None) -> None:
        """A fault of ours: the flow goes on as the editor sent it, or is blocked where that is the person's choice."""
        if exchange is not None:
            self._release(exchange)
            exchange.trail = None
            exchange.aim(flow.request)
            if exchange.bound:
                self.guard.refuse(flow, exchange, 503, FAULT)
                return
        if ctx.options.pool_on_failure == "block":
            provider = provider_of(exchange.host if exchange is not None else flow.request.pretty_host)
            if provider is not None:
                flow.response = say(provider, 503, "something failed, see its log")
