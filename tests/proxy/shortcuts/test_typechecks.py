"""What mitmproxy's check lets pass and what it refuses stays the same; each combination of types is looked at once."""

import gc

import pytest
from mitmproxy import http

from seatpool.proxy.shortcuts import typechecks

_FOUND = http.MessageData.__post_init__
PLAIN = getattr(_FOUND, "__wrapped__", _FOUND)
"""mitmproxy's own, whoever has wrapped it by now."""
NONE = http.Headers()


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anew for each of these tests."""
    monkeypatch.setattr(http.MessageData, "__post_init__", PLAIN)
    assert typechecks.install()


def answer(**more: object) -> http.ResponseData:
    fields = {"http_version": b"HTTP/1.1", "headers": NONE, "content": b"", "trailers": None}
    times = {"timestamp_start": 1.0, "timestamp_end": None}
    return http.ResponseData(**{**fields, **times, "status_code": 200, "reason": b"", **more})


@pytest.mark.parametrize(
    "right",
    [{}, {"content": None}, {"trailers": NONE}, {"timestamp_end": 2.0}, {"timestamp_end": 2}, {"timestamp_start": 1}],
)
def test_what_mitmproxy_takes_is_taken_as_often_as_it_comes(right: dict[str, object]) -> None:
    for _ in range(2):
        for name, value in right.items():
            assert getattr(answer(**right), name) == value


@pytest.mark.parametrize(
    "wrong",
    [{"content": "text"}, {"headers": []}, {"status_code": "200"}, {"timestamp_start": None}, {"reason": None}],
)
def test_what_it_refuses_is_refused_each_time_in_its_words(wrong: dict[str, object]) -> None:
    answer()
    for _ in range(2):
        with pytest.raises(TypeError, match=rf"^Expected .* for {next(iter(wrong))}, but got"):
            answer(**wrong)


def test_nothing_of_a_message_is_left_to_be_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    def left() -> int:
        gc.collect()
        for _ in range(10):
            http.Request.make("POST", "https://chatgpt.com/x", b"{}")
            http.Response.make(200, b"{}")
        return gc.collect()

    assert left() == 0
    monkeypatch.setattr(http.MessageData, "__post_init__", PLAIN)
    assert left() > 0, "mitmproxy's own check leaves none either: this module is of no use any more"


def test_it_stands_aside_where_the_check_is_another_or_looks_into_values(monkeypatch: pytest.MonkeyPatch) -> None:
    def other(self: http.MessageData) -> None:
        assert self.headers is not None

    monkeypatch.setattr(http.MessageData, "__post_init__", other)
    assert not typechecks.install() and http.MessageData.__post_init__ is other
    assert typechecks.fits(PLAIN)
    assert typechecks._is_plain(bytes | None)
    for looked_into in (tuple[str, int], list[str] | None):
        assert not typechecks._is_plain(looked_into)


def test_it_is_installed_once() -> None:
    method = http.MessageData.__post_init__
    assert typechecks.install() and http.MessageData.__post_init__ is method
