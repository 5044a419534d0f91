"""From a request to an account, and from what became of that to the next one, or to an answer: in mitmproxy's terms.

Whoever calls sees to what goes wrong in here.
"""

import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial

from mitmproxy import ctx, http

from seatpool.clock import utcnow
from seatpool.core.model import ProviderName
from seatpool.core.selection import BOUND, Exhausted, whose_limit
from seatpool.providers.base import RequestFacts, Route
from seatpool.proxy.answers import REVOKED, UNSERVED, add_models, as_response, body_of, exhausted, reply_of
from seatpool.proxy.exchange import Exchange, Exchanges
from seatpool.proxy.guard import AWAY, EARLY, NO_LOGIN, NOBODY, Guard
from seatpool.proxy.layers.wording import no_such_surface
from seatpool.proxy.tap import tap
from seatpool.proxy.unpacking import opening
from seatpool.service.memory.records import OK
from seatpool.service.pool import PoolService
from seatpool.service.trail import Assignment, Halted, Trail

logger = logging.getLogger(__name__)


class Serving:
    """One per proxy."""

    def __init__(self, exchanges: Exchanges, guard: Guard) -> None:
        self.service: PoolService | None = None
        """None while the database is away."""
        self._exchanges = exchanges
        self._guard = guard
        self._told: set[tuple[ProviderName, bool]] = set()

    # -- a request

    async def assign(self, flow: http.HTTPFlow, exchange: Exchange, route: Route) -> None:
        """A request was read whole: put it on an account, or answer it, or leave it as it is."""
        request = flow.request
        facts = exchange.provider.facts(route, request.path, exchange.headers, lambda: body_of(request))
        if facts is None:
            if exchange.bound:
                self._guard.refuse(flow, exchange, 403, NO_LOGIN)
            return
        rule = self._guard.decide(exchange, facts)
        if facts.route.websocket and ctx.options.pool_websocket == "refuse":
            flow.response = as_response(exchange.provider.unavailable(facts, 426, "use HTTPS: pool_websocket=refuse"))
            return
        if self._guard.too_early(exchange):
            self._guard.refuse(flow, exchange, 403, EARLY)
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
        exchange.left = partial(service.abandon, trail)
        choice = await service.assign(trail)
        if self._exchanges.get(flow) is not exchange:
            service.release(trail)  # the client went away meanwhile, and nothing else will end this flow
        elif isinstance(choice, Assignment):
            exchange.trail, exchange.parted = trail, partial(service.release, trail)
            exchange.follow(flow, choice)
        elif isinstance(choice, Halted):
            exchange.about = choice.account.name
            flow.response = as_response(exchange.provider.unavailable(facts, 403, REVOKED.format(choice=choice)))
        elif choice.reason == BOUND or (
            choice.limited and (pooled or exchange.bound) and not _may_stay(exchange, facts)
        ):
            exchange.about = _concerned(service, trail, choice) if exchange.named else None
            flow.comment = f"account=none reason={choice.reason}"
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
            self._guard.refuse(flow, exchange, *((403, NOBODY) if self.service is not None else (503, AWAY)))
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

    def begins(self, exchange: Exchange, response: http.Response, failed: Callable[[], None]) -> Awaitable[None] | None:
        """An answer that is no refusal by its head: learn from it once it has begun to go out, and from what follows.

        That may be long after this call: `failed` is told, in its `except`, where it cannot be learnt from. Returned is
        what the client has to wait for, if anything.
        """
        trail, service = exchange.trail, self.service
        if exchange.assignment is None or trail is None or service is None:
            return None
        answered, headers = exchange.answered(response.status_code), exchange.answer_headers(response)

        def served() -> None:
            try:
                service.served(trail, answered, headers)
            except Exception:  # noqa: BLE001 # told by `failed`
                failed()

        exchange.begun = served
        read = partial(service.read_event, trail)
        marks = service.bonds.marks(trail)
        exchange.tap = tap(response, read, kept=ctx.options.store_streamed_bodies, marks=marks)
        if exchange.tap is not None:
            exchange.opening = opening(response, read)  # its beginning may still be a refusal
        else:
            exchange.begins()
        return trail.remedied() if trail.remedy is not None else None

    async def recover(self, flow: http.HTTPFlow, exchange: Exchange) -> None:
        """An attempt came to nothing: `exchange.again` is what is sent next; None: the editor gets what is there."""
        trail, response, service = exchange.trail, flow.response, self.service
        if trail is None or service is None:
            return
        if exchange.failure is not None:
            headers = exchange.answer_headers(response) if response is not None else None
            answered = exchange.answered(response.status_code if response is not None else None)
            exchange.forget_answer()
            again = await service.recover(trail, exchange.failure, answered, headers)
        elif response is not None:
            reply = reply_of(response, exchange.answer_headers(response), exchange.partial)
            outcome = exchange.provider.classify(trail.facts, reply, utcnow())
            exchange.refusals[trail.number] = response
            again = await service.recover(trail, outcome, exchange.answered(reply.status), reply.headers)
        else:
            again = None
        if self._exchanges.get(flow) is not exchange:
            service.release(trail)  # as in `assign`
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
            exchange.about = _concerned(self.service, trail, verdict) if exchange.named else None
            flow.response = exchange.answer = exhausted(exchange.provider, facts, verdict, utcnow())
        elif facts.route.websocket and trail.soonest is not None:
            reply = exchange.provider.exhausted(facts, trail.soonest[0], trail.soonest[2], utcnow())
            came = exchange.came(exchange.refusals.get(trail.soonest[1]))
            exchange.about = came.name if came is not None else None
            flow.response = exchange.answer = as_response(reply)
        elif trail.soonest is not None and trail.soonest[1] in exchange.refusals:
            flow.response = exchange.answer = exchange.refusals[trail.soonest[1]]
        elif flow.response is None:
            code = exchange.failure.code if exchange.failure is not None else "unavailable"
            exchange.answer = exchange.apology(502, code)
        else:
            exchange.answer = no_such_surface(exchange.provider, facts, flow.response)
            flow.response = exchange.answer or flow.response

    def add_models(self, flow: http.HTTPFlow, exchange: Exchange) -> None:
        """An editor's own list of models, with those of the pooled accounts where the person wants that."""
        service, response = self.service, flow.response
        if service is None or not service.policy.union_models or response is None:
            return
        if exchange.provider.lists_models(flow.request.method, exchange.host, flow.request.path):
            add_models(response, exchange.provider, service.models(exchange.provider.name))

    def looked_up(self, flow: http.HTTPFlow, exchange: Exchange) -> None:
        """An editor may have asked with its own login what that has left: learn it, then tell what is to be shown."""
        request, response = flow.request, flow.response
        if exchange.route is not None or response is None or response.status_code != 200 or response.stream:
            return
        whose = exchange.provider.looks_up(request.method, request.path, exchange.headers, utcnow())
        if whose is not None and self.service is not None:
            asked_at = datetime.fromtimestamp(request.timestamp_start, UTC)
            reply = reply_of(response, exchange.answer_headers(response))
            self.service.looked_up(exchange.provider, whose, reply, asked_at)
        if exchange.quota is not None:
            exchange.quota.look_up(exchange.provider, flow)

    # -- the end

    def ended(self, exchange: Exchange, outcome: str, response: http.Response | None) -> None:
        """The flow is over, in whatever way."""
        if exchange.trail is None or self.service is None:
            return
        if outcome is OK:
            exchange.begins()  # unless it has: an event stream without a body never does
        self.service.ended(exchange.trail, exchange.ending(outcome, response))

    def release(self, exchange: Exchange) -> None:
        """Its account has a place again; doing it again does nothing."""
        if exchange.trail is not None and self.service is not None:
            self.service.release(exchange.trail)


def _may_stay(exchange: Exchange, facts: RequestFacts) -> bool:
    """Whether it is the editor's own account that is to say whether a limit is reached."""
    return facts.own_meter and not exchange.bound and bool(ctx.options.pool_on_failure == "passthrough")


def _concerned(service: PoolService | None, trail: Trail, told: Exhausted) -> str | None:
    """Name of the account that such an answer of ours is about."""
    account = whose_limit(service.knowledge.state, trail.demand, told) if service is not None else None
    return account.name if account is not None else None
