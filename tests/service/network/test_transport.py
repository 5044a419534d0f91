"""Side calls over real TLS: what is sent, how an answer may come, what is none, and that no connection is left open."""

import asyncio
import traceback
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import certifi
import pytest
from freezegun import freeze_time

from seatpool.providers.http import HttpRequest
from seatpool.service.network.transport import (
    ANSWER_TIMEOUT_S,
    CALL_TIMEOUT_S,
    CONNECT_TIMEOUT_S,
    LONGEST_BODY,
    SideCallFailed,
    Transport,
    TransportSettings,
    Unreached,
)
from tests.service.peers import Peer, Script, Server, forwarding, saying, serving, silent
from tests.upstream import Certificates, make_certificates

HEADERS = (("authorization", "Bearer FAKESECRET"), ("X-Client", "one"))
MUCH = bytes(range(256)) * 4096 * 3
"""Three megabytes: more than any buffer on the way holds."""
Issuing = Callable[[Script], AbstractAsyncContextManager[Server]]


@pytest.fixture(autouse=True, params=[None, asyncio.eager_task_factory], ids=["cli", "mitmproxy"])
async def _loops(request: pytest.FixtureRequest) -> None:
    """The event loops that side calls are made in."""
    asyncio.get_running_loop().set_task_factory(request.param)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"), ("localhost",))


@pytest.fixture
def issuing(certificates: Certificates) -> Issuing:
    return lambda script: serving(script, certificates.server_context())


@pytest.fixture
def transport(certificates: Certificates) -> Transport:
    return Transport(TransportSettings(str(certificates.ca)))


def get(url: str) -> HttpRequest:
    return HttpRequest("GET", url, HEADERS)


def plain(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


async def failure(transport: Transport, request: HttpRequest, *, sent: bool | None = None) -> str:
    with pytest.raises(SideCallFailed) as failed:
        await transport.send(request)
    assert sent is None or isinstance(failed.value, Unreached) is not sent
    assert "FAKESECRET" not in "".join(traceback.format_exception(failed.value))
    return str(failed.value)


# -- what is sent


async def test_a_request_is_sent_as_it_was_made(issuing: Issuing, transport: Transport) -> None:
    async with issuing(saying(plain(b"{}"))) as issuer:
        await transport.send(HttpRequest("POST", issuer.url, HEADERS, b"refresh_token=FAKESECRET"))
    (peer,) = issuer.peers
    assert peer.head.decode().split("\r\n") == [
        "POST /some/where?a=1 HTTP/1.1",
        f"Host: localhost:{issuer.port}",
        "accept: */*",
        "authorization: Bearer FAKESECRET",
        "X-Client: one",
        "Content-Length: 24",
        "",
        "",
    ]
    assert peer.body == b"refresh_token=FAKESECRET"


async def test_an_accept_header_of_the_callers_is_the_only_one(issuing: Issuing, transport: Transport) -> None:
    async with issuing(saying(plain(b"{}"))) as issuer:
        await transport.send(HttpRequest("GET", f"https://localhost:{issuer.port}", (("Accept", "text/html"),)))
    head = issuer.peers[0].head
    assert head.startswith(b"GET / HTTP/1.1\r\n")
    assert head.lower().count(b"accept:") == 1 and b"content-length" not in head.lower()


async def test_nothing_is_sent_without_tls(transport: Transport) -> None:
    async with serving(silent, None) as issuer:
        url = issuer.url.replace("https", "http")
        assert await failure(transport, get(url)) == "localhost: not asked without TLS"
    assert issuer.peers == []


# -- how an answer may come

ANSWERS: dict[str, tuple[str, tuple[bytes, ...], int, bytes]] = {
    "with a length": ("GET", (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b"he", b"llo"), 200, b"hello"),
    "in chunks": (
        "GET",
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;x=y\r\nhe",
            b"\r\n3\r",
            b"\nllo\r\n0\r\nt: 1\r\n\r\n",
        ),
        200,
        b"hello",
    ),
    "one byte at a time": ("GET", tuple(bytes([each]) for each in plain(b"hello")), 200, b"hello"),
    "after a provisional one": (
        "GET",
        (b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n", plain(b"hello")),
        200,
        b"hello",
    ),
    "without a body by its status": ("GET", (b"HTTP/1.1 204 No Content\r\n\r\n",), 204, b""),
    "without a body though with a length": (
        "GET",
        (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n",),
        304,
        b"",
    ),
    "to HEAD": ("HEAD", (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",), 200, b""),
    "as a redirect": ("GET", (b"HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n",), 302, b""),
}


@pytest.mark.parametrize(("method", "said", "status", "body"), ANSWERS.values(), ids=ANSWERS.keys())
async def test_an_answer_is_over_without_the_connections_end(
    issuing: Issuing, transport: Transport, method: str, said: tuple[bytes, ...], status: int, body: bytes
) -> None:
    async with issuing(saying(*said)) as issuer:
        reply = await transport.send(HttpRequest(method, issuer.url, HEADERS))
    assert (reply.status, reply.body) == (status, body)


async def test_an_answer_may_end_with_the_connection(issuing: Issuing, transport: Transport) -> None:
    async with issuing(saying(b"HTTP/1.0 200 OK\r\n\r\nhel", b"lo", leave=True)) as issuer:
        assert (await transport.send(get(issuer.url))).body == b"hello"


async def test_headers_are_told_whatever_their_case(issuing: Issuing, transport: Transport) -> None:
    said = b"HTTP/1.1 429 \r\nRetry-After: 30\r\nX-Name: J\xfcrgen\r\ncontent-length: 0\r\n\r\n"
    async with issuing(saying(said)) as issuer:
        reply = await transport.send(get(issuer.url))
    assert (reply.status, reply.headers.get("retry-after"), reply.headers.get("x-name")) == (429, "30", "Jürgen")


async def test_megabytes_go_both_ways(issuing: Issuing, transport: Transport) -> None:
    async with issuing(saying(plain(MUCH))) as issuer:
        assert (await transport.send(HttpRequest("POST", issuer.url, HEADERS, MUCH))).body == MUCH
    assert issuer.peers[0].body == MUCH


async def test_an_issuer_may_answer_before_it_has_read_the_request(issuing: Issuing, transport: Transport) -> None:
    async def hasty(peer: Peer) -> None:
        await peer.say(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno")
        await peer.deserted()

    async with issuing(hasty) as issuer:
        reply = await transport.send(HttpRequest("POST", issuer.url, HEADERS, MUCH))
    assert (reply.status, reply.body) == (413, b"no")


# -- what is none


async def test_too_long_an_answer_is_left_while_it_comes(issuing: Issuing, transport: Transport) -> None:
    async def endless(peer: Peer) -> None:
        await peer.hear()
        await peer.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        try:
            while True:
                await peer.say(b"%x\r\n%b\r\n" % (len(MUCH), MUCH))
        except ConnectionError:
            pass

    async with issuing(endless) as issuer:
        assert await failure(transport, get(issuer.url)) == f"localhost: answer of more than {LONGEST_BODY} bytes"


async def test_the_longest_answer_is_taken(issuing: Issuing, transport: Transport) -> None:
    async with issuing(saying(plain(bytes(LONGEST_BODY)))) as issuer:
        assert len((await transport.send(get(issuer.url))).body) == LONGEST_BODY


CUT = {
    "before the head": (),
    "in the head": (b"HTTP/1.1 200 OK\r\ncontent-",),
    "in a body with a length": (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello",),
    "in a chunk": (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhello",),
    "between chunks": (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",),
    "after something that is no HTTP": (b"SSH-2.0-OpenSSH_9.9\r\n\r\n",),
    "after a head without an end": (b"HTTP/1.1 200 OK\r\nx: ", b"x" * 200_000),
    "after an offer of another protocol": (b"HTTP/1.1 101 Switching Protocols\r\n\r\n",),
}


@pytest.mark.parametrize("said", CUT.values(), ids=CUT.keys())
async def test_an_answer_that_breaks_off_is_none(
    issuing: Issuing, transport: Transport, said: tuple[bytes, ...]
) -> None:
    async with issuing(saying(*said, leave=True)) as issuer:
        assert await failure(transport, get(issuer.url), sent=True) == "localhost: RemoteProtocolError"


@pytest.mark.parametrize("has_files", [True, False], ids=["Linux", "macOS, python.org"])
async def test_where_the_system_has_no_authorities_side_calls_trust_those_that_the_proxy_trusts(
    issuing: Issuing, certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_files: bool
) -> None:
    system = make_certificates(tmp_path, ("elsewhere",)).ca if has_files else tmp_path / "cert.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(system))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "certs"))
    monkeypatch.setattr(certifi, "where", lambda: str(certificates.ca))
    async with issuing(saying(plain(b"{}"))) as issuer:
        if has_files:
            assert "SSLCertVerificationError" in await failure(Transport(), get(issuer.url))
        else:
            assert (await Transport().send(get(issuer.url))).body == b"{}"


async def test_nobody_there_is_told_by_the_hosts_name(transport: Transport) -> None:
    async with serving(silent, None) as issuer:
        pass
    assert await failure(transport, get(issuer.url), sent=False) == "localhost: ConnectionRefusedError"


@pytest.mark.parametrize("wrong", ["authority", "name"])
async def test_a_certificate_that_is_not_the_issuers_ends_it_before_anything_is_sent(
    issuing: Issuing, transport: Transport, tmp_path: Path, wrong: str
) -> None:
    another = make_certificates(tmp_path, ("localhost",))
    serve = issuing(silent) if wrong == "name" else serving(silent, another.server_context())
    async with serve as issuer:
        url = issuer.url.replace("localhost", "127.0.0.1") if wrong == "name" else issuer.url
        assert (await failure(transport, get(url), sent=False)).endswith(": SSLCertVerificationError")
    assert all(peer.head == b"" for peer in issuer.peers)


@pytest.mark.parametrize("header", ["Bearer FAKESECRET\r\nx: y", "Bearer FAKESECRET\u2026"])
async def test_a_header_that_cannot_be_sent_is_not_shown(issuing: Issuing, transport: Transport, header: str) -> None:
    async with issuing(silent) as issuer:
        said = await failure(transport, HttpRequest("GET", issuer.url, (("authorization", header),)))
    assert said in ("localhost: LocalProtocolError", "localhost: UnicodeEncodeError")


# -- through a proxy


@asynccontextmanager
async def proxied(
    certificates: Certificates, script: Script, scheme: str = "http"
) -> AsyncIterator[tuple[Server, Transport]]:
    """A proxy, and what asks through it."""
    async with serving(script, certificates.server_context() if scheme == "https" else None) as proxy:
        settings = TransportSettings(str(certificates.ca), upstream_proxy=f"{scheme}://localhost:{proxy.port}")
        yield proxy, Transport(settings)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_carries_megabytes_and_sees_none_of_them(
    certificates: Certificates, issuing: Issuing, scheme: str
) -> None:
    async with (
        issuing(saying(plain(MUCH))) as issuer,
        proxied(certificates, forwarding(issuer.port), scheme) as (proxy, transport),
    ):
        reply = await transport.send(HttpRequest("POST", issuer.url, HEADERS, MUCH))
    assert reply.body == issuer.peers[0].body == MUCH
    target = f"localhost:{issuer.port}"
    assert proxy.peers[0].head.decode() == f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nAccept: */*\r\n\r\n"


async def test_a_proxy_that_asks_who_one_is_is_told(certificates: Certificates, issuing: Issuing) -> None:
    async with issuing(saying(plain(b"hello"))) as issuer, serving(forwarding(issuer.port), None) as proxy:
        where = f"http://m%C3%A9:F%3AA%2FK%40E@localhost:{proxy.port}"
        await Transport(TransportSettings(str(certificates.ca), upstream_proxy=where)).send(get(issuer.url))
    told = b64encode("m\u00e9:F:A/K@E".encode())
    assert b"\r\nProxy-Authorization: Basic " + told + b"\r\n" in proxy.peers[0].head
    assert b"roxy-" not in issuer.peers[0].head


REFUSALS = {
    "refuses": (b"HTTP/1.1 407 No\r\ncontent-length: 3\r\n\r\nno!", "the upstream proxy answered 407"),
    "hangs up": (b"", "RemoteProtocolError"),
    "speaks another language": (b"\x05\x00\r\n\r\n", "RemoteProtocolError"),
    "lets nobody through": (b"HTTP/1.1 200 OK\r\n\r\n", "ConnectionResetError"),
}


@pytest.mark.parametrize(("said", "cause"), REFUSALS.values(), ids=REFUSALS.keys())
async def test_a_proxy_that_does_not_help_is_no_way(certificates: Certificates, said: bytes, cause: str) -> None:
    async with proxied(certificates, saying(said, leave=True)) as (_, transport):
        assert await failure(transport, get("https://issuer.example/"), sent=False) == f"issuer.example: {cause}"


async def test_a_proxy_that_reads_along_is_not_trusted(certificates: Certificates, tmp_path: Path) -> None:
    another = make_certificates(tmp_path, ("localhost",))
    async with (
        serving(silent, another.server_context()) as thief,
        proxied(certificates, forwarding(thief.port)) as (_, transport),
    ):
        assert await failure(transport, get(thief.url), sent=False) == "localhost: SSLCertVerificationError"


# -- how long it is waited for, and what is left


class Stuck:
    """Servers and proxies that get to a certain point and no further; `there` is set once they are."""

    def __init__(self, certificates: Certificates) -> None:
        self.certificates = certificates
        self.there = asyncio.Event()

    @asynccontextmanager
    async def at(self, point: str) -> AsyncIterator[tuple[str, Transport]]:
        """What to ask, and by what."""
        script: Script = getattr(self, point)
        if point in ("connecting", "tunnelling", "in_the_tunnel"):
            direct = point == "connecting"
            async with serving(script, None) as server:
                settings = TransportSettings(
                    str(self.certificates.ca), upstream_proxy=None if direct else f"http://localhost:{server.port}"
                )
                yield server.url, Transport(settings)
        else:
            async with serving(script, self.certificates.server_context()) as server:
                yield server.url, Transport(TransportSettings(str(self.certificates.ca)))

    async def connecting(self, peer: Peer) -> None:
        """No handshake of TLS."""
        await peer.reader.read(1)
        self.there.set()
        await peer.deserted()

    async def tunnelling(self, peer: Peer) -> None:
        """No answer to CONNECT."""
        await peer.hear()
        self.there.set()
        await peer.deserted()

    async def in_the_tunnel(self, peer: Peer) -> None:
        """No handshake either, behind the proxy."""
        await peer.hear()
        await peer.say(b"HTTP/1.1 200 OK\r\n\r\n")
        await self.connecting(peer)

    async def asked(self, peer: Peer) -> None:
        """No answer."""
        await self.tunnelling(peer)

    async def answering(self, peer: Peer) -> None:
        """An answer that comes byte by byte and has no end."""
        await peer.hear()
        await peer.say(b"HTTP/1.1 200 OK\r\n\r\n")
        self.there.set()
        try:
            while True:
                await peer.say(b"x")
        except ConnectionError:
            pass


WAITS_S = {
    "connecting": CONNECT_TIMEOUT_S,
    "tunnelling": ANSWER_TIMEOUT_S,
    "in_the_tunnel": CONNECT_TIMEOUT_S,
    "asked": ANSWER_TIMEOUT_S,
    "answering": ANSWER_TIMEOUT_S,
}
"""For each of the steps; none is near, so the clock is put forward."""
STEP_S = 0.1


@pytest.mark.parametrize(("point", "limit_s"), WAITS_S.items())
async def test_no_step_is_waited_for_longer_than_it_may_take(
    certificates: Certificates, point: str, limit_s: float
) -> None:
    stuck = Stuck(certificates)
    with freeze_time() as clock:
        async with stuck.at(point) as (url, transport):
            call = asyncio.create_task(failure(transport, get(url)))
            await stuck.there.wait()
            waited_s = await passing(clock, call)
            assert await call == "localhost: TimeoutError"
    assert waited_s == pytest.approx(limit_s, abs=10 * STEP_S)


async def test_all_steps_together_are_not_waited_for_longer_than_a_call_may_take(
    certificates: Certificates, issuing: Issuing
) -> None:
    """A proxy that takes 14 s, then an issuer that does not answer: 20 s and not 29."""
    asked, heard = asyncio.Event(), asyncio.Event()

    async def hesitate() -> None:
        asked.set()
        await asyncio.sleep(14)

    async def mute(peer: Peer) -> None:
        await peer.hear()
        heard.set()
        await peer.deserted()

    with freeze_time() as clock:
        async with issuing(mute) as issuer, proxied(certificates, forwarding(issuer.port, hesitate)) as (_, transport):
            call = asyncio.create_task(failure(transport, get(issuer.url)))
            await asked.wait()
            clock.tick(14 + STEP_S)
            await heard.wait()
            waited_s = 14 + await passing(clock, call)
            assert await call == "localhost: TimeoutError"
    assert waited_s == pytest.approx(CALL_TIMEOUT_S, abs=10 * STEP_S)


async def passing(clock: Any, call: asyncio.Task[str]) -> float:
    """Let time pass until the call is over; how much it was."""
    steps = 0
    while not call.done():
        clock.tick(STEP_S)
        steps += 1
        await asyncio.sleep(0)
    return steps * STEP_S


@pytest.mark.parametrize("point", WAITS_S)
async def test_a_call_that_is_cancelled_leaves_no_connection(certificates: Certificates, point: str) -> None:
    """The server's end of the block waits for that."""
    stuck = Stuck(certificates)
    async with stuck.at(point) as (url, transport):
        call = asyncio.create_task(transport.send(get(url)))
        await stuck.there.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


async def test_each_call_has_a_connection_of_its_own(issuing: Issuing, transport: Transport) -> None:
    async with issuing(saying(plain(b"{}"))) as issuer:
        for number in (1, 2):
            await transport.send(get(issuer.url))
            await issuer.deserted()
            assert len(issuer.peers) == number
        await asyncio.gather(*(transport.send(get(issuer.url)) for _ in range(5)))
    assert len(issuer.peers) == 7


async def test_a_transport_that_was_closed_can_send_again(issuing: Issuing, transport: Transport) -> None:
    async with issuing(saying(plain(b"{}"))) as issuer:
        for _ in range(2):
            assert (await transport.send(get(issuer.url))).status == 200
            await transport.close()
