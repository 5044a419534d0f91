from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import repeat
from typing import Any

import pytest

from seatpool.providers.asking import (
    DENIED,
    EXPIRED,
    Undecided,
    insist,
    pace_s,
    poll,
    refused,
    typable,
)
from seatpool.providers.http import Headers, HttpReply, HttpRequest
from seatpool.providers.signin import Clock, NotSignedIn
from tests.providers.signing import play

NOW = datetime(2026, 11, 21, 10, 0, 0, tzinfo=UTC)
LOOK = HttpRequest("POST", "https://issuer.example:8443/look?x=1")


def reply(status: int, body: bytes = b"", **headers: str) -> HttpReply:
    return HttpReply(status, Headers((k.replace("_", "-"), v) for k, v in headers.items()), body)


PENDING, SLOWER, SLOWER_9, GIVEN = (reply(200, body) for body in (b"pending", b"slower", b"slower 9", b"given"))


def read(answer: HttpReply) -> str | Undecided:
    known: dict[bytes, str | Undecided] = {
        b"pending": Undecided(),
        b"slower": Undecided(slower=True),
        b"slower 9": Undecided(slower=True, interval_s=9.0),
    }
    return known.get(answer.body, "given")


def polling(interval_s: float = 5.0, life_s: float = 60.0) -> Callable[[Clock], Any]:
    return lambda now: poll(LOOK, read, interval_s, NOW + timedelta(seconds=life_s), now)


@pytest.mark.parametrize(
    ("answers", "pauses"),
    [
        pytest.param((GIVEN,), [5], id="at once"),
        pytest.param((PENDING, PENDING, GIVEN), [5, 5, 5], id="after a while"),
        pytest.param((SLOWER, PENDING, GIVEN), [5, 10, 10], id="five seconds slower, from then on"),
        pytest.param((SLOWER_9, PENDING, SLOWER, GIVEN), [5, 9, 9, 14], id="as slow as it says"),
        pytest.param((SLOWER, SLOWER_9, GIVEN), [5, 10, 15], id="slower never means faster"),
        pytest.param((reply(503), reply(500), GIVEN), [5, 5, 5], id="trouble of the issuer's"),
        pytest.param((reply(429, retry_after="20"), PENDING, GIVEN), [5, 20, 5], id="one longer pause"),
        pytest.param((reply(429, retry_after="soon"), GIVEN), [5, 5], id="a wait that is no number"),
        pytest.param((None, None, None, None, GIVEN), [5] * 5, id="a short loss of the network"),
        pytest.param((None, None, None, None, PENDING, None, GIVEN), [5] * 7, id="two short losses"),
    ],
)
def test_looks_go_on_until_the_person_has_decided(answers: tuple[HttpReply | None, ...], pauses: list[float]) -> None:
    played = play(polling(), answers, NOW)
    assert (played.end, played.pauses) == ("given", pauses)


def test_five_looks_without_an_answer_are_offline() -> None:
    played = play(polling(), (PENDING, None, None, None, None, None), NOW)
    assert played.end == NotSignedIn(
        "offline", "issuer.example:8443 cannot be reached: check the network, then sign in again."
    )


@pytest.mark.parametrize("answer", [PENDING, SLOWER, reply(500), reply(429, retry_after="1000000")])
def test_the_last_look_is_at_the_end_of_the_codes_life(answer: HttpReply) -> None:
    played = play(polling(life_s=12.0), repeat(answer), NOW)
    assert (played.end, played.took_s) == (EXPIRED, 12.0)


def test_a_code_that_is_dead_already_is_never_looked_at() -> None:
    assert play(polling(life_s=0.0), (), NOW).end == EXPIRED


def test_no_issuer_slows_looks_down_to_more_than_a_minute_apart() -> None:
    played = play(polling(life_s=900.0), repeat(SLOWER), NOW)
    assert max(played.pauses) == 60.0


def test_what_reading_finds_to_be_the_end_is_the_end() -> None:
    played = play(lambda now: poll(LOOK, lambda _: DENIED, 5.0, NOW + timedelta(60), now), (GIVEN,), NOW)
    assert played.end == DENIED


@pytest.mark.parametrize(
    ("answers", "end"),
    [
        ((GIVEN,), GIVEN),
        ((None, GIVEN), GIVEN),
        ((reply(429), reply(502), GIVEN), GIVEN),
        ((reply(400),), 400),
        ((None, reply(503), None), None),
        ((None, None, reply(503)), 503),
    ],
)
def test_what_everything_hangs_on_is_asked_three_times(
    answers: tuple[HttpReply | None, ...], end: HttpReply | int | None
) -> None:
    flow: Callable[[Clock], Any] = lambda now: insist(LOOK)  # noqa: E731 # the clock plays no part
    found: Any = play(flow, answers, NOW)
    assert (found.end.status if isinstance(end, int) else found.end) == end
    assert found.pauses == [1.0] * (len(answers) - 1)


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [("5", 5.0), (7, 7.0), (None, 4.0), ("x", 4.0), (True, 4.0), (0, 1.0), (-3, 1.0), (1e9, 60.0), ("nan", 4.0)],
)
def test_the_pace_is_the_issuers_within_reason(stated: object, seconds: float) -> None:
    assert pace_s(stated, 4.0) == seconds


@pytest.mark.parametrize("code", ["WDJB-MJHT", "ABCD-EFGH", "123456"])
def test_a_code_that_can_be_typed_is_shown(code: str) -> None:
    assert typable(code) == code


@pytest.mark.parametrize("code", [None, 1, "", "abc", "A" * 33, "\x1b[31mAB-CD", "AB CD", "ab\ncd", "ÄÖÜ-ÄÖÜ"])
def test_anything_else_is_not(code: object) -> None:
    assert typable(code) is None


@pytest.mark.parametrize(
    ("answer", "said", "ending"),
    [
        (None, "", "offline"),
        (reply(429), "", "unavailable"),
        (reply(500), "server_error", "unavailable"),
        (reply(400), "", "refused"),
        (reply(200), "incorrect_device_code", "refused"),
    ],
)
def test_a_refusal_is_one_line_that_names_the_host_and_the_code(
    answer: HttpReply | None, said: str, ending: str
) -> None:
    end = refused(LOOK, answer, said)
    assert end.code == ending
    assert end.message.startswith("issuer.example:8443 ") and "\n" not in end.message
    assert answer is None or (said or f"HTTP {answer.status}") in end.message
