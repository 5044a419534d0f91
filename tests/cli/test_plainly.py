"""What a person, a shell or a machine may do to any command: it ends in one line that says how to mend it."""

import pytest
from click.testing import CliRunner, Result

from seatpool.cli.main import main

pytestmark = pytest.mark.usefixtures("own_world")


def seatpool(*arguments: str, text: str | None = None) -> Result:
    return CliRunner().invoke(main, list(arguments), input=text)


# -- what is not UTF-8


@pytest.mark.parametrize(
    "command",
    [
        ("forecast",),
        ("why",),
        ("cooldown", "clear"),
        ("tail", "--no-follow", "--account"),
        ("audit", "--account"),
        ("account", "remove", "--yes"),
        ("account", "pause"),
        ("account", "rename", "work"),
        ("service", "install", "--dry-run", "--"),
        ("--db",),
    ],
    ids=" ".join,
)
def test_an_argument_that_is_no_utf_8_is_named_as_it_was_typed(command: tuple[str, ...]) -> None:
    result = seatpool(*command, "Jos\udce9\n")
    assert (result.exit_code, result.output.count("\n")) == (2, 1)
    assert result.output.startswith(r"Error: 'Jos\xe9\n' is not UTF-8")


def test_a_variable_that_is_no_utf_8_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEATPOOL_DB", "postgresql://me:sesame@host/\udcff")
    result = seatpool("status")
    assert (result.exit_code, result.output.count("\n")) == (2, 1)
    assert result.output.startswith(r"Error: SEATPOOL_DB='postgresql://me:***@host/\xff' is not UTF-8")
