"""Somebody who has stolen the issuing key: a server that has a certificate for whatever name it is asked for.

`python -m tests.e2e.authority.thief SEEN PORT=CA_FILE...`: each CA file is as mitmproxy reads it. Everybody who comes
is a line in SEEN: the name that was asked for, the port, and `believed` or `refused`.
"""

import asyncio
import ipaddress
import ssl
import sys
import tempfile
from functools import cache, partial
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from mitmproxy import certs

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"
ADDRESS = "127.0.0.1"
"""Who names no host wants this one."""


class Thief:
    """One stolen key."""

    def __init__(self, stolen: Path) -> None:
        raw = stolen.read_bytes()
        self._key: object = serialization.load_pem_private_key(raw, None)
        self._chain = x509.load_pem_x509_certificates(raw)
        self._pem = raw
        self.contexts = cache(self._context)

    def _context(self, name: str) -> ssl.SSLContext:
        """TLS as mitmproxy would offer it: the very function that makes its certificates makes these."""
        try:
            san: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
        except ValueError:
            san = x509.DNSName(name)
        leaf = certs.dummy_cert(self._key, self._chain[0], name, [san])  # type: ignore[arg-type]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile() as file:
            file.write(leaf.to_pem() + self._pem)
            file.flush()
            context.load_cert_chain(file.name)
        return context

    async def serve(self, port: int, seen: Path) -> None:
        """Answer whoever believes it."""
        await asyncio.start_server(partial(self._meet, seen, port), ADDRESS, port)

    async def _meet(self, seen: Path, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        names = [ADDRESS]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

        def choose(tls: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
            names.append(name or ADDRESS)
            tls.context = self.contexts(names[-1])

        context.sni_callback = choose
        try:
            await writer.start_tls(context)
            await reader.readuntil(b"\r\n\r\n")
        except (OSError, asyncio.IncompleteReadError):
            verdict = "refused"
        else:
            verdict = "believed"
            writer.write(ANSWER)
        with seen.open("a") as log:
            log.write(f"{names[-1]} {port} {verdict}\n")
        writer.close()


async def main(seen: Path, stolen: list[str]) -> None:
    """Serve until killed."""
    for each in stolen:
        port, _, file = each.partition("=")
        await Thief(Path(file)).serve(int(port), seen)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2:]))
