"""What a person, a shell or a machine may do to any command: it ends in one line that says how to mend it."""

import os
import pwd
import stat
import subprocess
import sys
from collections import Counter
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from click.testing import CliRunner, Result

from seatpool import homes
from seatpool.cli.main import main
from seatpool.store import Store
from tests.harness import REPOSITORY
from tests.store.made import sign_in
from tests.upstream import codex_login

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


# -- streams


def ran(tmp_path: Path, redirected: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[bytes]:
    """As a shell starts it, with its streams redirected so."""
    own = {"HOME": str(tmp_path / "home"), "PYTHONPATH": str(REPOSITORY / "addon"), "XDG_DATA_HOME": ""}
    return subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {redirected}', "sh", sys.executable, "-m", "seatpool.cli", *arguments],
        env={**os.environ, **own, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
@pytest.mark.parametrize(
    ("redirected", "command", "code", "says"),
    [
        (">&-", ("status",), 0, b""),
        (">&-", ("tail", "--no-follow"), 0, b""),
        ("<&-", ("account", "export", "x"), 2, b"add --passphrase-file FILE"),
        ("<&-", ("account", "import", "-"), 1, b"Error: standard input: not a login"),
        ("<&-", ("account", "remove", "work"), 2, b"nothing was changed: add --yes"),
        ("</dev/null", ("account", "remove", "work"), 2, b"nothing was changed: add --yes"),
        ("<&- >&- 2>&-", ("account", "remove", "work"), 2, b""),
        ("<&- >&- 2>&-", ("account", "pause", "work"), 0, b""),
    ],
)
def test_streams_that_are_closed_are_empty_ones(
    tmp_path: Path, redirected: str, command: tuple[str, ...], code: int, says: bytes
) -> None:
    with Store.open(str(tmp_path / "pool.db")) as store:
        sign_in(store)
        result = ran(tmp_path, redirected, *command)
        assert (result.returncode, b"Traceback" in result.stderr) == (code, False), result.stderr
        assert says in result.stderr
        assert store.account("work").paused is ("pause" in command)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is full")
@pytest.mark.parametrize("command", [("--help",), ("--version",), ("status", "--json"), ("account", "pause", "work")])
def test_a_full_disk_behind_the_output_is_told_in_a_line(tmp_path: Path, command: tuple[str, ...]) -> None:
    with Store.open(str(tmp_path / "pool.db")) as store:
        sign_in(store)
        result = ran(tmp_path, ">/dev/full", *command, PYTHONUNBUFFERED="")
        told = (1, b"Error: standard output: No space left on device\n")
        assert (result.returncode, result.stderr) == told
        assert store.account("work").paused is ("pause" in command)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is full")
def test_a_full_disk_behind_a_file_is_told_with_its_name() -> None:
    result = seatpool("pac", "--file", "/dev/full")
    assert (result.exit_code, result.output) == (1, "Error: /dev/full: No space left on device\n")


def test_a_database_that_a_mistyped_name_makes_is_told(tmp_path: Path) -> None:
    command = ("--db", str(tmp_path / "pol.db"), "account", "list", "--json")
    first, second = seatpool(*command), seatpool(*command)
    assert (first.stdout, first.exit_code) == (second.stdout, second.exit_code) == ("[]\n", 0)
    assert first.stderr == f"there was no database {tmp_path / 'pol.db'}: an empty one was made\n"
    assert second.stderr == ""


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("key", "import", "a\x1b[31mb"), "'a?[31mb': No such file or directory"),
        (("run", "--port", "http"), "'http' is not a valid whole number."),
        (("tail", "-n", "1.5"), "'1.5' is not a valid whole number."),
    ],
)
def test_wrong_input_is_quoted_so_that_it_can_be_read(command: tuple[str, ...], says: str) -> None:
    result = seatpool(*command)
    assert (result.exit_code, result.stderr.endswith(f"{says}\n")) == (2, True), result.stderr


def test_ctrl_c_while_the_commands_are_being_loaded_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise KeyboardInterrupt")
    path = os.pathsep.join((str(tmp_path), str(REPOSITORY / "addon")))
    result = ran(tmp_path, "", "status", PYTHONPATH=path)
    assert (result.returncode, result.stdout, result.stderr) == (130, b"", b"")


def test_what_the_output_cannot_show_is_a_question_mark(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "pool.db")) as store:
        sign_in(store, "rock🚀t")
    for command, shown in ((("status",), b" rock?t "), (("account", "pause", "rock🚀t"), b"paused rock?t")):
        result = ran(tmp_path, "", *command, PYTHONIOENCODING="cp1252", PYTHONUTF8="1")
        assert (result.returncode, shown in result.stdout) == (0, True), result.stderr


@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.parametrize(
    ("command", "word"),
    [
        (("account", "list"), "seat-of-the-second-department-of-works"),
        (("account", "import"), "~/Library/Application/of/the/second/department/.codex/auth.json"),
        (("audit",), "seat-of-the-second-department-of-works"),
        (("lock", "list"), "ask-upstream"),
        (("setup",), "every program that a shell or the desktop starts"),
    ],
    ids=["list", "import", "audit", "locks", "setup"],
)
def test_a_narrow_screen_cuts_no_word_off(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, columns: int, command: tuple[str, ...], word: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CODEX_HOME", str(tmp_path / "Library/Application/of/the/second/department/.codex"))
    codex_login(Path(os.environ["CODEX_HOME"]), "alice")
    with Store.open(str(tmp_path / "pool.db")) as store:
        sign_in(store, "work")
    seatpool("account", "rename", "work", "seat-of-the-second-department-of-works")
    seatpool("lock", "set", "move_conversations", "ask-upstream")
    monkeypatch.setenv("COLUMNS", str(columns))
    said = seatpool(*command).stdout
    assert "\N{HORIZONTAL ELLIPSIS}" not in said
    assert max(map(len, said.splitlines()[:3])) <= columns
    assert Counter(word.replace(" ", "")) <= Counter(said)


# -- homes


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a number that nobody has given a name, without HOME."""

    def nobody(_number: int) -> None:
        raise KeyError("getpwuid(): uid not found")

    for name in ("HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)


@pytest.mark.usefixtures("homeless")
@pytest.mark.parametrize(
    "command", [("status",), ("setup",), ("page",), ("ca", "show"), ("rules", "show"), ("--db", "", "account", "list")]
)
def test_without_a_home_directory_it_says_what_to_set(command: tuple[str, ...]) -> None:
    result = seatpool(*command)
    assert result.exit_code == 1
    assert result.output == "Error: no home directory is known for this user: set HOME to an absolute path\n"


@pytest.mark.usefixtures("homeless")
def test_what_needs_no_home_directory_does_without(tmp_path: Path) -> None:
    result = seatpool("--db", str(tmp_path / "pool.db"), "account", "list")
    assert (result.exit_code, "no account yet" in result.output) == (0, True)


@pytest.mark.parametrize(
    "command",
    [
        ("--db", "~nobody-of-here/x", "status"),
        ("setup", "codex", "--file", "~nobody-of-here/x"),
    ],
)
def test_the_home_of_nobody_is_one_line(command: tuple[str, ...]) -> None:
    result = seatpool(*command)
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert result.output.endswith("no user of this machine has the name behind the ~: write the path out\n")


def test_of_what_went_wrong_only_a_missing_home_is_told_as_one() -> None:
    with pytest.raises(RuntimeError) as caught:
        Path("~nobody-of-here/x").expanduser()
    assert homes.told(caught.value) == homes.NOBODY
    assert homes.told(RuntimeError("dictionary changed size during iteration")) is None


def test_the_key_file_of_nobody_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEATPOOL_KEY_FILE", "~nobody-of-here/x")
    result = seatpool("status")
    assert result.exit_code == 1
    assert "Error: ~nobody-of-here/x: no user of this machine has" in result.output


STORE = r"C:\Program Files\WindowsApps\PythonSoftwareFoundation.Python.3.12_3.12.2800.0_x64__qbz5n2kfra8p0"


@pytest.mark.parametrize("command", [("setup", "codex", "--yes"), ("ca", "create"), ("status",)])
def test_a_python_whose_files_nobody_else_sees_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(sys, "base_prefix", STORE)
    result = seatpool(*command)
    assert (result.exit_code, result.output) == (1, f"Error: {homes.WALLED}\n")
    assert not homes.data().exists()
    monkeypatch.setattr(sys, "base_prefix", r"C:\Users\me\AppData\Local\Programs\Python\Python312")
    assert seatpool("status").exit_code == 0


@pytest.mark.skipif(os.name != "posix", reason="needs a limit on the size of files")
def test_a_disk_that_is_full_from_the_first_command_on_is_one_line_that_names_the_file(tmp_path: Path) -> None:
    data = tmp_path / "new/data"
    result = subprocess.run(
        ["/bin/sh", "-c", 'ulimit -f 0; exec "$@"', "sh", sys.executable, "-m", "seatpool.cli", "page"],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "addon"), "XDG_DATA_HOME": str(data)},
        capture_output=True,
        check=False,
    )
    assert (result.returncode, result.stdout) == (1, b"")
    assert result.stderr.decode() == f"Error: {data / 'seatpool/page-token'}: File too large\n"
    assert not list((data / "seatpool").iterdir())


ANNA = PureWindowsPath(r"C:\Users\Anna Maria")


@pytest.mark.parametrize(
    ("folder", "mode"),
    [
        (ANNA / "AppData/Local/seatpool/seatpool", 0o777),
        (PureWindowsPath(r"c:\users\anna maria\.copilot"), 0o777),  # as a variable may write it
        (ANNA, 0o777),
        # What others may read by inheritance: another drive, a share, somebody whose name begins alike.
        (PureWindowsPath(r"D:\pools"), 0o700),
        (PureWindowsPath(r"\\server\home\anna"), 0o700),
        (PureWindowsPath(r"C:\Users\Anna Maria 2"), 0o700),
    ],
)
def test_a_folder_in_a_profile_of_windows_has_the_rights_of_the_profile(folder: PureWindowsPath, mode: int) -> None:
    """Of 0700 Python makes rights of the owner's, who is `Administrators` in a terminal of an administrator's."""
    assert homes.private_mode(folder, ANNA, windows=True) == mode


def test_a_new_folder_is_its_persons_alone(tmp_path: Path) -> None:
    assert homes.private_mode(PurePosixPath("/home/me/x"), PurePosixPath("/home/me"), windows=False) == 0o700
    homes.make_private(tmp_path / "a" / "b", parents=True)
    homes.make_private(tmp_path / "a" / "b")
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
