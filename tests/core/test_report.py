"""The report that everything which shows the pool is made of, and its words."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from seatpool.core import telling
from seatpool.core.model import (
    WHOLE_ACCOUNT,
    Account,
    Cooldown,
    ProviderName,
    QuotaWindow,
    Scope,
    ScopeKind,
    UnderWay,
)
from seatpool.core.report import Report, WindowRow, report
from seatpool.core.seen import Seen, Substituted, Unknown

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MIDNIGHT = NOW - 12 * HOUR


def account(id_: int, name: str, **more: Any) -> Account:
    return Account(id_, ProviderName.CODEX, name, f"secret-identity-{id_}", "chatgpt.com", **more)


def cooldown(id_: int, ends: timedelta, scope: Scope = WHOLE_ACCOUNT) -> Cooldown:
    return Cooldown(id_, scope, "usage_limit_reached", NOW + ends, NOW - HOUR)


def window(left: float, **more: Any) -> WindowRow:
    values: dict[str, Any] = {"length_s": None, "resets_at": None, "unlimited": False, "stale": False, **more}
    return WindowRow("primary", left, observed_at=NOW, source="header", **values)


MODEL = Scope(ScopeKind.MODEL, "gpt-x")
SEEN = Seen(
    accounts=(
        account(1, "alice", plan="plus", last_used_at=NOW - HOUR),
        account(2, "bob", priority=5, paused=True),
        account(3, "carol", disabled="revoked-licence"),
        account(4, "dave", learnt=True),
    ),
    windows=((1, QuotaWindow("weekly", 0.5, NOW - 2 * HOUR, "header")), (1, QuotaWindow("five", 0.25, NOW, "frame"))),
    cooldowns=(cooldown(1, 3 * HOUR, MODEL), cooldown(1, HOUR), cooldown(4, -HOUR)),
    under_way=(UnderWay("p", NOW, {1: 2}), UnderWay("q", NOW, {1: 1}), UnderWay("dead", NOW - HOUR, {1: 9})),
    today={1: 3, 2: 1, None: 7},
    substituted=(Substituted(1, "gpt-x", "gpt-y", 2, NOW - HOUR),),
    unknown=(Unknown(2, None, "teapot", 4, NOW),),
    waited=(6, NOW - HOUR),
)


def test_every_account_has_a_row_with_its_state_and_what_it_does() -> None:
    told = report(SEEN, NOW, MIDNIGHT)
    assert [(r.name, r.state, r.in_flight, r.requests_today, r.share_today) for r in told.accounts] == [
        ("bob", "paused", 0, 1, 0.25),
        ("alice", "cooling", 3, 3, 0.75),
        ("carol", "disabled", 0, 0, 0.0),
        ("dave", "editor", 0, 0, 0.0),
    ]
    bob, alice, *_ = told.accounts
    assert [(w.bucket, w.stale) for w in alice.windows] == [("five", False), ("weekly", True)]
    assert [(c.scope, c.of) for c in alice.cooldowns] == [("account", None), ("model", "gpt-x")]
    assert [(s.asked, s.model) for s in alice.substituted] == [("gpt-x", "gpt-y")]
    assert [(u.code, u.requests) for u in bob.unknown_refusals] == [("teapot", 4)]
    assert (told.requests_today, told.unserved_today, told.waited) == (4, 7, 6)


def test_it_is_written_as_json_and_read_again_and_holds_nothing_of_a_person() -> None:
    told = report(SEEN, NOW, MIDNIGHT)
    written = msgspec.json.encode(told)
    assert msgspec.json.decode(written, type=Report) == told
    assert b"secret-identity" not in written


def test_without_requests_nobody_has_a_share() -> None:
    assert {r.share_today for r in report(Seen(SEEN.accounts), NOW, MIDNIGHT).accounts} == {None}


@pytest.mark.parametrize(
    ("seen", "drawn", "plain", "words"),
    [
        (window(1.0), "██████████", "##########", "primary 100%"),
        (window(0.0), "░░░░░░░░░░", "----------", "primary 0%"),
        (window(0.25), "██▌░░░░░░░", "##--------", "primary 25%"),
        (window(0.99), "█████████▉", "##########", "primary 99%"),
        (
            window(0.5, resets_at=NOW + 3 * HOUR, stale=True),
            "█████░░░░░",
            "#####-----",
            "primary 50%, resets in 3 h (seen 0 s ago, stale)",
        ),
        (window(0.0, resets_at=NOW), "██████████", "##########", "primary reset since"),
        (window(1.0, length_s=18_000), "██████████", "##########", "primary (5 h) 100%"),
        (window(0.0, length_s=604_800, resets_at=NOW), "██████████", "##########", "primary (7 d) reset since"),
        (window(1.0, length_s=2_592_000), "██████████", "##########", "primary 100%"),
        (window(1.0, length_s=0, unlimited=True), "██████████", "##########", "primary unlimited"),
        (window(1.0, unlimited=True), "██████████", "##########", "primary unlimited"),
        (window(-0.1), "░░░░░░░░░░", "----------", "primary -10%"),
    ],
)
def test_a_window_is_a_bar_and_words(seen: WindowRow, drawn: str, plain: str, words: str) -> None:
    assert telling.bar(seen, NOW) == drawn
    assert telling.bar(seen, NOW, plain=True) == plain
    assert telling.window(seen, NOW) == words


def test_a_rows_cells_say_what_a_person_asks() -> None:
    bob, alice, carol, dave = (telling.cells(row, NOW) for row in report(SEEN, NOW, MIDNIGHT).accounts)
    assert len(alice) == len(telling.COLUMNS)
    assert alice[3].splitlines() == [
        "cooling 60 min: usage_limit_reached",
        "gpt-x cooling 3 h: usage_limit_reached",
        "gpt-y for gpt-x: 2 in 24 h, last 60 min ago",
    ]
    assert alice[5:] == ("3", "75% (3)", "60 min ago")
    assert bob[3].splitlines() == ["paused", "unknown refusal in a message teapot: 4 in 7 days, last 0 s ago"]
    assert carol[3:] == ("disabled: revoked-licence", "not seen yet", "-", "-", "never")
    assert dave[3] == "editor"


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("renewal-refresh_token_expired", "has to sign in again: refresh_token_expired"),
        ("deactivated_workspace", "disabled: deactivated_workspace"),
    ],
)
def test_an_account_out_of_use_says_whose_turn_it_is(reason: str, words: str) -> None:
    (row,) = report(Seen((account(1, "alice", disabled=reason),)), NOW, MIDNIGHT).accounts
    assert telling.state(row, NOW) == words
    assert telling.gist(row, NOW) == f"alice: {words}"


def test_the_gist_of_a_row_stays_while_only_the_time_passes() -> None:
    later = NOW + timedelta(minutes=5)
    now, then = report(SEEN, NOW, MIDNIGHT).accounts, report(SEEN, later, MIDNIGHT).accounts
    busy = {row.name for row in now if row.in_flight}
    same = [(a, b) for a, b in zip(now, then, strict=True) if a.name not in busy]
    assert [telling.gist(a, NOW) for a, _ in same] == [telling.gist(b, later) for _, b in same]
    assert telling.gist(now[1], NOW) == (
        "alice: cooling, all cooling until 2026-11-21T13:00:00Z: usage_limit_reached, "
        "gpt-x cooling until 2026-11-21T15:00:00Z: usage_limit_reached, five=25%, weekly=50%, 3 in flight"
    )
    assert telling.gist(now[2], NOW) == "carol: disabled: revoked-licence"
