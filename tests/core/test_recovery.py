"""The recovery table, row by row."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from seatpool.core.model import Scope, ScopeKind
from seatpool.core.outcome import Outcome, OutcomeKind
from seatpool.core.policy import Policy
from seatpool.core.recovery import RULES, Action, Blame, Decision, Remedy, decide

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
POLICY = Policy()
K, A, R = OutcomeKind, Action, Remedy


def at(
    kind: OutcomeKind,
    *,
    attempt: int = 1,
    repeats: int = 0,
    until: datetime | None = None,
    policy: Policy = POLICY,
    **more: Any,
) -> Decision:
    outcome = Outcome(kind, "code", until=until)
    return decide(outcome, attempt=attempt, repeats=repeats, policy=policy, now=NOW, **more)


def test_every_outcome_has_a_rule() -> None:
    assert set(RULES) == set(OutcomeKind)


@pytest.mark.parametrize(
    ("kind", "first", "then", "remedy_first", "remedy_then"),
    [
        (K.OK, A.DELIVER, A.DELIVER, R.NONE, R.NONE),
        (K.QUOTA_SPENT, A.SWITCH, A.SWITCH, R.COOL, R.COOL),
        (K.RATE_LIMITED, A.SWITCH, A.SWITCH, R.COOL, R.COOL),
        (K.UNAUTHORIZED, A.REFRESH, A.SWITCH, R.NONE, R.COOL),
        (K.MISDIRECTED, A.REFRESH, A.DELIVER, R.NONE, R.NONE),
        (K.NOT_ENTITLED, A.SWITCH, A.SWITCH, R.DISABLE, R.DISABLE),  # of the whole account; a model's cools, below
        (K.REVOKED, A.DELIVER, A.DELIVER, R.DISABLE, R.DISABLE),
        (K.CARRIER, A.REPAIR, A.REPAIR, R.NONE, R.NONE),
        (K.SERVER_ERROR, A.RESEND, A.DELIVER, R.NONE, R.NONE),
        (K.OVERLOADED, A.DELIVER, A.DELIVER, R.NONE, R.NONE),
        (K.CLIENT_ERROR, A.DELIVER, A.DELIVER, R.NONE, R.NONE),
        (K.CONNECT_FAILED, A.RESEND, A.SWITCH, R.NONE, R.NONE),
        (K.STALE_CONNECTION, A.RESEND, A.DELIVER, R.NONE, R.NONE),
        (K.UNANSWERED, A.DELIVER, A.DELIVER, R.NONE, R.NONE),
    ],
)
def test_what_follows_the_first_and_the_second_time(
    kind: OutcomeKind, first: Action, then: Action, remedy_first: Remedy, remedy_then: Remedy
) -> None:
    assert (at(kind).action, at(kind).remedy) == (first, remedy_first)
    assert (at(kind, repeats=1).action, at(kind, repeats=1).remedy) == (then, remedy_then)


def test_the_upstreams_own_time_is_honoured_in_full_and_a_default_stands_in() -> None:
    assert at(K.QUOTA_SPENT, until=NOW + timedelta(days=6)).until == NOW + timedelta(days=6)
    assert at(K.QUOTA_SPENT).until == NOW + timedelta(minutes=15)
    assert at(K.RATE_LIMITED).until == NOW + timedelta(minutes=1)


@pytest.mark.parametrize(
    ("kind", "minutes"),
    [
        (K.RATE_LIMITED, [1, 5, 25, 60, 60]),  # times five, at most an hour
        (K.QUOTA_SPENT, [15, 60, 60]),
        (K.NOT_ENTITLED, [10, 50, 250, 1250, 1440, 1440]),  # at most a day
    ],
)
def test_each_refusal_in_a_row_that_names_no_time_rests_longer(kind: OutcomeKind, minutes: list[int]) -> None:
    scope = Scope(ScopeKind.MODEL, "gpt-x")
    for strikes, expected in enumerate(minutes, start=1):
        told = decide(Outcome(kind, "code", scope), attempt=1, repeats=0, policy=POLICY, now=NOW, strikes=strikes)
        assert told.until == NOW + timedelta(minutes=expected)
        assert told.strikes == strikes


def test_a_time_that_upstream_names_is_taken_as_it_is_however_often_it_was_limited() -> None:
    told = at(K.RATE_LIMITED, until=NOW + timedelta(seconds=7), strikes=9)
    assert (told.until, told.strikes) == (NOW + timedelta(seconds=7), 0)
    assert at(K.RATE_LIMITED, strikes=10**9).until == NOW + timedelta(hours=1)


def test_a_guess_that_a_policy_makes_longer_than_the_cap_is_kept() -> None:
    patient = Policy(quota_cooldown_s=7200.0)
    assert at(K.QUOTA_SPENT, policy=patient, strikes=3).until == NOW + timedelta(hours=2)


def test_a_servers_error_that_names_a_time_is_not_asked_again_before() -> None:
    soon = at(K.SERVER_ERROR, until=NOW + timedelta(seconds=2))
    assert (soon.action, soon.pause_s, soon.remedy) == (A.PAUSE, 2.0, R.NONE)
    assert at(K.SERVER_ERROR, until=NOW + timedelta(seconds=2), repeats=1).action is A.DELIVER
    assert at(K.SERVER_ERROR, until=NOW + timedelta(minutes=2)) == Decision(A.DELIVER)


def test_an_implausible_end_is_bounded_to_the_longest_window() -> None:
    assert at(K.QUOTA_SPENT, until=NOW + timedelta(days=4000)).until == NOW + timedelta(days=35)


def test_a_request_is_not_sent_more_often_than_allowed_except_in_search_of_unspent_quota() -> None:
    """And where it never got there, on a connection that had died meanwhile."""
    assert at(K.RATE_LIMITED, attempt=3) == Decision(A.HOLD, R.COOL, NOW + timedelta(minutes=1), 1)
    assert at(K.RATE_LIMITED, attempt=4, last=True).action is A.DELIVER
    assert at(K.CONNECT_FAILED, attempt=3).action is A.DELIVER
    assert at(K.QUOTA_SPENT, attempt=30).action is A.SWITCH
    assert at(K.STALE_CONNECTION, attempt=3).action is A.RESEND
    assert at(K.STALE_CONNECTION, attempt=4, repeats=1).action is A.DELIVER


@pytest.mark.parametrize("kind", [K.QUOTA_SPENT, K.RATE_LIMITED])
def test_who_has_waited_walks_no_more_and_may_be_sent_once_beyond_the_limit(kind: OutcomeKind) -> None:
    assert at(kind, attempt=2, held=True).action is A.SWITCH
    assert at(kind, attempt=3, held=True).action is A.HOLD
    assert at(kind, attempt=4, held=True, last=True).action is A.DELIVER
    assert at(kind, attempt=1, policy=Policy(max_attempts=1), held=True).action is A.DELIVER


def test_what_got_no_answer_goes_to_another_account_only_where_the_person_wants_that() -> None:
    assert at(K.UNANSWERED) == Decision(A.DELIVER)
    wanted = Policy(replay_unanswered=True)
    assert at(K.UNANSWERED, policy=wanted) == Decision(A.SWITCH)
    assert at(K.UNANSWERED, policy=wanted, attempt=3) == Decision(A.DELIVER)


def test_with_rotation_off_a_limit_is_the_editors_to_see_but_token_care_goes_on() -> None:
    off = Policy(rotate_on_limit=False)
    assert at(K.QUOTA_SPENT, policy=off) == Decision(A.DELIVER)
    assert at(K.RATE_LIMITED, policy=off) == Decision(A.DELIVER)
    assert at(K.UNAUTHORIZED, policy=off).action is A.REFRESH


def test_the_addresss_limit_is_handed_over_and_costs_no_account_anything() -> None:
    nameless = Outcome(K.RATE_LIMITED, "code", anonymous=True)
    alone = decide(nameless, attempt=1, repeats=0, policy=POLICY, now=NOW)
    assert (alone.action, alone.remedy) == (A.SWITCH, R.COOL)
    assert decide(nameless, attempt=1, repeats=0, policy=POLICY, now=NOW, blame=Blame.ADDRESS) == Decision(A.DELIVER)


def test_one_request_too_many_waits_for_a_place_as_often_as_it_may_be_sent() -> None:
    crowded = Outcome(K.RATE_LIMITED, "code", concurrent=True)
    for attempt, action in ((1, A.WAIT), (2, A.WAIT), (3, A.DELIVER)):
        told = decide(crowded, attempt=attempt, repeats=attempt - 1, policy=POLICY, now=NOW, blame=Blame.CROWD)
        assert told == Decision(action)
    off = Policy(rotate_on_limit=False)
    assert decide(crowded, attempt=1, repeats=0, policy=off, now=NOW, blame=Blame.CROWD) == Decision(A.DELIVER)


def test_blame_is_asked_of_limits_alone() -> None:
    for blame in Blame:
        stale = decide(Outcome(K.UNAUTHORIZED, "x"), attempt=1, repeats=0, policy=POLICY, now=NOW, blame=blame)
        assert stale.action is A.REFRESH


def test_a_model_that_an_account_lacks_cools_that_model_only() -> None:
    outcome = Outcome(K.NOT_ENTITLED, "model_not_supported", Scope(ScopeKind.MODEL, "gpt-x"))
    decision = decide(outcome, attempt=1, repeats=0, policy=POLICY, now=NOW)
    assert decision == Decision(A.SWITCH, R.COOL, NOW + timedelta(minutes=10), 1)
