"""What mitmproxy quotes of a connection's bytes, and what its log has of it."""

import logging
from collections.abc import Iterator

import pytest
from mitmproxy.proxy import server
from mitmproxy.test import taddons

from seatpool.proxy.process import unquoted


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    unquoted.install()
    with caplog.at_level(logging.INFO, server.logger.name):
        yield caplog
    unquoted.uninstall()


@pytest.mark.parametrize(
    ("message", "logged"),
    [
        ("server connect chatgpt.com:443", "server connect chatgpt.com:443"),
        (f"Unexpected data from server: {b'secret'!r}", "Unexpected data from server: [bytes]"),
        (f"closed: {bytearray(b'it' + b'secret')!r}", "closed: bytearray([bytes])"),
        (f"1.2.3.4:5: Invalid header line: {b'a: it' + bytes([39]) + b's secret'!r}, {b'secret'!r}",
         "1.2.3.4:5: Invalid header line: [bytes], [bytes]"),
        (f"quotes: {b'both ' + bytes([39, 34]) + b' secret'!r} end", "quotes: [bytes] end"),
        (f">> DataReceived(client, {b"secret " * 99!r}"[:512] + "\u2026", ">> DataReceived(client, [bytes]"),
        (f"cut: {b'it' + bytes([39]) + b's secret'!r}"[:-1] + "\\", "cut: [bytes]"),
    ],
)  # fmt: skip
def test_no_bytes_are_logged(said: pytest.LogCaptureFixture, message: str, logged: str) -> None:
    server.logger.info(message)
    assert said.messages == [logged]


def test_what_has_arguments_is_read_with_them(said: pytest.LogCaptureFixture) -> None:
    server.logger.info("got %r from %s", b"secret", "upstream")
    assert said.messages == ["got [bytes] from upstream"]


@pytest.mark.parametrize(("detail", "logged"), [(0, 2), (1, 6)])
def test_where_no_request_has_a_line_no_connection_has(
    said: pytest.LogCaptureFixture, detail: int, logged: int
) -> None:
    with taddons.context() as context:
        context.options.add_option("flow_detail", int, detail, "")
        for end in ("client", "server"):
            server.logger.info(f"{end} connect")
            server.logger.info(f"{end} disconnect 1.2.3.4:5")
        server.logger.info("server connection to chatgpt.com:443 killed before connect")
        server.logger.warning("client connect")
    assert len(said.messages) == logged
