"""`seatpool account owner|share|unshare`, `admin`, `lock` and `audit`: what they say, and how they refuse."""

import errno
import json
import os
import stat
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from seatpool.cli import outfile
from seatpool.cli.main import main
from tests.upstream.logins import codex_login
from tests.upstream.tokens import MARKER

RULES = '[[rule]]\nname = "team"\nonly = "work"\n'


def seatpool(*arguments: str, text: str | None = None) -> Result:
    return CliRunner().invoke(main, list(arguments), input=text)


def good(*arguments: str) -> str:
    result = seatpool(*arguments)
    assert result.exit_code == 0, result.output
    assert MARKER not in result.output
    return result.output.strip()


def refused(*arguments: str) -> str:
    result = seatpool(*arguments)
    assert result.exit_code != 0 and isinstance(result.exception, SystemExit), result.output
    return result.output.strip().splitlines()[-1]


Being = Callable[[str], None]


@pytest.fixture
def am(own_world: None, monkeypatch: pytest.MonkeyPatch) -> Being:
    """Be somebody from now on."""
    return lambda person: monkeypatch.setenv("SEATPOOL_PERSON", person)


@pytest.fixture(autouse=True)
def _accounts(tmp_path: Path, am: Being) -> None:
    am("ann")
    for name, login in (("work", "alice"), ("home", "bob")):
        good("account", "import", str(codex_login(tmp_path / name, login)), "--name", name, "--own")


def test_who_knows_of_no_team_notices_nothing() -> None:
    for table in (good("account", "list"), good("status")):
        assert not any(word in table for word in ("owner", "shared", "yours", "locked", "everybody"))
    (row, _) = json.loads(good("account", "list", "--json"))
    assert (row["owner"], row["people"]) == (None, [])


def test_an_account_is_given_an_owner_shared_shown_and_freed(am: Being) -> None:
    assert refused("account", "share", "work", "ben") == (
        "Error: work is everybody's; say whose it is first: seatpool account owner work PERSON"
    )
    assert good("account", "owner", "work", "ann") == "work is ann's, and nobody else may use it"
    assert good("account", "share", "work", "ben", "cleo") == "work is ann's, and ben, cleo may use it"
    assert good("account", "unshare", "work", "ben") == "work is ann's, and cleo may use it"
    header, home, work = good("account", "list").splitlines()
    assert "owner" in header and "shared with" in header
    assert home.split()[-2:] == ["everybody", "-"] and work.split()[-3:] == ["ready", "ann", "cleo"]
    am("ben")
    assert "not yours to use" in good("account", "list")
    assert "not yours to use: ann's" in good("status")
    rows = {row["name"]: row for row in json.loads(good("account", "list", "--json"))}
    assert (rows["work"]["state"], rows["work"]["owner"], rows["work"]["people"]) == ("foreign", "ann", ["cleo"])
    assert (rows["home"]["state"], rows["home"]["owner"]) == ("ready", None)
    assert good("account", "owner", "work", "--nobody") == "work is everybody's"
    for wrong in (("work",), ("work", "ben", "--nobody")):
        assert "give PERSON or --nobody" in refused("account", "owner", *wrong)


def test_admins_alone_lock_what_concerns_everybody(am: Being, tmp_path: Path) -> None:
    assert "everybody may do everything" in good("admin", "list")
    assert good("lock", "set", "rotate_on_limit", "false").splitlines() == [
        "locked rotate_on_limit=false",
        "everybody may change that while there is no admin: seatpool admin add PERSON",
    ]
    assert "you yourself are none: you are ann" in good("admin", "add", "dan")
    assert "only an admin may do that: dan; you are ann" in refused("lock", "clear", "rotate_on_limit")
    assert "dan" in refused("admin", "add", "ann") and "dan" in refused("key", "rotate")
    am("dan")
    assert good("admin", "add", "ann") == "ann is an admin"
    assert json.loads(good("admin", "list", "--json")) == ["dan", "ann"]
    assert "rotate_on_limit=false (by ann)" in good("status")
    (lock,) = json.loads(good("status", "--json"))["locks"]
    assert (lock["name"], lock["value"], lock["by"]) == ("rotate_on_limit", "false", "ann")
    assert "say one of: passthrough, block" in refused("lock", "set", "on_failure", "explode")
    assert "there are: rotate_on_limit" in refused("lock", "set", "db", "x")
    assert good("lock", "clear", "pool_rotate_on_limit") == "rotate_on_limit is no longer locked"
    assert good("lock", "clear", "rotate_on_limit") == "it was not locked"
    assert good("lock", "list").startswith("nothing is locked; what can be: rotate_on_limit, on_failure")
    assert good("admin", "remove", "ann") == "ann is no longer an admin"
    assert "everybody may do everything" in good("admin", "remove", "dan")


def test_rules_are_locked_as_a_whole_and_are_the_ones_that_are_shown_then(tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_text("[[rule]]\nonyl = 1\n")
    assert "wrong.toml:" in seatpool("lock", "set", "rules", str(tmp_path / "wrong.toml")).output
    assert "none.toml" in seatpool("lock", "set", "rules", str(tmp_path / "none.toml")).output
    assert json.loads(good("lock", "list", "--json")) == []
    (tmp_path / "team.toml").write_text(RULES)
    assert good("lock", "set", "pool_rules", str(tmp_path / "team.toml")).startswith("locked rules=3 lines")
    (held,) = json.loads(good("lock", "list", "--json"))
    assert held["value"] == RULES
    shown = good("rules", "show")
    assert "these are locked for every proxy on this database" in shown and "only work" in shown
    assert 'rule "team" (locked rules:1) decides' in good("rules", "test", "--provider", "codex")
    assert "no rule decides" in good("rules", "test", _empty(tmp_path), "--provider", "codex")


def _empty(folder: Path) -> str:
    (folder / "mine.toml").write_text("")
    return str(folder / "mine.toml")


def test_the_audit_log_tells_who_has_done_what_and_never_a_token(am: Being) -> None:
    good("account", "pause", "work")
    am("ben")
    good("account", "rename", "work", "job")
    good("lock", "set", "strategy", "drain")
    lines = good("audit").splitlines()
    assert [line.split()[0] for line in lines[:1]] == ["when"]
    assert [[word for word in ("add", "pause", "rename", "lock") if word in line] for line in lines[1:]] == [
        ["add"],
        ["add"],
        ["pause"],
        ["rename"],
        ["lock"],
    ]
    rows = json.loads(good("audit", "--json", "--account", "job"))
    told = [(row["person"], row["did"], row["account"], row["before"], row["after"]) for row in rows]
    assert told == [
        ("ann", "add", "work", None, "codex, plus"),
        ("ann", "pause", "work", "in use", "paused"),
        ("ben", "rename", "work", "work", "job"),
    ]
    assert json.loads(good("audit", "--json", "--since", "2030-01-01")) == []
    assert len(json.loads(good("audit", "--json", "--since", "7d"))) == 5
    assert "is no moment" in refused("audit", "--since", "soon")
    assert good("audit", "--account", "nobody").startswith("nothing was done")


def exporting(tmp_path: Path, what: str) -> Callable[[Path], tuple[str, ...]]:
    """The command that exports the key, or the accounts, to a file."""
    secret = tmp_path / "secret"
    secret.write_text("correct horse\n")
    options = ("--passphrase-file", str(secret)) if what == "account" else ()
    return lambda file: (what, "export", str(file), *options)


EXPORTS = pytest.mark.parametrize(("what", "noted"), [("key", ["export-key"]), ("account", ["export", "export"])])


def deeds() -> list[str]:
    return [row["did"] for row in json.loads(good("audit", "--json"))]


@EXPORTS
def test_an_export_is_in_the_audit_log_where_its_file_is_there(tmp_path: Path, what: str, noted: list[str]) -> None:
    command, before = exporting(tmp_path, what), deeds()
    good(*command(tmp_path / "out"))
    assert deeds() == [*before, *noted]
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o600


@EXPORTS
def test_an_export_to_where_no_file_can_be_is_not_noted(tmp_path: Path, what: str, noted: list[str]) -> None:
    command, before = exporting(tmp_path, what), deeds()
    (tmp_path / "out").write_text("precious")
    missing = tmp_path / "missing/out"
    assert refused(*command(missing)) == f"Error: {missing}: No such file or directory"
    assert "exists" in refused(*command(tmp_path / "out"))
    assert (tmp_path / "out").read_text() == "precious"
    assert deeds() == before


@EXPORTS
def test_an_export_that_a_full_disk_ends_leaves_neither_a_file_nor_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, noted: list[str]
) -> None:
    command, before, file = exporting(tmp_path, what), deeds(), tmp_path / "out"

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        assert refused(*command(file)) == f"Error: {file}: No space left on device"
    assert not list(tmp_path.glob("out*"))
    assert deeds() == before
    good(*command(file))
    assert deeds() == [*before, *noted]


@pytest.mark.skipif(os.name != "posix", reason="needs a limit on the size of files")
@pytest.mark.parametrize("opened", [outfile.new, outfile.replacing])
def test_what_is_cut_short_says_which_file_and_leaves_none(
    tmp_path: Path, opened: Callable[[Path], AbstractContextManager[outfile.Write]]
) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def write_it() -> None:
        with opened(tmp_path / "out") as write:
            resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
            write(b"more than ten bytes")

    try:
        with pytest.raises(OSError, match="File too large") as caught:
            write_it()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.filename == str(tmp_path / "out")
    assert not list(tmp_path.glob("out*"))


@EXPORTS
def test_an_export_that_another_person_may_not_make_leaves_no_file(
    tmp_path: Path, am: Being, what: str, noted: list[str]
) -> None:
    command = exporting(tmp_path, what)
    for name in ("work", "home"):
        good("account", "owner", name, "ann")
    good("admin", "add", "ann")
    before = deeds()
    am("ben")
    assert "an admin may do that" in refused(*command(tmp_path / "out"))
    assert not list(tmp_path.glob("out*"))
    assert deeds() == before
