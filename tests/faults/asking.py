"""One request, as a client sends it, and what became of it."""

import asyncio
import hashlib
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.faults.cells import Cell
from tests.faults.faults import Wire
from tests.faults.table import expected
from tests.harness import BrokenOff, HandshakeRefused, Network, WebSocketClient
from tests.harness.websocket_client import Dropped
from tests.upstream import tokens
from tests.upstream.logins import codex_auth

SILENCE_S = 10.0
"""What is silence, where silence is to come."""
PATIENCE_S = 30.0
"""Of every other client: a busy machine is slow."""
EDITORS = {"codex": "editorx", "copilot": "editory"}
"""Whose own logins the editors have."""
HOSTS = {"codex": "chatgpt.com", "copilot": "api.individual.githubcopilot.com"}
PATHS: Mapping[tuple[str, bool], str] = {
    ("codex", False): "/backend-api/codex/responses",
    ("codex", True): "/backend-api/codex/responses",
    ("copilot", False): "/chat/completions",
    ("copilot", True): "/responses",
}
CREATE = {"type": "response.create", "model": "gpt-x", "input": [{"type": "message"}]}
"""A turn."""
_LAST = (b'"response.completed"', b"[DONE]", b'"response.failed"')


@dataclass(slots=True)
class Heard:
    """What reached the client. `ended`: `whole`, `cut`, `open` where we lost patience, `refused` by the client."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    ended: str = "whole"
    messages: list[str] = field(default_factory=list)
    """Of a WebSocket that was opened."""
    close_code: int | None = None


def headers(cell: Cell) -> dict[str, str]:
    """What the editor of a cell sends."""
    me = EDITORS[cell.provider]
    if cell.provider == "codex":
        auth = codex_auth(me)["tokens"]
        return {
            "authorization": f"Bearer {auth['access_token']}",
            "chatgpt-account-id": auth["account_id"],
            "originator": cell.client,
            "session-id": f"talk-{cell.number}",
            "content-type": "application/json",
        }
    return {
        "authorization": f"Bearer {tokens.copilot_token(me, 'individual', time.time() + 1500)}",
        "copilot-integration-id": "vscode-chat",
        "editor-version": f"{cell.client}/1.0",
        "vscode-sessionid": f"window-{cell.number}",
        "content-type": "application/json",
    }


def body(cell: Cell) -> bytes:
    """A request for a stream, or for a whole answer."""
    said = {"role": "user", "content": f"cell {cell.number}"}
    asked = {"input": [said]} if cell.provider == "codex" else {"messages": [said]}
    return json.dumps({"model": "gpt-x", **asked, "stream": not cell.fault.whole}).encode()


class Asking:
    """A cell's client. The block of `ask` begins when all has been heard, and the connection is still there."""

    def __init__(self, network: Network, cell: Cell, between: Callable[[], Any]) -> None:
        """`between()` is awaited behind the answer of a socket that its client keeps open."""
        self.network = network
        self.cell = cell
        self.between = between
        self.host = HOSTS[cell.provider]
        self.patience_s = SILENCE_S if "silence" in expected(cell).got else PATIENCE_S
        self.path = PATHS[cell.provider, cell.socket]

    async def ask(self, then: Callable[[], Any]) -> Heard:
        """Send the request, await `then()` when everything was heard, and leave."""
        return await (self._socket(then) if self.cell.socket else self._http(then))

    async def _http(self, then: Callable[[], Any]) -> Heard:
        connect = self.network.http1 if self.cell.wire is Wire.HTTP1 else self.network.http2
        async with await connect(self.host) as client:
            heard = Heard()
            for _ in range(1 + self.cell.fault.warm):
                incoming = await client.send("POST", self.path, headers(self.cell), body(self.cell))
                heard = Heard(ended="cut")
                try:
                    async for piece in _patiently(incoming.pieces(), self.patience_s):
                        heard.body += piece[1]
                    heard.ended = "whole"
                except BrokenOff:
                    pass
                except TimeoutError:
                    heard.ended = "open"
                heard.status, heard.headers = incoming.status, incoming.headers
            if heard.ended == "open":
                client.abort()
            await then()
        return heard

    async def _socket(self, then: Callable[[], Any]) -> Heard:
        try:
            async with asyncio.timeout(PATIENCE_S):
                socket = await self.network.websocket(self.host, self.path, headers(self.cell))
        except HandshakeRefused as refused:
            await then()
            return Heard(refused.status, refused.headers, refused.body)
        except Dropped as dropped:
            await then()
            return Heard(ended="refused" if "Protocol" in str(dropped) else "cut")
        except TimeoutError:
            await then()
            return Heard(ended="open")
        heard = Heard(101, socket.headers)
        await socket.send(CREATE)
        over = False
        try:
            over = await self._turn(socket, heard)
        except Dropped:
            heard.ended = "cut"
        except TimeoutError:
            heard.ended = "open"
            socket.abort()
        if not over:
            heard.close_code = socket.close_code
        await then()
        socket.abort()
        return heard

    async def _turn(self, socket: WebSocketClient, heard: Heard) -> bool:
        """Whether it was over before the socket was: a client has gone then, whatever follows."""
        goes_on = self.cell.fault.second
        while True:
            async with asyncio.timeout(self.patience_s):
                text = await socket.receive_text()
            if text is None:
                return False
            heard.messages.append(text)
            event = _json(text)
            if event.get("type") not in ("response.completed", "response.failed", "error"):
                continue
            if goes_on:
                goes_on = False
                heard.messages.clear()
                await socket.send({**CREATE, "previous_response_id": event["response"]["id"]})
            elif self.cell.fault.listens or self.cell.fault.rests:
                await self.between()
            else:
                return True


async def _patiently(
    pieces: AsyncIterator[tuple[float, bytes]], patience_s: float
) -> AsyncIterator[tuple[float, bytes]]:
    while True:
        async with asyncio.timeout(patience_s):
            try:
                piece = await anext(pieces)
            except StopAsyncIteration:
                return
        yield piece


def _json(text: str | bytes) -> dict[str, Any]:
    try:
        read = json.loads(text)
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


class Reading:
    """Puts what a client heard into words; `a` and `b` are the cell's accounts, the first one first."""

    def __init__(self, cell: Cell, journal: Mapping[int, Mapping[str, Any]]) -> None:
        self._names = dict(zip(cell.accounts, "ab", strict=True))
        self._wire = cell.wire
        self._journal = journal
        """Entries of the fakes by number."""

    def got(self, heard: Heard) -> str:
        """Such as `answer of b`, `429 of a`, `502 of ours`."""
        if heard.messages or heard.status == 101:
            return self._turn(heard)
        if not heard.status:
            return {"open": "silence", "refused": "a handshake that it refuses"}.get(heard.ended, "nothing, closed")
        entry = self._entry(heard)
        if entry is None:
            return self._ours(heard)
        who = self._names[entry["account"]]
        if heard.status != 200 or self._wire is Wire.HANDSHAKE:
            return f"{heard.status} of {who}{self._altered(heard, entry)}"
        return self._answer(heard, entry, who)

    def _answer(self, heard: Heard, entry: Mapping[str, Any], who: str) -> str:
        if heard.ended == "open":
            return f"answer of {who}, then silence"
        if heard.ended == "cut":
            return f"answer of {who}, cut"
        what = "failure" if b"response.failed" in heard.body or b'"error"' in heard.body else "answer"
        sse = "event-stream" in heard.headers.get("content-type", "event-stream")
        ended = not sse or any(last in heard.body for last in _LAST) or what == "failure"
        return f"{what} of {who}{'' if ended else ', without its end'}{self._altered(heard, entry)}"

    def _ours(self, heard: Heard) -> str:
        if "mitmproxy" in heard.headers.get("server", "") or b"<html" in heard.body:
            return f"{heard.status}, a page of mitmproxy's"
        return f"{heard.status} of ours" if "error" in _json(heard.body) else f"{heard.status} of nobody's"

    def _altered(self, heard: Heard, entry: Mapping[str, Any]) -> str:
        if hashlib.sha256(heard.body).hexdigest() == entry["sent_sha256"]:
            return ""
        return ", mended" if b"seatpool" in heard.body else ", altered"

    def _entry(self, heard: Heard) -> Mapping[str, Any] | None:
        number = heard.headers.get("x-oai-request-id") or heard.headers.get("x-github-request-id") or ""
        found = re.fullmatch(r"(?:req_|FAKE:)(\d+)", number)
        return self._journal[int(found[1])] if found else None

    def _turn(self, heard: Heard) -> str:
        read = [_json(message) for message in heard.messages]
        text = "".join(event["delta"] for event in read if event.get("type") == "response.output_text.delta")
        who = next((short for name, short in self._names.items() if f"{name}0" in text), "")
        last = read[-1] if read else {}
        parts = []
        if last.get("type") == "response.completed":
            parts.append(f"answer of {who}")
        elif who:
            parts.append(f"beginning of {who}")
        if any(not event for event in read):
            parts.insert(0, "a malformed message")
        if last.get("type") == "response.failed":
            parts.append("failure")
        elif last.get("type") == "error":
            error = last["error"]
            parts.append(f"error `{error.get('code') or error.get('type')}`")
        if heard.close_code is not None:
            parts.append(f"closed with {heard.close_code}")
        elif heard.ended != "whole":
            parts.append("dropped" if heard.ended == "cut" else "silence")
        return ", ".join(parts) or "nothing"
