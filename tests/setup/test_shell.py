"""What a person is shown to paste means the same to the shell that they paste it into."""

import shlex
import subprocess

import pytest

from seatpool.setup.shell import POSIX, POWERSHELL, of

CERTUTIL = ("certutil", "-user", "-addstore", "Root")
PYTHONW = r"C:\Users\Anna Maria\AppData\Roaming\uv\tools\seatpool\Scripts\pythonw.exe"


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        # `cmd` knows no single quotes, and neither shell takes a backslash for anything but itself.
        (r"C:\Users\anna\AppData\x.pem", r"C:\Users\anna\AppData\x.pem"),
        (r"C:\Users\Jürgen\x.pem", r"C:\Users\Jürgen\x.pem"),
        (r"C:\Users\Anna Maria\x.pem", r'"C:\Users\Anna Maria\x.pem"'),
        ("C:\\My Pools\\", r'"C:\My Pools\\"'),
        ("anna@example.com", "anna@example.com"),
        ("@work", '"@work"'),
        ("~", '"~"'),
        ("a,b", '"a,b"'),  # two words to PowerShell
        ("it's", '"it\'s"'),
        ("", '""'),
        # What PowerShell expands between double quotes stands between single ones, of which it knows five.
        (r"C:\$Recycle\x.pem", r"'C:\$Recycle\x.pem'"),
        ("$it's", "'$it''s'"),
        ("$it\u2019s", "'$it\u2019\u2019s'"),
    ],
)
def test_a_word_on_windows(word: str, shown: str) -> None:
    assert POWERSHELL.quote(word) == shown
    assert POWERSHELL.join((*CERTUTIL, word)) == f"{shlex.join(CERTUTIL)} {shown}"


def test_what_is_said_on_windows_is_of_powershell() -> None:
    assert POWERSHELL.join((PYTHONW, "-P")) == f'& "{PYTHONW}" -P'  # else it is a text, which is printed
    assert (
        POWERSHELL.setting({"A": "http://x:1", "B": r"C:\it's.pem"})
        == r"$env:A = 'http://x:1'; $env:B = 'C:\it''s.pem'"
    )
    assert POWERSHELL.unsetting("A") == "Remove-Item Env:A"
    assert (of("Windows"), of("Darwin"), of("Linux")) == (POWERSHELL, POSIX, POSIX)


@pytest.mark.parametrize("value", ["http://127.0.0.1:8080", "/home/Anna Maria/it's.pem", "$HOME `id`"])
def test_what_is_said_elsewhere_is_what_a_shell_takes(value: str) -> None:
    script = POSIX.then.join(
        (POSIX.setting({"A": value, "B": "2"}), 'printf %s "$A$B"', POSIX.unsetting("A"), 'echo "$A"')
    )
    told = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout == f"{value}2\n"
