"""Processes that are known again, and the proxy: started as who asked, in the group that is not redirected."""

import os
import pwd
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import msgspec

import seatpool
from seatpool.setup.quiet import quiet
from seatpool.setup.transparent import GROUP, TransparentError
from seatpool.setup.transparent.rules import LOOPBACK4, LOOPBACK6

_ASKED_BY = ("SUDO_UID", "PKEXEC_UID", "DOAS_USER")
_KEPT = ("PATH", "LANG", "TZ", "TERM", "PYTHONDONTWRITEBYTECODE")
_KEPT_ALIKE = re.compile(r"LC_.+|XDG_\w+_HOME|SEATPOOL_.+")


class Process(msgspec.Struct, frozen=True):
    """One process; a number alone may be another one's by now."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> "Process | None":
        """None where there is none, or it has ended and nobody has looked."""
        started = _started(pid)
        return cls(pid, started) if started else None

    @property
    def is_alive(self) -> bool:
        return _started(self.pid) == self.started

    def signal(self, number: int) -> None:
        """Unless it has ended."""
        if self.is_alive:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                pass


def _started(pid: int) -> str:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        if Path("/proc/self/stat").exists():
            return ""
    else:
        return "" if fields[0] == "Z" else fields[19]
    argv = ["ps", "-o", "lstart=", "-p", str(pid)]
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603 # fixed


class Person(msgspec.Struct, frozen=True):
    """Whose accounts and settings the proxy works with."""

    uid: int
    gid: int
    name: str
    home: str

    @property
    def environment(self) -> dict[str, str]:
        """Theirs, as far as it can be known when root asks for them; the session's bus leads to their keyring."""
        if self.uid == os.geteuid():
            return dict(os.environ)
        kept = {k: v for k, v in os.environ.items() if k in _KEPT or _KEPT_ALIKE.fullmatch(k)}
        runtime = Path(f"/run/user/{self.uid}")
        if (runtime / "bus").exists():
            kept |= {"XDG_RUNTIME_DIR": str(runtime), "DBUS_SESSION_BUS_ADDRESS": f"unix:path={runtime}/bus"}
        return {**kept, "HOME": self.home, "USER": self.name, "LOGNAME": self.name}


def asking(environ: Mapping[str, str]) -> Person:
    """Who has asked: through sudo, pkexec or doas somebody else than the one who runs this."""
    named = next((value for variable in _ASKED_BY if (value := environ.get(variable))), str(os.geteuid()))
    try:
        entry = pwd.getpwuid(int(named)) if named.isdigit() else pwd.getpwnam(named)
    except KeyError:
        uid = int(named) if named.isdigit() else os.geteuid()
        return Person(uid, os.getegid(), named, environ.get("HOME", "/"))
    home = environ.get("HOME", entry.pw_dir) if entry.pw_uid == os.geteuid() else entry.pw_dir
    return Person(entry.pw_uid, entry.pw_gid, entry.pw_name, home)


def spawn(
    person: Person, argv: Sequence[str], env: Mapping[str, str], out: IO[bytes] | int, group: int | None = None
) -> subprocess.Popen[bytes]:
    """Start a command of seatpool's as them; `group` takes the place of their own. Raises `TransparentError`."""
    above = str(Path(seatpool.__file__).parent.parent)
    path = os.pathsep.join(filter(None, (above, os.environ.get("PYTHONPATH"))))
    groups = set(os.getgrouplist(person.name, person.gid)) if person.uid else {*os.getgroups(), person.gid}
    try:
        return subprocess.Popen(  # noqa: S603 # our own command
            [sys.executable, "-P", "-m", "seatpool.cli", *argv],
            env={**person.environment, **env, "PYTHONPATH": path},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out if group is not None else subprocess.DEVNULL,
            user=person.uid,
            group=group if group is not None else person.gid,
            extra_groups=sorted(groups),
            start_new_session=True,
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise TransparentError(f"the proxy cannot be started as {person.name} in group {group}: {error}") from None


def start_proxy(
    person: Person, port: int, arguments: Sequence[str], env: Mapping[str, str], log: IO[bytes], *, ipv6: bool
) -> subprocess.Popen[bytes]:
    """Listening for redirected connections on the loopback, of both families where there are both."""
    modes = [f"transparent@{LOOPBACK4}:{port}", *([f"transparent@{LOOPBACK6}:{port}"] if ipv6 else [])]
    more = [part for mode in modes for part in ("--mode", mode)]
    argv = ["run", "--port", str(port), "--", *more, *quiet(arguments), *arguments]
    return spawn(person, argv, {**env, "PYTHONUNBUFFERED": "1"}, log, GROUP)


def ask_hosts(person: Person, env: Mapping[str, str]) -> tuple[str, ...]:
    """The hosts that their accounts need. Empty where they cannot be told."""
    asked = spawn(person, ["transparent", "hosts"], env, subprocess.PIPE)
    try:
        out, _ = asked.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        asked.kill()
        asked.communicate()
        return ()
    return tuple(out.decode().split()) if asked.returncode == 0 else ()
