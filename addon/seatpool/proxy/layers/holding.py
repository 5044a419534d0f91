"""The beginning of an event stream, held back until it means something.

An upstream can say 200 and then, in its first events, that it cannot. As long as the client has seen nothing of such an
answer, another attempt may take its place. So its head and its first events wait here: until an event holds something
of the model's answer, until they are many (`hold_bytes`) or have waited for long (`hold_s`), or until the answer is
over. Then they go out in order, byte for byte, and what follows passes as it comes.
"""

import logging
from collections.abc import Sequence

from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import SendHttp
from mitmproxy.proxy.layers.http._events import ErrorCode, RequestProtocolError, ResponseData

from seatpool.core.outcome import OK, Outcome
from seatpool.providers.openings import Opening
from seatpool.proxy.exchange import Exchanges
from seatpool.proxy.layers.boundary import FIRST_REFUSAL, Boundary
from seatpool.proxy.layers.corking import Uncork
from seatpool.proxy.layers.limits import Clock

logger = logging.getLogger(__name__)

REPLACED = "another attempt takes its place"


class Holding(Boundary):
    """A stream whose answer is let go once it means something."""

    def __init__(self, context: Context, stream_id: int, exchanges: Exchanges, clock: Clock) -> None:
        super().__init__(context, stream_id, exchanges, clock)
        self._held: list[bytes] = []

    @property
    def holds(self) -> bool:
        """Whether an answer has begun of which the client has seen nothing."""
        return bool(self.server_state == self.state_hold_response_body)

    def start_request_stream(self) -> layer.CommandGenerator[None]:
        """A body that may be sent again is read whole, though a script that runs behind the pool wants it streamed."""
        if self._exchange is None or self._exchange.route is None:
            yield from super().start_request_stream()
            return
        self.flow.request.stream = False
        self.client_state = self.state_consume_request_body

    def start_response_stream(self) -> layer.CommandGenerator[None]:
        """Hold the answer back where its beginning is to be read; a refusal is read whole, as the request was."""
        exchange, response = self._exchange, self.flow.response
        assigned = exchange is not None and exchange.assignment is not None
        if assigned and response is not None and response.status_code >= FIRST_REFUSAL:
            response.stream = False
            self.server_state = self.state_consume_response_body
            return
        if exchange is None or exchange.opening is None or not self._clock.limits.hold_bytes:
            yield from self._begin()
            return
        self.server_state = self.state_hold_response_body
        timer = self._clock.watch(self.stream_id, self._clock.limits.hold_s)
        if timer is not None:
            yield from self._start(timer)

    def state_hold_response_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        """An answer has begun, and has not said anything yet."""
        exchange = self._exchange
        assert exchange is not None and exchange.opening is not None
        if not isinstance(event, ResponseData):
            yield from self._let_go()
            yield from self.server_state(event)
            return
        self._held.append(event.data)
        told = _heard(exchange.opening, event.data)
        if told is None and exchange.opening.size < self._clock.limits.hold_bytes:
            return
        if told is not None and told is not OK and (yield from self._replaced(told)):
            return
        yield from self._let_go()

    def _replaced(self, failure: Outcome) -> layer.CommandGenerator[bool]:
        """Ask the pool. True: the held answer is nobody's, something else takes its place."""
        if (yield from self._recover(failure)):
            return True
        exchange = self._exchange
        if exchange is None or exchange.answer is None:
            return False
        yield from self._break_off()
        self.flow.response = exchange.answer
        yield from self.send_response()
        return True

    def _break_off(self) -> layer.CommandGenerator[None]:
        """The upstream need not go on; whatever of its answer has come is forgotten."""
        self._held.clear()
        if self.context.server.connected:
            yield SendHttp(RequestProtocolError(self.stream_id, REPLACED, ErrorCode.CANCEL), self.context.server)
        yield from self._hear_no_more()

    def _let_go(self) -> layer.CommandGenerator[None]:
        held, self._held = self._held, []
        self._clock.forget(self.stream_id)
        yield from self._begin(held)

    def _begin(self, held: Sequence[bytes] = ()) -> layer.CommandGenerator[None]:
        """What is learnt from an answer's head need not keep the client waiting, unless it is shown some of it.

        mitmproxy notes in its log that an answer streams, each time: here nearly all do, and the line says nothing else
        and costs a tenth of a short answer, since two log handlers format it and every addon is told.
        """
        exchange = self._exchange
        if exchange is not None and exchange.quota is not None:
            exchange.begins()
        yield from (command for command in super().start_response_stream() if type(command) is not commands.Log)
        for data in held:
            yield from self.state_stream_response_body(ResponseData(self.stream_id, data))
        yield Uncork()  # a short answer's end may have been read along, and has much to be done for it
        if exchange is not None:
            exchange.begins()

    # -- what the replay layer gives

    def _recover(self, failure: Outcome | None) -> layer.CommandGenerator[bool]:
        """Ask the pool. True: the stream goes on by itself."""
        raise NotImplementedError

    def _hear_no_more(self) -> layer.CommandGenerator[None]:
        """The attempt is over, whatever still comes of it."""
        raise NotImplementedError

    def _start(self, timer: commands.RequestWakeup) -> layer.CommandGenerator[None]:
        """Start the connection's timer."""
        raise NotImplementedError


def _heard(opening: Opening, data: bytes) -> Outcome | None:
    try:
        return opening.feed(data)
    except Exception:
        logger.exception("action=passthrough reason=not-read")
        return OK
