"""The newcomer's way in the README is the one that `./scripts/newcomer` runs."""

import re
import tomllib

from scripts.transcript import AT_MOST_S, BEGINS, ENDS, README, ROOT, STEPS, in_step, said, shown

TEXT = README.read_text()


def test_the_readme_has_every_line_that_is_typed_in_its_order() -> None:
    assert (TEXT.count(BEGINS), TEXT.count(ENDS)) == (1, 1)
    typed = [line.removeprefix("$ ") for line in shown(TEXT).splitlines() if line.startswith("$ ")]
    assert typed == [step.line for step in STEPS]


def test_it_took_less_than_two_minutes_and_ended_with_an_answer_of_a_pooled_account() -> None:
    (seconds,) = re.findall(r"(\d+) seconds", shown(TEXT))
    assert 0 < int(seconds) < AT_MOST_S == 120
    _, _, after = shown(TEXT).partition("$ codex exec")
    (name,) = re.findall(r"^(alice|bob)0 (?:alice|bob)1 (?:alice|bob)2$", after, re.MULTILINE)
    assert f"attempt 1: {name}" in after


def test_nothing_of_a_machine_or_a_login_is_shown() -> None:
    assert not re.search(r"/(?:home|root|tmp|work|Users)/|FAKESECRET", shown(TEXT))


def test_what_is_between_the_marks_is_replaced_and_nothing_else() -> None:
    again = in_step(TEXT, "new")
    assert shown(again) == "\nnew\n"
    assert in_step(again, shown(TEXT).strip("\n")) == TEXT


def test_what_programs_say_is_shown_without_colours_and_not_at_length() -> None:
    text = "\x1b[1m/x/home/a\x1b[0m\n\n" + "".join(f"line {n}\n" for n in range(99))
    lines = list(said(text, ROOT.__class__("/x/home")))
    assert lines[:2] == ["~/a", "line 0"]
    assert (lines[-1], len(lines) < 20) == ("...", True)


def test_the_programs_that_it_runs_are_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "seatpool" in project["project"]["scripts"]
    for name in re.findall(r"\./scripts/(\w+)", " ".join(step.line for step in STEPS)):
        assert (ROOT / "scripts" / name).stat().st_mode & 0o111
