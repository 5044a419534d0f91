"""Where conversations are, and what leaving would cost."""

import pytest

from seatpool.core.affinity import BONUS_TOKENS, FADES_S, TYPICAL_TOKENS, WARM_S, Conversations

T = 1_000_000.0


def remember(kept: Conversations, name: str, account: int, at: float = T, tokens: int | None = 1000) -> bool:
    return kept.remember(name, account, at, ttl_s=86_400.0, limit=3, tokens=tokens)


def test_what_goes_on_weighs_on_its_account_until_it_has_been_quiet_for_five_minutes() -> None:
    kept = Conversations()
    remember(kept, "a", 1, T, 1000)
    remember(kept, "b", 1, T + 10, 500)
    assert kept.load(1, T + WARM_S - 1) == 1500
    assert kept.load(1, T + WARM_S) == 500
    remember(kept, "b", 2, T + WARM_S, 700)
    assert (kept.load(1, T + WARM_S), kept.load(2, T + WARM_S)) == (0, 700)


def test_what_nobody_has_told_is_what_was_told_before_or_typical() -> None:
    kept = Conversations()
    remember(kept, "a", 1, tokens=None)
    assert kept.load(1, T) == TYPICAL_TOKENS
    remember(kept, "a", 1, tokens=123)
    remember(kept, "a", 1, tokens=None)
    assert kept.load(1, T) == 123


def test_it_says_when_an_account_has_got_one_more() -> None:
    kept = Conversations()
    assert remember(kept, "a", 1)
    assert not remember(kept, "a", 1)
    assert remember(kept, "a", 2)


def test_who_is_forgotten_weighs_on_nobody() -> None:
    kept = Conversations()
    for name in "abcd":
        remember(kept, name, 1)
    assert kept.load(1, T) == 3000
    assert kept.held("a", T) is None


def test_a_warm_cache_counts_by_its_tokens_and_fades_in_its_last_minute() -> None:
    kept = Conversations()
    remember(kept, "a", 1, tokens=int(BONUS_TOKENS) * 4)
    held = kept.held("a", T)
    assert held is not None
    assert held.bonus(T, 1.0) == held.bonus(T + WARM_S - FADES_S, 1.0) == 5.0
    assert held.bonus(T, 0.5) == 3.0
    assert held.bonus(T + WARM_S - FADES_S / 2, 1.0) == pytest.approx(3.0)
    assert held.bonus(T + WARM_S, 1.0) == 1.0
