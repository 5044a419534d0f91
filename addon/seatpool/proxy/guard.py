"""Keeps what a rule binds from every other login: a request, a handshake, and each message of an open socket.

Whatever fails once a binding rule may apply ends in an answer of ours, never in the editor's own login.
"""

import logging

from mitmproxy import ctx, http, websocket

from seatpool.core.rules import Rule
from seatpool.providers.base import RequestFacts, Route
from seatpool.providers.carriers import Carrier
from seatpool.providers.registry import PROVIDERS
from seatpool.proxy.answers import as_response
from seatpool.proxy.exchange import Exchange
from seatpool.proxy.layers.ways import is_gone
from seatpool.service.flows.rulebook import RuleBook
from seatpool.service.memory.records import begins_turn
from seatpool.service.pool import PoolService

logger = logging.getLogger(__name__)

NOBODY = "none of its accounts can serve this now"
EARLY = "ask again when it is known which repository this is about"
NO_LOGIN = "this request carries no login that could be replaced by one of theirs"
AWAY = "the pool's database is away"
FAULT = "something failed in the pool, see its log"
MOVED = "this socket is another account's"
OUTDATED = "seatpool: this socket was opened for what is not wished any more"
GONE = "seatpool: the connection behind this socket leads nowhere any more"


class Guard:
    """The rules of one proxy, and what follows from them for its flows."""

    def __init__(self) -> None:
        self.book = RuleBook()
        self._told: set[tuple[str, str]] = set()

    def expect(self, exchange: Exchange, route: Route) -> None:
        """A request has come that may move. Until it is known what it asks, the strictest rule counts."""
        exchange.route = route
        exchange.rule = self.book.rules.binding(route.provider)

    def unseen(self, flow: http.HTTPFlow, route: Route) -> None:
        """A request that may move, on a connection where our layer is missing: it cannot be put on an account."""
        if ctx.options.pool_on_failure == "block" or self.book.rules.binding(route.provider) is not None:
            provider = PROVIDERS[route.provider]
            words = f"seatpool: {FAULT}"
            flow.response = as_response(provider.unavailable(RequestFacts(route, ()), 503, words))

    def decide(self, exchange: Exchange, facts: RequestFacts) -> Rule | None:
        """The rule for a request that has told what it asks."""
        exchange.facts = facts
        exchange.rule = self.book.pending(facts) or self.book.of(facts)
        return exchange.rule

    def too_early(self, exchange: Exchange) -> bool:
        """Whether a handshake comes before anybody can say whose it is. The client asks again with its turn."""
        return exchange.facts is not None and self.book.pending(exchange.facts) is not None

    def refuse(self, flow: http.HTTPFlow, exchange: Exchange, status: int, reason: str) -> None:
        """Answer a bound request in the name of its rule."""
        rule, route = exchange.rule, exchange.route
        assert rule is not None
        assert route is not None
        if reason is not EARLY and (rule.name, reason) not in self._told:
            self._told.add((rule.name, reason))
            logger.warning("action=refused rule=%r line=%d reason=%s", rule.name, rule.line, reason)
        facts = exchange.facts or RequestFacts(route, ())
        flow.response = as_response(exchange.provider.unavailable(facts, status, self._words(rule, reason)))

    def _words(self, rule: Rule, reason: str) -> str:
        allowed = ", ".join(rule.only)
        return f'seatpool: the rule "{rule.name}" ({self.book.title}:{rule.line}) allows only {allowed}; {reason}'

    # -- an open socket

    def client_message(
        self, flow: http.HTTPFlow, exchange: Exchange, message: websocket.WebSocketMessage, service: PoolService | None
    ) -> bool:
        """Whether a client's message may go on to the account of its socket. Else it is dropped, and asked anew."""
        facts = exchange.facts
        if facts is None:
            return True
        wrong = None
        if self.book.rules.rules:
            try:
                wrong = self._misplaced(exchange, facts, message.content, service)
            except Exception:
                logger.exception("action=refused hook=websocket_message")
                wrong = exchange.rule or self.book.rules.binding(facts.route.provider)
        words = self._words(wrong, MOVED) if wrong is not None else self._ended(flow, exchange, message, service)
        if words is None:
            return True
        if wrong is not None:
            logger.info("action=reconnect rule=%r line=%d", wrong.name, wrong.line)
        message.drop()
        ctx.master.commands.call("inject.websocket", flow, True, exchange.provider.elsewhere_frame(words))
        return False

    def _began_before(self, exchange: Exchange, facts: RequestFacts, content: bytes) -> bool:
        """Whether what is new here holds things from before that another account could not read.

        A previous response is not one: it is this socket's own, and on another the client repeats everything.
        """
        return bool(exchange.provider.carriers(facts.route, content) - {Carrier.PREVIOUS})

    def _ended(
        self, flow: http.HTTPFlow, exchange: Exchange, message: websocket.WebSocketMessage, service: PoolService | None
    ) -> str | None:
        """Why no further turn belongs on this socket, whatever the rules say; None where one does."""
        if begins_turn(message.content) and is_gone(flow.server_conn):
            logger.info("action=reconnect reason=way-gone host=%s", exchange.host)
            return GONE
        return OUTDATED if self._outdated(exchange, message.content, service) else None

    def _outdated(self, exchange: Exchange, content: bytes, service: PoolService | None) -> bool:
        """Whether the socket asks upstream for something that is not wished any more, or that it cannot know."""
        trail = exchange.trail
        try:
            if service is None or trail is None or not service.sockets.outdated(trail, content):
                return False
        except Exception:
            logger.exception("action=passthrough hook=websocket_message")
            return False
        logger.info("action=reconnect reason=outdated request=%s", trail.short_id)
        return True

    def _misplaced(
        self, exchange: Exchange, facts: RequestFacts, content: bytes, service: PoolService | None
    ) -> Rule | None:
        """The rule by which this turn belongs on another socket; None where it may go on."""
        if self.book.rules.by_turn:
            facts = exchange.facts = exchange.provider.turn(facts, content)
        beginning = self.book.new_here(facts) and not self._began_before(exchange, facts, content)
        exchange.rule = rule = self.book.of_turn(facts)
        if service is not None and exchange.trail is not None:
            stays = service.sockets.may_go_on(exchange.trail, rule, beginning=beginning)
        else:
            stays = not exchange.bound
        if stays or rule is None:
            return None
        self.book.again(facts)
        return rule
