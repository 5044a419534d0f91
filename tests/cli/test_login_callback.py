"""The listener that a browser comes back to: who is let in, what others are told, when the answer goes out."""

import asyncio
import base64
import errno
import hashlib
import re
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from html import unescape

import pytest

from seatpool.cli.login import callback_page
from seatpool.cli.login.callback import CallbackListener, listening
from seatpool.cli.login.callback_page import Page
from seatpool.providers.codex.signin import REDIRECTS, Redirect
from seatpool.providers.signin import Callback, Visit

LATER = datetime(2030, 1, 1, tzinfo=UTC)
STATE = "s-t_8~te"
VISIT = Visit(f"https://issuer.example/authorize?a=b&state={STATE}", LATER)
ANY = Redirect("127.0.0.1", 0, ("127.0.0.1",))
GOOD = f"/auth/callback?code=FAKESECRETcode&state={STATE}"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    text: str


async def get(
    listener: CallbackListener, target: str, *, host: str | None = None, method: str = "GET", address: str = "127.0.0.1"
) -> Answer:
    hosts = "" if host == "" else f"host: {host or f'localhost:{listener.port}'}\r\n"
    return await send(listener, f"{method} {target} HTTP/1.1\r\n{hosts}accept: */*\r\n\r\n", address)


async def send(listener: CallbackListener, raw: str, address: str = "127.0.0.1") -> Answer:
    reader, writer = await asyncio.open_connection(address, listener.port)
    writer.write(raw.encode("latin-1"))
    head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    first, *fields = head.split("\r\n")
    return Answer(int(first.split()[1]), dict(field.split(": ", 1) for field in fields), body)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@pytest.fixture
async def listener() -> AsyncIterator[CallbackListener]:
    async with listening([ANY]) as listener:
        yield listener


@pytest.fixture
async def waiting(listener: CallbackListener) -> AsyncIterator[asyncio.Task[Callback]]:
    task = asyncio.create_task(listener.wait(VISIT))
    await asyncio.sleep(0)
    yield task
    task.cancel()


async def test_the_rightful_visitor_is_answered_when_the_outcome_is_known(
    listener: CallbackListener, waiting: asyncio.Task[Callback]
) -> None:
    visiting = asyncio.create_task(get(listener, GOOD))
    assert (await waiting).query == {"code": "FAKESECRETcode", "state": STATE}
    assert not visiting.done()
    listener.conclude(callback_page.signed_in("work", "plus"))
    answer = await visiting
    assert answer.status == 200 and "Signed in as work (plus)" in answer.text
    again = await get(listener, GOOD)
    assert again.text == answer.text, "a reload shows the same"


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/auth/callback?code=c&state=forged", 400),
        ("/auth/callback?code=c&state=", 400),
        ("/auth/callback?code=c", 400),
        ("/auth/callback", 400),
        (f"/auth/callback?code=c&state={STATE}&state={STATE}", 400),
        (f"/auth/callback?code=c&code=d&state={STATE}", 400),
        ("/auth/callback?" + "&".join(f"f{n}=1" for n in range(60)) + f"&state={STATE}", 400),
        (f"/auth/callback/?code=c&state={STATE}", 404),
        (f"/?code=c&state={STATE}", 404),
        ("/favicon.ico", 404),
        ("/cancel", 404),
        (f"http://localhost/auth/callback?code=c&state={STATE}", 404),
    ],
)
async def test_a_forged_visit_neither_signs_in_nor_ends_the_waiting(
    listener: CallbackListener, waiting: asyncio.Task[Callback], target: str, status: int
) -> None:
    assert (await get(listener, target)).status == status
    assert not waiting.done()
    visiting = asyncio.create_task(get(listener, GOOD))
    assert (await waiting).query["code"] == "FAKESECRETcode"
    listener.conclude(callback_page.signed_in("work", None))
    assert (await visiting).status == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost", "localhost:1", "evil.example:{port}", ""])
async def test_only_loopback_names_with_our_port_are_served(
    listener: CallbackListener, waiting: asyncio.Task[Callback], host: str
) -> None:
    assert (await get(listener, GOOD, host=host.format(port=listener.port))).status in (400, 403)
    assert not waiting.done()


@pytest.mark.parametrize("host", ["localhost:{port}", "127.0.0.1:{port}", "[::1]:{port}", "LOCALHOST:{port}"])
async def test_each_loopback_name_is(listener: CallbackListener, waiting: asyncio.Task[Callback], host: str) -> None:
    listener.conclude(callback_page.signed_in("work", None))
    assert (await get(listener, GOOD, host=host.format(port=listener.port))).status == 200


@pytest.mark.parametrize("method", ["POST", "HEAD", "OPTIONS"])
async def test_nothing_but_get_ends_a_sign_in(
    listener: CallbackListener, waiting: asyncio.Task[Callback], method: str
) -> None:
    assert (await get(listener, GOOD, method=method)).status == 405
    assert not waiting.done()


async def test_a_visit_before_the_browser_was_sent_away_is_forged(listener: CallbackListener) -> None:
    assert (await get(listener, GOOD)).status == 400


@pytest.mark.parametrize("raw", ["hello\r\n\r\n", "GET / HTTP/2.0\r\nhost: localhost\r\n\r\n", "\r\n\r\n"])
async def test_what_no_browser_sends_is_answered_as_such(listener: CallbackListener, raw: str) -> None:
    assert (await send(listener, raw)).status == 400


async def test_two_host_headers_are_refused(listener: CallbackListener) -> None:
    good = f"host: localhost:{listener.port}\r\n"
    assert (await send(listener, f"GET {GOOD} HTTP/1.1\r\n{good}host: evil.example\r\n\r\n")).status == 403


async def test_a_held_visitor_is_told_when_the_sign_in_is_broken_off() -> None:
    async with listening([ANY]) as listener:
        waiting = asyncio.create_task(listener.wait(VISIT))
        await asyncio.sleep(0)
        visiting = asyncio.create_task(get(listener, GOOD))
        await waiting
    assert "ended in the terminal" in (await visiting).text
    with pytest.raises(ConnectionRefusedError):
        await get(listener, GOOD)


async def test_connections_that_say_nothing_do_not_hold_up_the_end() -> None:
    async with listening([ANY]) as listener:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        await get(listener, "/")
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


async def test_every_answer_is_kept_nowhere_runs_nothing_and_frames_nowhere(
    listener: CallbackListener, waiting: asyncio.Task[Callback]
) -> None:
    listener.conclude(callback_page.signed_in("work", "plus"))
    for target in (GOOD, "/auth/callback?state=forged", "/elsewhere"):
        answer = await get(listener, target)
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'") and "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert not re.search(r"<script|<img|<link|<a |src=|href=|url\(|\bon\w+=", answer.text)
        assert not any(secret in answer.text for secret in ("FAKESECRET", STATE, "forged"))
        style = re.search(r"<style>(.*?)</style>", answer.text, re.DOTALL)
        assert style is not None
        assert base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode() in policy


def test_whatever_a_page_says_is_text() -> None:
    nasty = "<script>alert('x')</script> & \"more\""
    for page in (callback_page.signed_in(nasty, nasty), callback_page.denied(nasty), Page(nasty, nasty, nasty)):
        html = page.html().decode()
        assert "<script" not in html
        assert nasty in unescape(html)


async def test_the_registered_port_is_listened_on_under_both_meanings_of_localhost() -> None:
    registered = Redirect("localhost", free_port(), ("127.0.0.1", "::1"))
    async with listening([registered, ANY]) as listener:
        assert listener.redirect_uri == f"http://localhost:{registered.port}/auth/callback"
        addresses = ["127.0.0.1", *(["::1"] if has_ipv6() else [])]
        for address in addresses:
            assert (await get(listener, "/", address=address)).status == 404


@pytest.mark.parametrize("taken", ["127.0.0.1", "::1"])
async def test_where_either_address_is_taken_it_is_another_port(taken: str) -> None:
    if taken == "::1" and not has_ipv6():
        pytest.skip("no IPv6 on this machine's loopback")
    registered = Redirect("localhost", free_port(), ("127.0.0.1", "::1"))
    family = socket.AF_INET6 if ":" in taken else socket.AF_INET
    with ExitStack() as others:
        others.enter_context(socket.create_server((taken, registered.port), family=family))
        async with listening([registered, ANY]) as listener:
            assert listener.port != registered.port
            assert listener.redirect_uri == f"http://127.0.0.1:{listener.port}/auth/callback"
            assert (await get(listener, "/")).status == 404


async def test_where_every_registered_port_is_taken_another_way_is_told() -> None:
    with ExitStack() as others:
        ports = [others.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1] for _ in range(2)]
        with pytest.raises(
            OSError, match=f"ports {ports[0]} and {ports[1]} are taken, .* seatpool login codex --device"
        ):
            async with listening([Redirect("localhost", port, ("127.0.0.1", "::1")) for port in ports]):
                pass


async def test_where_windows_keeps_the_registered_ports_nobody_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def keeping(where: tuple[str, int], *, family: int) -> socket.socket:
        raise PermissionError(
            errno.EACCES, f"access to a socket, forbidden by its access permissions: {where} {family}"
        )

    monkeypatch.setattr(socket, "create_server", keeping)
    with pytest.raises(OSError, match=r"Windows keeps ports 1455 and 1457 to itself .* seatpool login codex --device"):
        async with listening(REDIRECTS):
            pass


async def test_the_ports_are_free_afterwards() -> None:
    registered = Redirect("localhost", free_port(), ("127.0.0.1", "::1"))
    for _ in range(2):
        async with listening([registered, ANY]) as listener:
            assert listener.port == registered.port


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False
