"""Where each program keeps its logins, on each system and under each variable that it heeds."""

from pathlib import Path

import pytest

from seatpool.setup.places import FILES, PLACES, files_in, folder, known

HOME = Path("/home/ann")
ALL = {
    "CODEX_HOME": "/codex",
    "COPILOT_HOME": "/copilot",
    "GH_CONFIG_DIR": "/gh",
    "PI_CODING_AGENT_DIR": "/pi",
    "XDG_CONFIG_HOME": "/config",
    "XDG_DATA_HOME": "/data",
    "USERPROFILE": "/users/ann",
    "APPDATA": "/users/ann/roaming",
}


def folders(environ: dict[str, str], *, windows: bool = False) -> dict[str, str]:
    return {place.program: str(folder(place, environ, HOME, windows=windows)) for place in PLACES}


def test_without_variables_everything_is_in_the_home() -> None:
    assert folders({}) == {
        "Codex": "/home/ann/.codex",
        "opencode": "/home/ann/.local/share/opencode",
        "pi": "/home/ann/.pi/agent",
        "Copilot's editors": "/home/ann/.config/github-copilot",
        "the Copilot CLI": "/home/ann/.copilot",
        "the GitHub CLI": "/home/ann/.config/gh",
    }


def test_a_programs_own_variable_goes_first_and_windows_has_folders_of_its_own() -> None:
    assert folders(ALL) == {
        "Codex": "/codex",
        "opencode": "/data/opencode",
        "pi": "/pi",
        "Copilot's editors": "/config/github-copilot",
        "the Copilot CLI": "/copilot",
        "the GitHub CLI": "/gh",
    }
    windows = folders({"USERPROFILE": "/users/ann", "APPDATA": "/users/ann/roaming"}, windows=True)
    assert windows["Copilot's editors"] == "/users/ann/AppData/Local/github-copilot"
    assert windows["the GitHub CLI"] == "/users/ann/roaming/GitHub CLI"


@pytest.mark.parametrize("value", ["", "config"])
def test_a_variable_that_names_no_folder_counts_as_unset(value: str) -> None:
    assert folders({"XDG_CONFIG_HOME": value}) == folders({})


def test_only_files_are_found_in_the_order_of_their_use(tmp_path: Path) -> None:
    for name in ("hosts.json", "apps.json", "auth.db/x", "unknown.json", "account-sessions/b/auth.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    found = [path.relative_to(tmp_path).as_posix() for path in files_in(tmp_path)]
    assert found == ["account-sessions/b/auth.json", "apps.json", "hosts.json"]
    assert set(FILES) >= {"auth.json", "config.json", "hosts.yml"}


def test_every_program_is_looked_at(tmp_path: Path) -> None:
    assert list(known({}, tmp_path, windows=False)) == []
    for name in (".codex/auth.json", ".config/gh/hosts.yml"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("{}")
    assert [path.name for path in known({}, tmp_path, windows=False)] == ["auth.json", "hosts.yml"]
