"""One after the other onto an account that comes back from a limit."""

from datetime import UTC, datetime, timedelta

from seatpool.core.model import WHOLE_ACCOUNT, Scope, ScopeKind
from seatpool.core.returning import Returning

NOW = datetime(2026, 11, 21, tzinfo=UTC)
MODEL, OTHER = Scope(ScopeKind.MODEL, "gpt-x"), Scope(ScopeKind.MODEL, "gpt-y")


def test_nobody_is_bound_while_nobody_waits() -> None:
    known = Returning()
    assert not known.full(1, (MODEL,))
    known.take(1, (MODEL,), NOW)
    assert not known.served(1, (MODEL,))
    assert len(known) == 0


def test_one_goes_first_and_each_that_is_served_lets_two_more_go() -> None:
    known = Returning()
    known.expect(1)
    assert not known.full(1, ())
    known.take(1, (), NOW)
    assert known.full(1, ())
    assert known.served(1, ())
    for _ in range(2):
        assert not known.full(1, ())
        known.take(1, (), NOW)
    assert known.full(1, ())
    known.clear()
    assert not known.full(1, ())


def test_while_nothing_is_known_one_more_goes_each_second() -> None:
    known = Returning()
    known.expect(1)
    known.take(1, (), NOW)
    known.look(NOW + timedelta(seconds=0.9))
    assert known.full(1, ())
    known.look(NOW + timedelta(seconds=1))
    known.expect(1)
    assert not known.full(1, ())
    known.take(1, (), NOW + timedelta(seconds=1))
    assert known.full(1, ())
    known.look(NOW - timedelta(hours=1))
    assert not known.full(1, ()), "a clock that was set back holds nobody up"


def test_a_models_limit_is_no_matter_of_another_models() -> None:
    known = Returning()
    known.expect(1, MODEL)
    known.take(1, (MODEL,), NOW)
    assert known.full(1, (MODEL,))
    assert not known.full(1, (OTHER,))
    assert not known.full(2, (MODEL,))
    known.expect(1, WHOLE_ACCOUNT)
    known.take(1, (OTHER,), NOW)
    assert known.full(1, (OTHER,))
