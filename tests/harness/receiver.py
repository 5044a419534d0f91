"""Somebody who takes whatever is posted: in a test's own process, or as a program in a lab."""

import asyncio
import base64
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Posted:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """Answers everything with `status`."""

    status: int = 200
    silent: bool = False
    """It hears, and says nothing."""
    port: int = 0
    got: list[Posted] = field(default_factory=list)
    log: Path | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        fields = dict(line.lower().split(": ", 1) if i else ("", "") for i, line in enumerate(head) if line)
        body = await reader.readexactly(int(fields.get("content-length", 0)))
        path = head[0].split()[1]
        self.got.append(Posted(path, fields, body))
        if self.log is not None:
            row = {"path": path, "headers": fields, "body": base64.b64encode(body).decode()}
            with self.log.open("a") as file:
                file.write(json.dumps(row) + "\n")
        if self.silent:
            await reader.read()
            writer.close()
            return
        writer.write(f"HTTP/1.1 {self.status} Said\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@contextlib.asynccontextmanager
async def receiving(status: int = 200) -> AsyncIterator[Receiver]:
    """On any port of loopback."""
    receiver = Receiver(status)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        await server.wait_closed()


def read(log: Path) -> list[Posted]:
    """What the program has got so far."""
    rows = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return [Posted(row["path"], row["headers"], base64.b64decode(row["body"])) for row in rows]


async def main(port: int, log: Path) -> None:
    server = await asyncio.start_server(Receiver(log=log).serve, "127.0.0.1", port)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
