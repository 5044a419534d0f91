"""Which rule decides, and whom it means."""

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatpool.core.model import Account, ProviderName
from seatpool.core.rules import Asked, Deciding, Naming, Rule, Rules, meant

CODEX, COPILOT = ProviderName.CODEX, ProviderName.COPILOT
ACME = "github.com/acme/widgets"


def rule(name: str = "r", **fields: object) -> Rule:
    told = {key: (value,) if isinstance(value, str) else value for key, value in fields.items()}
    return Rule(name, 1, **{"only": ("work",), **told})  # type: ignore[arg-type]


def account(number: int, name: str, provider: ProviderName = CODEX) -> Account:
    return Account(number, provider, name, f"id-{number}", "chatgpt.com")


@pytest.mark.parametrize(
    ("fields", "asked", "matches"),
    [
        ({}, Asked(CODEX), True),
        ({"providers": (CODEX,)}, Asked(CODEX), True),
        ({"providers": (CODEX,)}, Asked(COPILOT), False),
        ({"models": "gpt-*"}, Asked(CODEX, "GPT-5.4"), True),
        ({"models": "gpt-*"}, Asked(CODEX, "claude-sonnet"), False),
        ({"models": "gpt-*"}, Asked(CODEX), False),
        ({"models": "*"}, Asked(CODEX), True),
        ({"models": ("o3", "gpt-[45]*")}, Asked(CODEX, "gpt-5"), True),
        ({"models": ("o3", "gpt-[45]*")}, Asked(CODEX, "gpt-6"), False),
        ({"clients": "codex_*"}, Asked(CODEX, client="codex_vscode"), True),
        ({"repositories": "github.com/acme/*"}, Asked(CODEX, repositories=(ACME,)), True),
        ({"repositories": "github.com/acme/*"}, Asked(CODEX, repositories=("github.com/bob/x", ACME)), True),
        ({"repositories": "github.com/acme/*"}, Asked(CODEX, repositories=("github.com/acme-2/x",)), False),
        ({"repositories": "gitlab.com/acme/*"}, Asked(CODEX, repositories=("gitlab.com/acme/team/x",)), True),
        ({"repositories": "github.com/acme/*"}, Asked(CODEX), False),
        ({"repositories": ("github.com/acme/*", "")}, Asked(CODEX), True),
        ({"repositories": "*/acme/*"}, Asked(CODEX, repositories=("work/acme/x",)), True),
        ({"models": "gpt-*", "clients": "neovim"}, Asked(CODEX, "gpt-5", "vscode"), False),
    ],
)
def test_every_field_that_is_named_must_match(fields: dict[str, object], asked: Asked, matches: bool) -> None:
    assert rule(**fields).matches(asked) is matches


def test_the_first_rule_that_matches_decides() -> None:
    first, second = rule("a", models="gpt-5*"), rule("b", models="gpt-*")
    rules = Rules((first, second))
    assert rules.first(Asked(CODEX, "gpt-5.4")) is first
    assert rules.first(Asked(CODEX, "gpt-4.1")) is second
    assert rules.first(Asked(CODEX, "o3")) is None
    deciding = Deciding(rules)
    for _ in range(2):
        assert deciding.first(Asked(CODEX, "gpt-4.1")) is second
        assert deciding.first(Asked(CODEX, "o3")) is None


def test_more_questions_than_are_remembered_are_answered_all_the_same() -> None:
    deciding = Deciding(Rules((rule(models="m-7*"),)))
    answers = [deciding.first(Asked(CODEX, f"m-{n}")) is not None for n in range(3_000)]
    assert [n for n, answer in enumerate(answers) if answer] == [n for n in range(3_000) if str(n).startswith("7")]


PENDING = (
    # a rule that may decide once the repository is told
    ((rule("a", repositories="github.com/acme/*"),), "a"),
    # a rule that prefers binds nobody
    ((rule("a", only=(), prefer="work", repositories="github.com/acme/*"),), None),
    # what decides whatever the repository is stands before it
    ((rule("a"), rule("b", repositories="github.com/acme/*")), None),
    ((rule("a", repositories="github.com/acme/*"), rule("b")), "a"),
    # another model's
    ((rule("a", models="o3", repositories="github.com/acme/*"),), None),
    # a preference by repository may decide as well, but what binds counts
    ((rule("a", only=(), prefer="x", repositories="x/y/z"), rule("b", repositories="github.com/acme/*")), "b"),
)


@pytest.mark.parametrize(("rules", "expected"), PENDING)
def test_which_binding_rule_may_turn_out_to_decide(rules: tuple[Rule, ...], expected: str | None) -> None:
    found = Rules(rules).pending(Asked(CODEX, "gpt-5"))
    assert (found and found.name) == expected


def test_a_rule_may_bind_every_provider_or_one() -> None:
    rules = Rules((rule("soft", only=(), prefer="x"), rule("hard", providers=(COPILOT,))))
    assert rules.binding(CODEX) is None
    assert rules.binding(COPILOT) == rules.rules[1]


ACCOUNTS = (account(1, "work"), account(2, "corp-a"), account(3, "Corp-B"), account(4, "corp-c", COPILOT))


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        (("work",), {"work"}),
        (("WORK",), {"work"}),
        (("corp-*",), {"corp-a", "Corp-B", "corp-c"}),
        (("corp-[ab]",), {"corp-a", "Corp-B"}),
        (("nobody",), set()),
        (("*",), {"work", "corp-a", "Corp-B", "corp-c"}),
    ],
)
def test_names_and_globs_mean_accounts(patterns: tuple[str, ...], names: set[str]) -> None:
    assert {a.name for a in meant(patterns, ACCOUNTS)} == names


def test_a_name_that_looks_like_a_glob_means_itself_as_well() -> None:
    assert meant(("a[1]",), (account(1, "a[1]"), account(2, "a1"))) == (account(1, "a[1]"), account(2, "a1"))


def test_whom_a_name_means_is_looked_up_anew_when_a_name_has_changed() -> None:
    naming, accounts = Naming(), {1: account(1, "work"), 2: account(2, "home")}
    assert naming.ids(("work",), CODEX, accounts, 1) == {1}
    accounts[2] = account(2, "work-2")
    assert naming.ids(("work*",), CODEX, accounts, 2) == {1, 2}
    assert naming.ids(("work",), COPILOT, accounts, 2) == frozenset()


letters = st.text("abAB-./", max_size=8)
globs = st.text("abAB-./*?", max_size=8)


@given(globs, letters)
def test_a_glob_matches_as_the_shells_does_without_regard_to_case(pattern: str, value: str) -> None:
    told = rule(models=(pattern,)).matches(Asked(CODEX, value))
    assert told is fnmatchcase(value.lower(), pattern.lower())


@given(st.lists(globs, min_size=1, max_size=4), letters)
def test_a_list_matches_where_any_of_it_does(patterns: list[str], value: str) -> None:
    alone = [rule(models=(pattern,)).matches(Asked(CODEX, value)) for pattern in patterns]
    assert rule(models=tuple(patterns)).matches(Asked(CODEX, value)) is any(alone)


some = st.lists(st.sampled_from(["a", "b", "A*", ""]), max_size=2).map(tuple)
drawn = st.builds(lambda m, c, r: rule(models=m, clients=c, repositories=r), some, some, some)
questions = st.builds(Asked, st.just(CODEX), letters, letters, st.lists(letters, max_size=2).map(tuple))


@given(drawn, drawn, questions)
def test_a_rule_that_covers_another_matches_all_that_it_matches(one: Rule, other: Rule, asked: Asked) -> None:
    if one.covers(other) and other.matches(asked):
        assert one.matches(asked)
