"""The README tells the truth: every command, option and default is in it, and the names it uses exist."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from seatpool.cli.doctor.doctor import NAMES
from seatpool.cli.main import main
from seatpool.proxy.options import BETTER_DEFAULTS, OPTIONS
from seatpool.setup.doctor.words import WORDS
from seatpool.setup.editors import Target, targets
from seatpool.setup.hints import hints

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
CERTS = (ROOT / "certs-howto.md").read_text()


def commands(group: click.Group = main, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


@pytest.mark.parametrize(("path", "command"), [pytest.param(p, c, id=" ".join(p)) for p, c in commands()])
def test_every_command_and_its_options_are_in_the_readme(path: tuple[str, ...], command: click.Command) -> None:
    row = next((line for line in README.splitlines() if line.startswith(f"| `seatpool {' '.join(path)}")), None)
    row = row or next(
        (line for line in README.splitlines() if line.startswith("| `seatpool") and f"`{path[-1]} " in line), ""
    )
    assert row, f"seatpool {' '.join(path)} has no row"
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.name not in ("help", "db"):
            assert parameter.opts[0] in row, f"{parameter.opts[0]} of {' '.join(path)}"


def test_every_command_has_help_with_an_example_or_takes_no_thought() -> None:
    for path, command in commands():
        assert command.help, path


@pytest.mark.parametrize("option", OPTIONS, ids=lambda o: o.name)
def test_every_option_of_the_proxy_is_in_the_readme_with_its_default(option: object) -> None:
    value = option.default  # type: ignore[attr-defined]
    default = str(value).lower() if isinstance(value, bool) else str(value) or "empty"
    default = "empty" if value == [] else default
    row = next((line for line in README.splitlines() if line.startswith(f"| `{option.name}` |")), "")  # type: ignore[attr-defined]
    assert default in row.split("|")[2], row
    for choice in option.choices or ():  # type: ignore[attr-defined]
        assert f"`{choice}`" in row


def test_mitmproxys_own_options_that_are_changed_are_named() -> None:
    for name, value in BETTER_DEFAULTS.items():
        shown = str(value).lower() if isinstance(value, bool) else value
        assert f"`{name}={shown}`" in README


def test_no_option_is_documented_that_does_not_exist() -> None:
    known = {o.name for o in OPTIONS}
    assert set(re.findall(r"`(pool_\w+)", README + CERTS)) <= known


def test_scripts_that_are_named_exist() -> None:
    for name in set(re.findall(r"\./scripts/(\w+)", README + CERTS)):
        assert (ROOT / "scripts" / name).stat().st_mode & 0o111, name


def test_the_hints_name_the_address_and_the_settings_that_the_howto_explains() -> None:
    text = hints("http://127.0.0.1:8123")
    assert text.count("http://127.0.0.1:8123") >= 4
    for setting in ("http.proxy", "HTTPS_PROXY", "NODE_EXTRA_CA_CERTS", "CODEX_CA_CERTIFICATE", "seatpool setup"):
        assert setting in text
        assert setting in CERTS


@pytest.mark.parametrize("target", targets(), ids=lambda target: target.name)
def test_what_can_be_set_up_is_told_with_its_command_and_by_hand(target: Target) -> None:
    (row,) = [line for line in README.splitlines() if line.startswith("| `seatpool setup")]
    assert target.name in row
    assert any(line.startswith("|") and f"`{target.mend}`" in line for line in CERTS.splitlines())
    for spot in target.spots:
        assert all(setting.key in CERTS for setting in spot.settings), spot.title
        assert all(Path(place.file).name in CERTS for place in spot.places), spot.title


def test_the_words_of_programs_stand_in_the_howto_as_the_doctor_explains_them() -> None:
    _, _, table = CERTS.partition("| it says | it means |\n|---|---|\n")
    assert table.partition("\n\n")[0].splitlines() == [each.row for each in WORDS]


@pytest.mark.parametrize("check", NAMES)
def test_every_check_of_the_doctor_is_in_the_readme(check: str) -> None:
    assert any(line.startswith(f"| `{check}`") for line in README.splitlines())


def test_no_index_address_stands_in_the_locks() -> None:
    for lock in (ROOT / "scripts").glob("*.lock"):
        assert "://" not in lock.read_text()
        assert "--hash=sha256:" in lock.read_text()
