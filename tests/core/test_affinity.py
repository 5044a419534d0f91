"""Where conversations are, and what leaving would cost."""

import pytest

from seatpool.core.affinity import BONUS_TOKENS, FADES_S, NEW_TOKENS, TYPICAL_TOKENS, WARM_S, Conversations

T = 1_000_000.0


def remember(kept: Conversations, name: str, account: int, at: float = T, tokens: int | None = 1000) -> bool:
    return kept.remember(name, account, at, tokens)


def test_what_goes_on_weighs_on_its_account_until_it_has_been_quiet_for_five_minutes() -> None:
    kept = Conversations()
    remember(kept, "a", 1, T, 1000)
    remember(kept, "b", 1, T + 10, 500)
    assert kept.load(1, T + WARM_S - 1) == 1500
    assert kept.load(1, T + WARM_S) == 500
    remember(kept, "b", 2, T + WARM_S, 700)
    assert (kept.load(1, T + WARM_S), kept.load(2, T + WARM_S)) == (0, 700)


def test_what_was_sent_weighs_as_a_new_one_until_it_is_served_moves_on_or_is_given_up() -> None:
    kept = Conversations()
    kept.expect("a", 1, T)
    kept.expect("b", 1, T)
    assert kept.load(1, T) == 2 * NEW_TOKENS
    assert kept.held("a", T) is None
    assert remember(kept, "a", 1, T, 700), "it is one more, as if nobody had expected it"
    kept.expect("b", 2, T)
    assert (kept.load(1, T), kept.load(2, T)) == (700, NEW_TOKENS)
    assert (kept.load(1, T + WARM_S), kept.load(2, T + WARM_S)) == (0, 0)


def test_a_warm_one_brings_what_it_holds_and_is_counted_once_where_it_stays() -> None:
    kept = Conversations()
    remember(kept, "a", 1, T, 700)
    kept.expect("a", 1, T)
    assert kept.load(1, T) == 700
    kept.expect("a", 2, T)
    assert (kept.load(1, T), kept.load(2, T)) == (700, 700)
    remember(kept, "a", 2, T, 800)
    assert (kept.load(1, T), kept.load(2, T)) == (0, 800)


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
    kept.limit = 3
    for name in "abcd":
        remember(kept, name, 1)
    assert kept.load(1, T) == 3000
    assert kept.held("a", T) is None


def test_those_that_have_been_quiet_longest_are_forgotten_first() -> None:
    kept, later = Conversations(), T + WARM_S
    kept.limit = 3
    for number, name in enumerate("abc"):
        remember(kept, name, 1, T + number)
    assert kept.load(1, later) == 2000, "a is quiet"
    remember(kept, "b", 1, later)
    assert kept.load(1, later + 2) == 1000, "c is quiet as well"
    remember(kept, "a", 1, later + 3)
    remember(kept, "d", 1, later + 4)
    assert [kept.held(name, later + 4) is not None for name in "abcd"] == [True, True, False, True]
    assert kept.load(1, later + 4) == 3000
    remember(kept, "e", 1, later + 5)
    assert [kept.held(name, later + 5) is not None for name in "abde"] == [True, False, True, True]


def test_one_that_has_been_quiet_goes_on_with_what_was_known_of_it() -> None:
    kept, later = Conversations(), T + WARM_S
    remember(kept, "a", 1, T, 7_000)
    kept.wrote("a")
    assert kept.load(1, later) == 0
    assert remember(kept, "a", 1, later, None), "it is one more again"
    held = kept.held("a", later)
    assert held is not None
    assert (held.tokens, held.told, held.written_at, held.written) == (7_000, 0, T, 7_000)
    assert kept.load(1, later) == 7_000
    remember(kept, "a", 2, later)
    held = kept.held("a", later)
    assert held is not None and (held.written_at, held.written) == (0.0, 0), "nobody was told that it has moved"


def test_a_warm_cache_counts_by_its_tokens_and_fades_in_its_last_minute() -> None:
    kept = Conversations()
    remember(kept, "a", 1, tokens=int(BONUS_TOKENS) * 4)
    held = kept.held("a", T)
    assert held is not None
    assert held.bonus(T, 1.0) == held.bonus(T + WARM_S - FADES_S, 1.0) == 5.0
    assert held.bonus(T, 0.5) == 3.0
    assert held.bonus(T + WARM_S - FADES_S / 2, 1.0) == pytest.approx(3.0)
    assert held.bonus(T + WARM_S, 1.0) == 1.0


def weigh(kept: Conversations, sent: int, cached: int | None, at: float = T) -> int | None:
    """An answer's end, noted as a service does."""
    holds = kept.weigh("a", 1, sent, cached)
    if holds is not None:
        remember(kept, "a", 1, at, holds)
    return holds


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([(20_000, 0)], 20_000),  # the first one finds nothing, and leaves everything
        ([(20_000, 0), (24_000, 19_000)], 24_000),
        ([(20_000, None)], 20_000),  # not told: taken for warm
        ([(20_000, 0), (24_000, 0)], 10_000),  # nothing of it was there: it is worth less and less
        ([(20_000, 0), (24_000, 0), (28_000, 0)], 5_000),
        ([(20_000, 0), (24_000, 0), (28_000, 27_000)], 28_000),
        ([(100_000, 0), (104_000, 100_000), (8_000, 0)], 52_000),  # an agent's first request, or a title
        ([(100_000, 0), (8_000, 6_000)], 50_000),  # its second; or the history was compacted
    ],
)
def test_a_conversation_weighs_what_was_really_cached(answers: list[tuple[int, int | None]], expected: int) -> None:
    kept = Conversations()
    for sent, cached in answers:
        remember(kept, "a", 1, tokens=None)
        holds = weigh(kept, sent, cached)
    held = kept.held("a", T)
    assert held is not None
    assert (holds, held.tokens, kept.load(1, T)) == (expected, expected, expected)


def test_a_cache_that_has_gone_cold_was_not_to_help() -> None:
    kept = Conversations()
    remember(kept, "a", 1, T, 20_000)
    remember(kept, "a", 1, T + WARM_S, None)
    assert weigh(kept, 30_000, 0, T + WARM_S) == 30_000


def test_an_answer_says_nothing_of_a_conversation_that_has_moved_meanwhile() -> None:
    kept = Conversations()
    remember(kept, "a", 2, tokens=7_000)
    assert kept.weigh("a", 1, 20_000, 0) is None
    assert kept.weigh("b", 1, 20_000, 0) is None
