"""The addon: mitmproxy's hooks on one side, the pool service on the other.

A hook's body is one `try`: whatever goes wrong inside is logged once and the flow goes on as if the pool were not here.
"""

import asyncio
import gc
import logging
from functools import partial
from typing import Any

from mitmproxy import connection, ctx, exceptions, http
from mitmproxy.addonmanager import Loader
from mitmproxy.proxy import layer

from seatpool.clock import utcnow
from seatpool.core.model import ProviderName
from seatpool.core.selection import BOUND
from seatpool.providers.base import Headers, RequestFacts, Route
from seatpool.providers.openings import Opening
from seatpool.providers.registry import match, provider_of, stray
from seatpool.proxy import dispatch, listening, messages, options, replay, seams, sockets
from seatpool.proxy.answers import add_models, as_response, body_of, exhausted, reply_of
from seatpool.proxy.boundary import FIRST_REFUSAL
from seatpool.proxy.certificates import Certificates
from seatpool.proxy.counting import Counting
from seatpool.proxy.door import Door, Opened
from seatpool.proxy.exchange import Exchange, Exchanges
from seatpool.proxy.faults import Faults
from seatpool.proxy.guard import AWAY, EARLY, FAULT, NO_LOGIN, NOBODY, Guard
from seatpool.proxy.tap import tap
from seatpool.proxy.wording import no_such_surface, say, word_refused_connect
from seatpool.service.pool import PoolService
from seatpool.service.records import CUT, LEFT, OK
from seatpool.service.rulebook import RulesError
from seatpool.service.trail import Answered, Assignment, Halted, Trail
from seatpool.setup.strangers import paths_file

logger = logging.getLogger(__name__)

UNKNOWN_PATH = "action=passed request=%r reason=unknown-path: seatpool does not know what it is for"
EVENT_STREAM = "text/event-stream"
UNSERVED = (
    "seatpool: no account of yours can serve this now, and pool_on_failure=block keeps your editor's own login out"
)
REVOKED = (
    "seatpool: {choice.account.issuer} has revoked or flagged the account {choice.account.name} ({choice.code}); it is "
    "disabled until you say `seatpool account resume`, and this request was not sent to another one"
)


class Pool:
    """What `addon/pool.py` gives to mitmproxy."""

    def __init__(self) -> None:
        self.exchanges = Exchanges()
        self.service: PoolService | None = None
        self.guard = Guard()
        self.certificates = Certificates()
        self.faults = Faults()
        self._door: Door | None = None
        self._waiting: asyncio.Task[None] | None = None
        self._opened: Opened | None = None
        self.strays = Counting(paths_file, UNKNOWN_PATH)
        self._database: str | None = None
        self._builtin: Any = None
        self._told: set[tuple[ProviderName, bool]] = set()
        self._moving: asyncio.Task[None] | None = None

    # -- life

    def load(self, loader: Loader) -> None:
        """Declare the options."""
        gc.freeze()  # as in this package's beginning
        options.add_options(loader)

    def configure(self, updated: set[str]) -> None:
        """Check the options; the first time, open the database and read the pool."""
        if self._database is None:
            self._database = options.database_of(ctx.options)
            wrong = seams.missing_seams()
            if wrong:
                raise exceptions.OptionsError(
                    f"this mitmproxy does not fit the replay layer ({'; '.join(wrong)}): install mitmproxy>=12.2,<13"
                )
            options.apply_defaults(ctx.options)
            options.check(ctx.options)
            self.exchanges.limits = options.limits_of(ctx.options)
            self._read_rules()
            dispatch.install(ctx.master.addons)
            self._open(self._database)
            return
        options.check(ctx.options)
        self.exchanges.limits = options.limits_of(ctx.options)
        if "pool_db" in updated and options.database_of(ctx.options) != self._database:
            raise exceptions.OptionsError("pool_db: restart to change the database")
        if "pool_rules" in updated:
            self._read_rules()
        if self.service is not None:
            self.service.set_policy(options.policy_of(ctx.options))

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
        self._opened, self.service = opened, opened.service
        service = opened.service
        service.ruling.rule_of = self.guard.book.of_turn
        service.knowledge.health.tell = self.faults.database_is
        roster = service.knowledge.roster
        logger.info("action=start database=%s codex=%d copilot=%d", opened.store.url, *roster.values())
        if not any(roster.values()):
            logger.info("action=passthrough reason=no-account: add one with `seatpool account import PATH`")

    def _come_late(self, opened: Opened) -> None:
        self.faults.database_is(None)
        self._come_in(opened)
        opened.service.start()

    def running(self) -> None:
        """Close every door but loopback's; follow what other processes write."""
        servers = ctx.master.addons.get("proxyserver").servers
        self._moving = asyncio.create_task(listening.move_to_loopback(ctx.options, servers))
        self.guard.book.start()
        if self.service is not None:
            self.service.start()
        elif self._door is not None:
            self._waiting = asyncio.create_task(self._door.wait(self._come_late), name="seatpool door")

    async def done(self) -> None:
        """Finish what is under way and write what is queued."""
        await self.guard.book.stop()
        for counting in (self.certificates.strangers, self.strays):
            await asyncio.to_thread(counting.write)
        for flow_id in self.exchanges.of_client():
            self._end(flow_id, CUT)
        if self._waiting is not None:
            self._waiting.cancel()
        opened, self.service, self._opened = self._opened, None, None
        if opened is not None:
            await opened.service.stop()
            await opened.transport.close()
            await asyncio.to_thread(opened.store.close)
        await self.faults.end()

    # -- a request

    def http_connect_error(self, flow: http.HTTPFlow) -> None:
        """With `connection_strategy=eager` a host that cannot be reached is mitmproxy's to tell, in plain text."""
        word_refused_connect(flow)

    def next_layer(self, nextlayer: layer.NextLayer) -> None:
        """Put the replay layer where HTTP to a pooled host begins; leave sealed what our authority is not for."""
        try:
            if self._builtin is None:
                self._builtin = ctx.master.addons.get("nextlayer")
            if not self.certificates.passes(nextlayer, ctx.master.addons.get("tlsconfig"), ctx.options):
                replay.install(nextlayer, self._builtin, self.exchanges)
        except Exception:  # what comes of it then is looked at again in `request`
            self.faults.note("next_layer", ctx.options.pool_on_failure)

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """A body that is to be replayed cannot be streamed away, whatever `stream_large_bodies` says."""
        exchange, request = self.exchanges.get(flow), flow.request
        try:
            upgrade = request.headers.get("upgrade", "").lower() == "websocket"
            route = match(request.method, request.pretty_host, request.path, upgrade=upgrade)
            if route is None:
                kind = stray(request.method, request.pretty_host, request.path) if exchange is not None else None
                if kind is not None:
                    self.strays.note(kind)
                return
            if exchange is None:
                self.guard.unseen(flow, route)
                return
            self.guard.expect(exchange, route)
            request.stream = False  # mitmproxy has looked at the announced size before this hook
        except Exception:
            self.faults.note("requestheaders", ctx.options.pool_on_failure)
            self._give_up(flow, exchange)

    async def request(self, flow: http.HTTPFlow) -> None:
        """The request was read whole: put it on an account, where it may move."""
        exchange = self.exchanges.get(flow)
        if exchange is None or exchange.route is None or flow.response is not None:
            return
        try:
            await self._assign(flow, exchange, exchange.route)
        except Exception:
            self.faults.note("request", ctx.options.pool_on_failure)
            self._give_up(flow, exchange)

    async def _assign(self, flow: http.HTTPFlow, exchange: Exchange, route: Route) -> None:
        request = flow.request
        facts = exchange.provider.facts(route, request.path, exchange.headers, lambda: body_of(request))
        if facts is None:
            if exchange.bound:
                self.guard.refuse(flow, exchange, 403, NO_LOGIN)
            return
        rule = self.guard.decide(exchange, facts)
        if facts.route.websocket and ctx.options.pool_websocket == "refuse":
            flow.response = as_response(exchange.provider.unavailable(facts, 426, "use HTTPS: pool_websocket=refuse"))
            return
        if self.guard.too_early(exchange):
            self.guard.refuse(flow, exchange, 403, EARLY)
            return
        service = self.service
        if service is None:
            self._unserved(flow, exchange, facts)
            return
        service.note_client(facts.route.provider, exchange.headers)
        trail = service.open(flow.id, facts, exchange.headers, rule, partial(body_of, request))
        await service.learn(trail, exchange.origin)
        pooled = service.knowledge.state.usable[facts.route.provider] > 0
        if not pooled and trail.own is None and not exchange.bound:
            self._unserved(flow, exchange, facts)
            return
        exchange.left = partial(service.abandon, flow.id)
        choice = await service.assign(trail)
        if self.exchanges.get(flow) is not exchange:
            service.release(trail)  # the client went away meanwhile, and nothing else will end this flow
        elif isinstance(choice, Assignment):
            exchange.trail = trail
            exchange.follow(flow, choice)
        elif isinstance(choice, Halted):
            flow.response = as_response(exchange.provider.unavailable(facts, 403, REVOKED.format(choice=choice)))
        elif choice.reason == BOUND or (choice.limited and (pooled or exchange.bound)):
            flow.response = exhausted(exchange.provider, facts, choice, utcnow())
            names = (facts.route.provider, facts.route.name, trail.short_id)
            logger.info("action=exhausted provider=%s route=%s request=%s", *names)
        elif pooled or exchange.bound:
            self._unserved(flow, exchange, facts, choice.reason)
        # Else only the editor's own account is there, and it is limited: who could say so better than upstream?

    def _unserved(
        self, flow: http.HTTPFlow, exchange: Exchange, facts: RequestFacts, reason: str | None = None
    ) -> None:
        """Nobody to ask, and no limit to wait for: as the person has chosen."""
        if exchange.bound:
            self.guard.refuse(flow, exchange, *((403, NOBODY) if self.service is not None else (503, AWAY)))
            return
        provider = facts.route.provider
        if reason is not None:
            logger.info(
                "action=%s provider=%s model=%s reason=%s", ctx.options.pool_on_failure, provider, facts.model, reason
            )
        elif (provider, self.service is None) not in self._told:
            self._told.add((provider, self.service is None))
            why = "no-account" if self.service is not None else "database-away"
            logger.warning("action=%s provider=%s reason=%s", ctx.options.pool_on_failure, provider, why)
        if ctx.options.pool_on_failure == "block":
            reply = exchange.provider.unavailable(facts, 503, UNSERVED)
            if reason is not None:
                reply = exchange.provider.exhausted(facts, None, reason, utcnow())
            flow.response = as_response(reply)

    # -- an answer

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """An answer begins: learn from its head, and let events through as they come."""
        exchange = self.exchanges.get(flow)
        response = flow.response
        if exchange is None or response is None:
            return
        if response.status_code >= FIRST_REFUSAL:
            if exchange.assignment is not None:
                response.stream = False
            return
        if response.headers.get("content-type", "").startswith(EVENT_STREAM):
            response.stream = True
        try:
            if exchange.assignment is not None and exchange.trail is not None and self.service is not None:
                answered, headers = exchange.answered(response.status_code), exchange.answer_headers(response)
                exchange.begun = partial(self._served, self.service, exchange.trail, answered, headers)
                read = partial(self.service.read_event, exchange.trail)
                marks = self.service.bonds.marks(exchange.trail)
                exchange.tap = tap(response, read, kept=ctx.options.store_streamed_bodies, marks=marks)
                if exchange.tap is not None:
                    exchange.opening = Opening(read)  # its beginning may still be a refusal
                else:
                    exchange.begins()
        except Exception:
            self.faults.note("responseheaders", "passthrough")

    def _served(self, service: PoolService, trail: Trail, answered: Answered, headers: Headers) -> None:
        try:
            service.served(trail, answered, headers)
        except Exception:
            self.faults.note("responseheaders", "passthrough")

    async def pool_recover(self, flow: http.HTTPFlow) -> None:
        """An attempt was refused, or failed before a byte of its answer: send again, or say what the editor gets."""
        exchange = self.exchanges.get(flow)
        if exchange is None:
            return
        try:
            await self._recover(flow, exchange)
        except Exception:
            exchange.again = None
            self.faults.note("pool_recover", "deliver")

    async def _recover(self, flow: http.HTTPFlow, exchange: Exchange) -> None:
        trail, response = exchange.trail, flow.response
        if trail is None or self.service is None:
            return
        if exchange.failure is not None:
            headers = exchange.answer_headers(response) if response is not None else None
            answered = exchange.answered(response.status_code if response is not None else None)
            exchange.forget_answer()
            again = await self.service.recover(trail, exchange.failure, answered, headers)
        elif response is not None:
            reply = reply_of(response, exchange.answer_headers(response), exchange.partial)
            outcome = exchange.provider.classify(trail.facts, reply, utcnow())
            exchange.refusals[trail.number] = response
            again = await self.service.recover(trail, outcome, exchange.answered(reply.status), reply.headers)
        else:
            again = None
        if self.exchanges.get(flow) is not exchange:
            self.service.release(trail)  # as in `_assign`
            return
        exchange.again = again
        if again is not None:
            exchange.follow(flow, again)
        else:
            self._conclude(flow, exchange)

    def _conclude(self, flow: http.HTTPFlow, exchange: Exchange) -> None:
        """Nothing better can be had: the editor gets the upstream's own refusal that ends soonest."""
        trail = exchange.trail
        assert trail is not None
        facts, verdict = trail.facts, trail.bond.verdict
        if verdict is not None and (trail.soonest is None or trail.soonest[0] != verdict.soonest):
            flow.response = exchange.answer = exhausted(exchange.provider, facts, verdict, utcnow())
        elif facts.route.websocket and trail.soonest is not None:
            reply = exchange.provider.exhausted(facts, trail.soonest[0], trail.soonest[2], utcnow())
            flow.response = exchange.answer = as_response(reply)
        elif trail.soonest is not None and trail.soonest[1] in exchange.refusals:
            flow.response = exchange.answer = exchange.refusals[trail.soonest[1]]
        elif flow.response is None:
            code = exchange.failure.code if exchange.failure is not None else "unavailable"
            exchange.answer = exchange.apology(502, code)
        else:
            exchange.answer = no_such_surface(exchange.provider, facts, flow.response)
            flow.response = exchange.answer or flow.response

    def _add_models(self, flow: http.HTTPFlow) -> None:
        """An editor's own list of models, with those of the pooled accounts where the person wants that."""
        exchange, response = self.exchanges.get(flow), flow.response
        try:
            if self.service is None or not self.service.policy.union_models or exchange is None or response is None:
                return
            if exchange.provider.lists_models(flow.request.method, exchange.host, flow.request.path):
                add_models(response, exchange.provider, self.service.models(exchange.provider.name))
        except Exception:
            self.faults.note("response", "passthrough")

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
        message = flow.websocket.messages[-1]
        # An hour's socket would otherwise keep every prompt and answer in memory, and in a dump of flows.
        del flow.websocket.messages[:-1]
        if message.from_client and not self.guard.client_message(flow, exchange, message, self.service):
            return
        if exchange.trail is None or self.service is None or (message.injected and not message.from_client):
            return
        try:
            await messages.relay(flow, exchange, exchange.trail, message, self.service)
            if self.exchanges.get(flow) is not exchange:
                self.service.release(exchange.trail)  # as in `_assign`
        except Exception:
            self.faults.note("websocket_message", "passthrough")

    # -- every way out

    def response(self, flow: http.HTTPFlow) -> None:
        """The answer is complete; a WebSocket goes on."""
        if flow.websocket is None:
            self._add_models(flow)
            self._end(flow.id, OK, flow.response)

    def error(self, flow: http.HTTPFlow) -> None:
        """The flow ended without an answer, or the client went away."""
        self._end(flow.id, CUT)

    def websocket_end(self, flow: http.HTTPFlow) -> None:
        """The WebSocket is closed."""
        self._end(flow.id, LEFT if flow.websocket is not None and flow.websocket.closed_by_client else CUT)

    def client_connected(self, client: connection.Client) -> None:
        """Nobody from outside without a password."""
        listening.turn_away(client, ctx.options)

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
            if exchange.trail is None or self.service is None:
                return
            if outcome is OK:
                exchange.begins()  # unless it has: an event stream without a body never does
            self.service.ended(exchange.trail, exchange.ending(outcome, response))
        except Exception:
            self.faults.note("end", "not-recorded")
        finally:
            self._release(exchange)

    def _release(self, exchange: Exchange) -> None:
        try:
            if exchange.trail is not None and self.service is not None:
                self.service.release(exchange.trail)
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
