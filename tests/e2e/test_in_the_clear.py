"""What goes through the proxy in the clear: a server of tools on the person's own machine, a model's of their own.

Codex in VS Code is told `HTTP_PROXY` and no exceptions (openai/codex issues 6764 and 26171), as is VS Code's agent host
(microsoft/vscode issue 326185).
"""

import asyncio
from asyncio import StreamReader, StreamWriter

import pytest

from tests.e2e.conftest import Scene

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize("kind", ["text/event-stream; charset=utf-8", "application/x-ndjson"])
async def test_what_is_made_while_it_is_sent_comes_so(scene: Scene, kind: str) -> None:
    heard = asyncio.Event()

    async def serve(reader: StreamReader, writer: StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\n".encode())
        await writer.drain()
        await heard.wait()
        writer.write(b"second\n")
        writer.close()

    server = await asyncio.start_server(serve, sock=scene.lab.listen("127.0.0.1", 8002))
    reader, writer = await asyncio.open_connection(sock=scene.lab.connect(*scene.proxy.address))
    writer.write(b"GET http://127.0.0.1:8002/mcp HTTP/1.1\r\nhost: 127.0.0.1:8002\r\n\r\n")
    async with server:
        try:
            async with asyncio.timeout(5):
                head = await reader.readuntil(b"\r\n\r\n")
        finally:
            heard.set()
        assert head.startswith(b"HTTP/1.1 200")
        assert b"second" in await reader.readuntil(b"second\n")
        writer.close()
