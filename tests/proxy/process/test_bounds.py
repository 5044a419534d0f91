"""What mitmproxy unpacks of bodies has an end, and is what it was but for that."""

import bz2
import gzip
import zlib
from collections.abc import Callable, Iterator, Mapping

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard
from mitmproxy import http

from seatpool.proxy.answers import body_of
from seatpool.proxy.process import bounds

BODY = b'{"model":"gpt-x"}' * 999
PACKERS: Mapping[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "deflateraw": lambda content: zlib.compress(content)[2:-4],
    "br": lambda content: brotli.compress(content, quality=1),
    "zstd": zstandard.compress,
}
every_coding = pytest.mark.parametrize("coding", sorted(bounds.DECODERS))


@pytest.fixture
def bounded() -> Iterator[None]:
    bounds.install()
    yield
    bounds.uninstall()


def request(coding: str, packed: bytes) -> http.Request:
    made = http.Request.make("POST", "https://chatgpt.com/backend-api/codex/responses", b"")
    made.headers["content-encoding"], made.raw_content = coding, packed
    return made


@every_coding
@pytest.mark.usefixtures("bounded")
def test_a_small_body_that_becomes_a_large_one_is_not_unpacked(coding: str) -> None:
    bomb = PACKERS[coding](bytes(bounds.MOST))
    assert len(bomb) < bounds.MOST / 100
    assert body_of(request(coding, bomb)) == bomb
    with pytest.raises(ValueError, match="TooMuch"):
        _ = request(coding, bomb).content


@pytest.mark.parametrize("name", ["bz2", "BZ2-codec", "zlib", "zip"])
@pytest.mark.usefixtures("bounded")
def test_neither_is_one_that_names_a_codec_of_pythons(name: str) -> None:
    bomb = (bz2 if "bz" in name.lower() else zlib).compress(bytes(bounds.PIECE))
    assert body_of(request(name, bomb)) == bomb


@every_coding
def test_all_else_is_unpacked_as_by_mitmproxy(coding: str) -> None:
    whole = PACKERS[coding](BODY)
    foreign = [pack(BODY) for pack in PACKERS.values()]
    bodies = (whole, whole[:-9], whole[:30], whole + whole, whole + b"more", BODY, b"", *foreign)
    before = [body_of(request(coding, body)) for body in bodies]
    bounds.install()
    try:
        after = [body_of(request(coding, body)) for body in bodies]
    finally:
        bounds.uninstall()
    assert after == before
    assert before[0] == BODY


@pytest.mark.usefixtures("bounded")
def test_texts_are_read_as_ever() -> None:
    made = http.Response.make(200, "\N{SNOWMAN}".encode(), {"content-type": "text/plain; charset=utf-8"})
    assert made.text == "\N{SNOWMAN}"
