"""Who has asked, and what of their surroundings the proxy gets."""

import os
import pwd
import subprocess
import sys

import pytest

from seatpool.setup.transparent.process import Person, Process, asking

SOMEBODY = next(entry for entry in pwd.getpwall() if entry.pw_uid != os.geteuid())


@pytest.mark.parametrize(
    ("variable", "value"),
    [("SUDO_UID", str(SOMEBODY.pw_uid)), ("PKEXEC_UID", str(SOMEBODY.pw_uid)), ("DOAS_USER", SOMEBODY.pw_name)],
)
def test_who_asks_through_another_user_is_meant(variable: str, value: str) -> None:
    entry = SOMEBODY
    assert asking({variable: value, "HOME": "/root"}) == Person(entry.pw_uid, entry.pw_gid, entry.pw_name, entry.pw_dir)


def test_who_asks_for_themselves_is_meant_with_the_home_that_they_name() -> None:
    person = asking({"HOME": "/somewhere"})
    assert (person.uid, person.home) == (os.geteuid(), "/somewhere")


def test_what_is_the_callers_own_does_not_reach_another_persons_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:8080")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/of-the-caller")
    monkeypatch.setenv("SEATPOOL_KEYRING", "off")
    environment = Person(SOMEBODY.pw_uid, SOMEBODY.pw_gid, SOMEBODY.pw_name, "/home/theirs").environment
    assert "HTTPS_PROXY" not in environment
    assert environment.get("XDG_RUNTIME_DIR") != "/run/user/of-the-caller"
    assert (environment["HOME"], environment["SEATPOOL_KEYRING"]) == ("/home/theirs", "off")


def test_a_process_is_known_again_and_its_number_alone_is_not_it() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    found = Process.of(child.pid)
    assert found is not None and found.is_alive
    assert not Process(child.pid, "another time").is_alive
    child.kill()
    child.communicate()
    assert not found.is_alive
    assert Process.of(child.pid) is None
