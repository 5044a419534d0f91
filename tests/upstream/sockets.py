"""The Responses API over a WebSocket, as Codex and the Copilot CLI use it (codex.md 5, copilot.md 7.1)."""

import asyncio
import json
from typing import Any

from tests.upstream import dialogue, tokens
from tests.upstream.codex_quota import rate_limits_event
from tests.upstream.dialogue import Event
from tests.upstream.exchange import Exchange, play
from tests.upstream.journal import Turn, owner
from tests.upstream.refusals import error_frame, refuse
from tests.upstream.websocket import Socket
from tests.upstream.wire import READ_S
from tests.upstream.world import BREAKS, BROKEN, FRAME, PREWARM, Behaviour

_NO_PREVIOUS = Behaviour(
    kind="invalid_encrypted", code="previous_response_not_found", message="Previous response not found."
)


class Conversation:
    """One open socket: turn after turn, each told by its own behaviour."""

    def __init__(self, exchange: Exchange, socket: Socket) -> None:
        self._exchange = exchange
        self._socket = socket
        self._issued: set[str] = set()

    async def run(self) -> None:
        """Answer every message until one side closes."""
        exchange = self._exchange
        exchange.answering = False
        exchange.journal.changed()
        while (message := await self._socket.receive()) is not None:
            exchange.answering = True
            turn = self._note(message)
            try:
                alive = await self._turn(turn)
            except asyncio.CancelledError:
                turn.gone = True
                raise
            finally:
                exchange.answering = False
                exchange.journal.changed()
            if not alive:
                break
        exchange.entry.close_code = self._socket.close_code
        exchange.entry.pings, exchange.entry.pongs = self._socket.pings, self._socket.pongs

    def _note(self, message: str | bytes) -> Turn:
        try:
            body: dict[str, Any] = json.loads(message)
        except ValueError:
            body = {"type": "not json"}
        previous, items = body.get("previous_response_id"), body.get("input")
        metadata = body.get("client_metadata") or {}
        state = metadata.get("x-codex-turn-state")
        raw = message.encode() if isinstance(message, str) else message
        turn = Turn(
            type=str(body.get("type")),
            model=body.get("model"),
            previous_response_id=previous is not None,
            known_previous=previous in self._issued,
            size=len(raw),
            input=len(items) if isinstance(items, list) else 0,
            generate=body.get("generate", True),
            tier=body.get("service_tier"),
            turn_state=None if state is None else owner(state),
            metadata=metadata.get("x-codex-turn-metadata"),
            ciphers=sorted(tokens.ciphers_in(raw)),
            items=sorted(tokens.item_ids_in(raw)),
        )
        self._exchange.entry.turns.append(turn)
        self._exchange.journal.changed()
        return turn

    async def _turn(self, turn: Turn) -> bool:
        """Answer one message; False when the connection is over."""
        exchange = self._exchange
        if turn.previous_response_id and not turn.known_previous:
            return await self._refuse(turn, _NO_PREVIOUS)
        if (exchange.world.strict or exchange.owner.strict) and (kind := self._foreign(turn)):
            return await self._refuse(turn, Behaviour(kind=kind))
        number = next(exchange.world.numbers)
        self._issued.add(f"resp_{exchange.owner.name}_{number}")
        model = turn.model or "unknown"
        place = FRAME if turn.generate else PREWARM
        behaviour = exchange.world.pick(
            exchange.account, place, exchange.entry.route, exchange.request.host, turn.model, reused=False
        )
        if behaviour.delay_ms:
            await asyncio.sleep(behaviour.delay_ms / 1000)
        turn.answer = behaviour.kind
        if behaviour.kind not in _PLAYED and not behaviour.after:
            return await self._refuse(turn, behaviour)
        usage = dialogue.Usage.of(behaviour)
        build = dialogue.responses if exchange.provider == "codex" else dialogue.billed_responses
        script = build(exchange.owner.name, model, number, usage, reasoning=behaviour.reasoning)
        if not turn.generate:
            turn.answer = "prewarm"
            await self._send(script.opening[0])
            await self._send(script.closing("")[-1])
            return True
        if behaviour.kind == "ok" and isinstance(behaviour.body, str):
            await self._socket.send(behaviour.body)
        if behaviour.ping:
            self._socket.ping(b"from the upstream")
        await self._announce(behaviour, number)
        if behaviour.kind == "ok" and isinstance(behaviour.body, list):
            return await self._recite(behaviour, turn, script)
        verdict = await play(script, behaviour, exchange.owner.name, turn, self._send, exchange.journal)
        return await self._after(verdict, behaviour, turn, script)

    async def _recite(self, behaviour: Behaviour, turn: Turn, script: dialogue.Script) -> bool:
        """Send these events, and no others."""
        for event in behaviour.body:
            self._issued.add(event.get("response", {}).get("id", ""))
            await self._send(event)
        return await self._after("ok", behaviour, turn, script)

    def _foreign(self, turn: Turn) -> str | None:
        mine = self._exchange.owner.name
        if self._exchange.provider == "copilot" and set(turn.items) - {mine}:
            return "item_id"
        sealed = turn.turn_state not in (None, mine) or set(turn.ciphers) - {mine}
        return "invalid_encrypted" if sealed else None

    async def _announce(self, behaviour: Behaviour, number: int) -> None:
        """Codex tells the turn-state and the quota as events of their own (codex.md 2.2, 3.2)."""
        account = self._exchange.owner
        if self._exchange.provider != "codex":
            return
        if behaviour.turn_state:
            state = tokens.carrier("turn-state", account.name, number)
            await self._send({"type": "response.metadata", "headers": {"x-codex-turn-state": state}})
        if behaviour.rate_limits:
            await self._send(rate_limits_event(account))

    async def _after(self, verdict: str, behaviour: Behaviour, turn: Turn, script: dialogue.Script) -> bool:
        match verdict:
            case "refuse":
                return await self._refuse(turn, behaviour)
            case "stall":
                await asyncio.Event().wait()
            case "cut":
                await asyncio.sleep(READ_S)
                (self._exchange.reply.reset if behaviour.end == "reset" else self._exchange.reply.close)()
                return False
            case "garbled":
                self._socket.garble()
                return await self._closed()
            case "close_code" | "truncated":
                self._socket.close(int(behaviour.code or (1000 if verdict == "truncated" else 1011)))
                return await self._closed()
            case "failed":
                await self._send(script.failure(str(behaviour.code or "server_error")))
        if behaviour.close_after and behaviour.code == _ABNORMAL:
            self._exchange.reply.close()
            return False
        if behaviour.close_after:
            self._socket.close(int(behaviour.code or 1000))
            return await self._closed()
        return True

    async def _closed(self) -> bool:
        while await self._socket.receive() is not None:
            pass  # what crossed our close is not answered
        return False

    async def _refuse(self, turn: Turn, behaviour: Behaviour) -> bool:
        turn.answer = str(behaviour.code) if behaviour is _NO_PREVIOUS else behaviour.kind
        if behaviour.kind in BROKEN:
            await self._exchange.break_off(behaviour.kind)
            return False
        refusal = refuse(self._exchange.provider, behaviour, self._exchange.account)
        await self._send(error_frame(self._exchange.provider, refusal))
        if behaviour.close_after:
            self._socket.close(1000)
            return await self._closed()
        return True

    async def _send(self, event: Event) -> None:
        await self._socket.send(event if isinstance(event, str) else json.dumps(event))


_ABNORMAL = 1006
"""No close frame at all (RFC 6455, 7.4.1)."""
_PLAYED = BREAKS | {"ok"}
