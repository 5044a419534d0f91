"""A pooler before a PostgreSQL server, as far as its clients can tell: what PgBouncer does, and those after its model.

It refuses `options` at the start, gives out a number of its own for the server's process, and loses what is notified:
it lends a server's connection out for a transaction alone, so nobody may be there to be told.
"""

import asyncio
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

_ASKS_FOR_TLS = {80877103, 80877104}
"""Codes of a client's first words that ask for encryption."""
_KEY, _NOTICE, _ERROR = b"K", b"A", b"E"
_OWN_PROCESS = -77


async def _serve(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        first = await _first(reader, writer)
        if b"\0options\0" in first:
            writer.write(_refusal("unsupported startup parameter: options"))
        else:
            await _relay(first, reader, writer, *await asyncio.open_connection("127.0.0.1", port))
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        await _close(writer)


async def _relay(
    first: bytes,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    theirs: asyncio.StreamReader,
    server: asyncio.StreamWriter,
) -> None:
    back = asyncio.create_task(_told(theirs, writer))
    try:
        server.write(first)
        while data := await reader.read(65536):
            server.write(data)
    finally:
        back.cancel()
        await asyncio.gather(back, return_exceptions=True)
        await _close(server)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def _first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    while True:
        size, code = struct.unpack("!II", await reader.readexactly(8))
        rest = await reader.readexactly(size - 8)
        if code not in _ASKS_FOR_TLS:
            return struct.pack("!II", size, code) + rest
        writer.write(b"N")


async def _told(server: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        head = await server.readexactly(5)
        body = await server.readexactly(struct.unpack("!I", head[1:])[0] - 4)
        if head[:1] == _KEY:
            body = struct.pack("!i", _OWN_PROCESS) + body[4:]
        if head[:1] != _NOTICE:
            writer.write(head + body)


def _refusal(said: str) -> bytes:
    fields = b"".join(kind + text.encode() + b"\0" for kind, text in ((b"S", "FATAL"), (b"C", "08P01"), (b"M", said)))
    return _ERROR + struct.pack("!I", len(fields) + 5) + fields + b"\0"


@contextmanager
def before(port: int) -> Iterator[int]:
    """One before the server on that port of loopback; its own port. To be left after its clients."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(
        asyncio.start_server(partial(_serve, port), "127.0.0.1", 0), loop
    ).result()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(_end(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _end(server: asyncio.Server) -> None:
    server.close()
    here = asyncio.current_task()
    await asyncio.gather(*(task for task in asyncio.all_tasks() if task is not here), return_exceptions=True)
