"""What is found in headers stays what mitmproxy finds in them, to the last odd byte."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import http

from seatpool.proxy.shortcuts import headers

OWN = headers.get_all.__wrapped__
"""mitmproxy's."""


class Plain(http.Headers):
    """As mitmproxy has them."""

    get_all = OWN
    get = Mapping.get
    __contains__ = Mapping.__contains__


class Direct(http.Headers):
    """With our methods, whether they are installed or not."""

    get_all = headers.get_all
    get = headers.get
    __contains__ = headers.contains


NAMES = st.sampled_from([b"Host", b"host", b"HOST", b"Accept", b"x-\xff", b"\xc3\x84", b"\xc3\xa4", b""]) | st.binary(
    max_size=6
)
FIELDS = st.lists(st.tuples(NAMES, st.binary(max_size=8) | st.just(b"value")), max_size=8)
KEYS = NAMES | NAMES.map(lambda name: name.decode("utf-8", "surrogateescape")) | st.text(max_size=6)


def _found(kind: type[http.Headers], fields: list[tuple[bytes, bytes]], key: str | bytes) -> object:
    """All that can be asked of them, or what is raised."""
    asked = kind(fields)
    try:
        return asked.get_all(key), asked.get(key), asked.get(key, "other"), key in asked
    except Exception as error:  # noqa: BLE001 # compared
        return type(error)


@given(FIELDS, KEYS)
def test_what_is_found_is_what_mitmproxy_finds(fields: list[tuple[bytes, bytes]], key: str | bytes) -> None:
    assert _found(Direct, fields, key) == _found(Plain, fields, key)


def test_what_is_set_and_deleted_is_seen() -> None:
    made = Direct([(b"Host", b"a"), (b"X", b"1"), (b"x", b"2")])
    assert (made.get("host"), made.get("x"), made["X"]) == ("a", "1, 2", "1, 2")
    made["x"] = "3"
    del made["host"]
    assert "Host" not in made and made.get_all("X") == ["3"] and made.pop("x") == "3" and not list(made)


def test_it_stands_aside_where_the_class_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http.Headers, "get_all", OWN)
    monkeypatch.setattr(http.Headers, "get", Mapping.get)
    monkeypatch.setattr(http.Headers, "__contains__", Mapping.__contains__)
    assert headers.fits(http.Headers)
    with monkeypatch.context() as there:
        there.setattr(http.Headers, "_kconv", staticmethod(lambda key: key.upper()))
        assert not headers.install() and http.Headers.get_all is OWN
    for name in ("get", "__contains__", "__getitem__", "_reduce_values"):
        with monkeypatch.context() as there:
            there.setattr(http.Headers, name, lambda *_: None)
            assert not headers.install() and http.Headers.get_all is OWN, name


def test_it_is_installed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in headers.METHODS:
        monkeypatch.setattr(http.Headers, name, getattr(Plain, name))
    assert headers.install() and http.Headers.get_all is headers.get_all and http.Headers.get is headers.get
    assert headers.install()
