"""The messages of an open WebSocket, between mitmproxy's flow and the pool's service."""

from mitmproxy import ctx, http
from mitmproxy.websocket import WebSocketMessage

from seatpool.proxy.exchange import Exchange
from seatpool.service.flows.sockets import Answer
from seatpool.service.pool import PoolService
from seatpool.service.trail import Trail


async def relay(
    flow: http.HTTPFlow, exchange: Exchange, trail: Trail, message: WebSocketMessage, service: PoolService
) -> None:
    """Learn from a message, and have it changed, dropped or followed by what the pool decides."""
    if message.from_client:
        answer = await service.sockets.client_turn(trail, message.content)
        if answer is None:
            message.content = service.sockets.client_frame(trail, message.content)
            return
        message.drop()
        if answer.again is None and answer.content is not None:
            ctx.master.commands.call("inject.websocket", flow, True, answer.content)
    else:
        answer = await service.sockets.server_frame(trail, message.content)
        passes = answer is None or (answer.again is None and answer.content is None)
        if exchange.quota is not None and passes:
            exchange.quota.message(trail, message)
        if answer is None:
            return
        if answer.again is None and answer.content is not None:
            message.content = answer.content
    _follow(flow, exchange, message, answer)


def _follow(flow: http.HTTPFlow, exchange: Exchange, message: WebSocketMessage, answer: Answer) -> None:
    exchange.closing = answer.close
    if answer.again is not None:
        exchange.moving = (answer.message, answer.content or b"")
        exchange.follow(flow, answer.again)
        if not message.dropped:
            message.drop()
