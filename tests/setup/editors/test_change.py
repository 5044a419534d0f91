"""Files are changed whole or not at all, and taken back byte for byte."""

import os
import stat
from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import hypothesis
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatpool.setup.address import parse
from seatpool.setup.editors import Person, State, Target, Wish, targets
from seatpool.setup.editors.change import Plan, Unchangeable, carry_back, carry_out, plan_all, undo_all
from seatpool.setup.editors.journal import Damaged, Journal

WISH = Wish(parse("http://127.0.0.1:8080"), Path("/data/ca.pem"), Path("/data/with-system-roots.pem"))
ELSEWHERE = Wish(parse("http://127.0.0.1:9090"), WISH.trusted, WISH.bundle)
PROXY_XML = b"""\
<application><component name="HttpConfigurable"><option name="PROXY_HOST" value="corp" /></component></application>
"""
SETTINGS = b'\xef\xbb\xbf// mine\r\n{\r\n\t"editor.fontSize": 14, // points\r\n}\r\n'


def target(name: str) -> Target:
    return next(each for each in targets() if each.name == name)


class Home:
    """A made-up person's, with one program in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.person = Person(home=folder, system="Linux", environ={})
        self.journal = Journal(folder / "data" / "setup")

    def put(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def set_up(self, name: str, wish: Wish = WISH) -> list[Plan]:
        asked = [(target(name), spot, file) for spot, file in target(name).files(self.person)]
        plans = plan_all(asked, wish, self.journal)
        carry_out([plan for plan in plans if plan.changes], self.journal)
        return plans

    def take_back(self, name: str | None = None) -> list[Plan]:
        plans = undo_all(self.journal.entries(name))
        carry_back(plans, self.journal)
        return plans

    def state(self, name: str, wish: Wish = WISH) -> State:
        return target(name).state(self.person, wish)

    def everything(self) -> dict[str, bytes]:
        ours = self.journal.folder.parent
        found = sorted(path for path in self.folder.rglob("*") if ours not in (path, *path.parents))
        return {str(path): path.read_bytes() if path.is_file() else b"" for path in found}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


FILES: dict[str, tuple[str, bytes]] = {
    "vscode": (".config/Code/User/settings.json", SETTINGS),
    "codex": (".codex/.env", b"# keys\nOPENAI_API_KEY=FAKESECRET\nHTTPS_PROXY=http://me:FAKESECRET@corp:3128"),
    "copilot-cli": (".copilot/settings.json", b'{"theme":"dark"}'),
    "jetbrains": (
        ".config/JetBrains/PyCharm2026.1/options/proxy.settings.xml",
        PROXY_XML,
    ),
    "neovim": (".config/nvim/plugin/seatpool.lua", b"-- mine"),
    "opencode": (".bashrc", b"# mine\nalias x=y"),
    "shell": (".bashrc", b"case $- in *i*) ;; esac\r\n"),
}


@pytest.fixture(params=FILES)
def furnished(request: pytest.FixtureRequest, home: Home) -> tuple[Home, str, Path]:
    """A home in which a program has been used, its name, and its file."""
    name: str = request.param
    (home.folder / ".config/opencode").mkdir(parents=True)
    return home, name, home.put(*FILES[name])


def test_what_is_set_up_is_configured_and_a_second_time_is_nothing_to_do(furnished: tuple[Home, str, Path]) -> None:
    home, name, file = furnished
    assert home.state(name) is not State.CONFIGURED
    assert any(plan.changes for plan in home.set_up(name))
    assert home.state(name) is State.CONFIGURED
    assert home.state(name, ELSEWHERE) in (State.ELSEWHERE, State.NOT_CONFIGURED)
    written = file.read_bytes()
    assert not any(plan.changes for plan in home.set_up(name))
    assert file.read_bytes() == written


def test_taking_back_restores_every_byte(furnished: tuple[Home, str, Path]) -> None:
    home, name, _ = furnished
    before = home.everything()
    home.set_up(name)
    assert home.everything() != before
    home.set_up(name, ELSEWHERE)
    home.take_back(name)
    assert home.everything() == before
    assert not home.journal.folder.exists(), "nothing to take back is left"


def test_taking_back_what_was_changed_since_takes_only_ours(furnished: tuple[Home, str, Path]) -> None:
    home, name, file = furnished
    before = file.read_bytes()
    home.set_up(name)
    mine = b"\n<!-- mine -->\n" if name == "jetbrains" else b"\n// mine\n" if b"{" in before else b"\n# mine\n"
    file.write_bytes(file.read_bytes() + mine)
    (plan,) = [each for each in home.take_back(name) if each.file == file]
    assert "changed since" in plan.note
    assert home.state(name) is not State.CONFIGURED
    left = file.read_bytes()
    assert left.endswith(mine)
    assert b"8080" not in left
    assert b"seatpool" not in left
    if name in ("codex", "jetbrains"):
        assert b"corp" in left, "the proxy that was there before is there again"


def test_setting_up_anew_after_a_change_of_the_persons_keeps_that_when_taken_back(home: Home) -> None:
    file = home.put(*FILES["vscode"])
    home.set_up("vscode")
    mine = file.read_bytes().replace(b"14", b"15")
    file.write_bytes(mine)
    home.set_up("vscode", ELSEWHERE)
    assert b"9090" in file.read_bytes()
    home.take_back()
    assert file.read_bytes() == SETTINGS.replace(b"14", b"15")


def test_files_and_folders_that_were_made_are_removed(home: Home) -> None:
    (home.folder / ".vscode-server").mkdir()
    (home.folder / ".config/nvim").mkdir(parents=True)
    before = home.everything()
    for name in ("vscode", "neovim"):
        home.set_up(name)
        assert home.state(name) is State.CONFIGURED
    made = home.folder / ".vscode-server/data/Machine/settings.json"
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    home.take_back()
    assert home.everything() == before


def test_targets_that_share_a_file_come_and_go_in_any_order(home: Home) -> None:
    (home.folder / ".config/opencode").mkdir(parents=True)
    (home.folder / ".copilot").mkdir()
    file = home.put(".bashrc", b"# mine\n")
    names = ["copilot-cli", "opencode", "shell"]
    before = home.everything()
    for name in names:
        home.set_up(name)
    assert file.read_bytes().count(b">>> seatpool") == 3
    for name in names:
        home.take_back(name)
    assert home.everything() == before
    asked = [(target(name), spot, path) for name in names for spot, path in target(name).files(home.person)]
    carry_out([plan for plan in plan_all(asked, WISH, home.journal) if plan.changes], home.journal)
    home.take_back()
    assert home.everything() == before


@pytest.mark.parametrize("order", list(permutations(("copilot-cli", "opencode", "shell"))), ids="-".join)
@pytest.mark.parametrize("mine", [None, b"", b"echo hi", b"echo hi\r\n"], ids=["none", "empty", "open", "whole"])
def test_a_shared_file_is_again_what_it_was_whoever_goes_first(
    home: Home, mine: bytes | None, order: list[str]
) -> None:
    (home.folder / ".config/opencode").mkdir(parents=True)
    (home.folder / ".copilot").mkdir()
    if mine is not None:
        home.put(".bashrc", mine)
    home.person = msgspec.structs.replace(home.person, environ={"SHELL": "/bin/bash"})
    before = home.everything()
    for name in ("copilot-cli", "opencode", "shell"):
        assert any(plan.changes for plan in home.set_up(name))
    for name in order:
        home.take_back(name)
    assert home.everything() == before
    assert not home.journal.folder.exists()


def test_folders_that_were_made_for_a_shared_file_go_with_the_last_of_it(home: Home) -> None:
    before = home.everything()
    file = home.folder / "made" / "for" / ".bashrc"
    for name in ("copilot-cli", "shell"):
        plans = plan_all([(target(name), target(name).spot_of(file), file)], WISH, home.journal)
        carry_out(plans, home.journal)
    for name in ("copilot-cli", "shell"):
        assert file.exists()
        home.take_back(name)
    assert home.everything() == before


def test_what_a_person_wrote_between_two_that_share_a_file_stays(home: Home) -> None:
    (home.folder / ".copilot").mkdir()
    file = home.put(".bashrc", b"echo hi")
    home.set_up("copilot-cli")
    file.write_bytes(file.read_bytes() + b"echo mine\n")
    home.set_up("shell")
    file.write_bytes(file.read_bytes() + b"echo last\n")
    for name in ("copilot-cli", "shell"):
        home.take_back(name)
    assert file.read_bytes() == b"echo hi\necho mine\necho last\n"


def test_what_a_shell_has_already_is_enough_for_others_that_read_the_same(home: Home) -> None:
    (home.folder / ".config/opencode").mkdir(parents=True)
    home.put(".bashrc", b"")
    home.set_up("shell")
    assert home.state("opencode") is State.CONFIGURED


def test_a_dotfile_that_is_a_link_stays_one_and_a_mode_stays(home: Home) -> None:
    real = home.put("dotfiles/bashrc", b"# mine\n")
    real.chmod(0o640)
    link = home.folder / ".bashrc"
    link.symlink_to(Path("dotfiles/bashrc"))
    home.set_up("shell")
    assert link.is_symlink()
    assert b"HTTPS_PROXY" in real.read_bytes()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    home.take_back()
    assert (link.is_symlink(), real.read_bytes(), stat.S_IMODE(real.stat().st_mode)) == (True, b"# mine\n", 0o640)


def broken(home: Home) -> Path:
    return home.put(".config/Cursor/User/settings.json", b'{\n  "a": 1\n  "b": 2\n}')


def read_only(home: Home) -> Path:
    path = home.put(".config/Cursor/User/settings.json", b"{}")
    path.chmod(0o444)
    return path


def a_folder(home: Home) -> Path:
    path = home.folder / ".config/Cursor/User/settings.json"
    path.mkdir(parents=True)
    return path


def binary(home: Home) -> Path:
    return home.put(".config/Cursor/User/settings.json", b"\x80\x81")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (broken, "line 3: here a comma or a } is missing; nothing was changed"),
        (read_only, "is read-only; nothing was changed"),
        (a_folder, "is no file; nothing was changed"),
        (binary, "line 1: this is no text in UTF-8; nothing was changed"),
    ],
)
def test_one_file_that_cannot_be_changed_is_named_in_a_line_and_nothing_changes(
    home: Home, make: Callable[[Home], Path], told: str
) -> None:
    home.put(*FILES["vscode"])
    path, before = make(home), home.everything()
    with pytest.raises(Unchangeable) as refused:
        home.set_up("vscode")
    line = str(refused.value)
    assert (line.startswith(str(path)), line.endswith(told), "\n" in line) == (True, True, False), line
    assert home.everything() == before
    assert not home.journal.folder.exists()


def test_what_fails_halfway_is_put_back(home: Home) -> None:
    """The second file is in a folder that turns out to be a file, after the first one has been written."""
    home.put(*FILES["vscode"])
    server = home.folder / ".vscode-server"
    server.mkdir()
    asked = [(target("vscode"), spot, file) for spot, file in target("vscode").files(home.person)]
    plans = plan_all(asked, WISH, home.journal)
    assert len(plans) == 2
    server.rmdir()
    server.write_bytes(b"")
    before = home.everything()
    with pytest.raises(NotADirectoryError):
        carry_out(plans, home.journal)
    assert home.everything() == before
    assert not list(home.journal.entries())


def test_a_file_that_changes_between_question_and_answer_is_left_alone(home: Home) -> None:
    file = home.put(*FILES["vscode"])
    asked = [(target("vscode"), spot, path) for spot, path in target("vscode").files(home.person)]
    plans = plan_all(asked, WISH, home.journal)
    file.write_bytes(b"{}")
    with pytest.raises(Unchangeable, match="has changed meanwhile"):
        carry_out(plans, home.journal)
    assert file.read_bytes() == b"{}"
    assert not list(home.journal.entries())


def test_whoever_was_killed_before_writing_has_nothing_to_take_back(home: Home) -> None:
    file = home.put(*FILES["vscode"])
    asked = [(target("vscode"), spot, path) for spot, path in target("vscode").files(home.person)]
    (plan,) = plan_all(asked, WISH, home.journal)
    home.journal.keep(plan.entry)
    (undone,) = home.take_back()
    assert (undone.changes, file.read_bytes()) == (False, SETTINGS)
    home.journal.keep(plan.entry)
    home.set_up("vscode")
    home.take_back()
    assert file.read_bytes() == SETTINGS


def test_a_file_that_is_gone_is_not_brought_back(home: Home) -> None:
    file = home.put(*FILES["vscode"])
    home.set_up("vscode")
    file.unlink()
    assert not any(plan.changes for plan in home.take_back())
    assert not file.exists()
    home.set_up("vscode")
    home.take_back()
    assert not file.exists(), "it was made anew by seatpool"


def test_a_line_behind_the_block_that_undoes_it_is_told(home: Home) -> None:
    file = home.put(".bashrc", b"")
    home.set_up("shell")
    file.write_bytes(file.read_bytes() + b"export HTTPS_PROXY=http://corp:3128\n")
    assert home.state("shell") is State.ELSEWHERE
    with pytest.raises(Unchangeable, match="something behind seatpool's lines sets the same otherwise"):
        home.set_up("shell")


def test_a_diff_shows_what_changes_and_nothing_of_what_stands_beside_it(home: Home) -> None:
    home.put(*FILES["codex"])
    diff = home.set_up("codex")[0].diff()
    assert "-HTTPS_PROXY=http://me:***@corp:3128" in diff
    assert "+HTTPS_PROXY=http://127.0.0.1:8080" in diff
    assert "FAKESECRET" not in diff
    file = home.put(".config/Code/User/settings.json", b'{\n  "some.apiKey": "FAKESECRET"\n}\n')
    diff = next(plan for plan in home.set_up("vscode") if plan.file == file).diff()
    assert "FAKESECRET" not in diff


def test_the_journal_is_for_nobody_else_and_says_when_it_is_damaged(home: Home) -> None:
    home.put(*FILES["codex"])
    home.set_up("codex")
    (file,) = home.journal.folder.iterdir()
    if os.name != "nt":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(home.journal.folder.stat().st_mode) == 0o700
    file.write_bytes(b"{")
    with pytest.raises(Damaged, match="is damaged"):
        home.take_back()


LINES = st.sampled_from(["# a", "A=1", "export B='x y'", "HTTPS_PROXY=http://c:1", "", "  ", "export no_proxy=z", "é"])
ENDS = st.sampled_from(["\n", "\r\n"])
TEXTS = st.builds(
    lambda lines, end, last: end.join(lines) + (end if last else ""), st.lists(LINES), ENDS, st.booleans()
)
OBJECTS = st.builds(
    lambda members, end, space: f"{{{end}{f',{end}'.join(members)}{space}{end}}}{space}",
    st.lists(
        st.sampled_from(
            ['"a": 1', '\t"http.proxy": "http://c:1"', '  "b": [ 1, ] /* c */', '"http.proxySupport": "off"']
        )
    ),
    ENDS,
    st.sampled_from(["", " ", "\n// end\n"]),
)


@hypothesis.settings(max_examples=50, deadline=None)
@given(TEXTS, OBJECTS, st.sampled_from([b"", b"\xef\xbb\xbf"]))
def test_whatever_was_there_is_there_again(
    tmp_path_factory: pytest.TempPathFactory, lines: str, settings: str, mark: bytes
) -> None:
    home = Home(tmp_path_factory.mktemp("home"))
    home.put(".codex/.env", mark + lines.encode())
    home.put(".bashrc", mark + lines.encode())
    home.put(".config/Code/User/settings.json", mark + settings.encode())
    before = home.everything()
    for name in ("codex", "shell", "vscode"):
        home.set_up(name)
        assert home.state(name) is State.CONFIGURED
    home.take_back()
    assert home.everything() == before
