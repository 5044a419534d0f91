"""systemd, as each person has it."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from seatpool.setup.staying.job import Job
from seatpool.setup.staying.keepers import NONE, Command, Leeway, Machine, State

UNIT = "seatpool.service"
_SYSTEMCTL: Command = ("systemctl", "--user")

_HARDENING = """\
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
"""
"""Nothing that takes a namespace (PrivateTmp, ProtectHome, ...): where those are forbidden to a person's own programs
(Ubuntu 24.04, containers) the unit would not start. AF_UNIX leads to the keyring."""

_TEXT = """\
# Made by `seatpool service install`, which writes it anew; `seatpool service remove` takes it back.
[Unit]
Description=seatpool: requests to Copilot and Codex go to the account with the most useful quota
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart=:{command}
{environ}
Restart=on-failure
RestartSec=1
RestartPreventExitStatus=2
TimeoutStopSec=20
UMask=0077
LimitCORE=0
{hardening}
[Install]
WantedBy=default.target
"""
"""`:` keeps `$` what it is; 2 is the exit code of arguments that nobody understands, which no restart mends. No core
dumps, since tokens are in memory."""


class Systemd(msgspec.Struct, frozen=True):
    """`systemctl --user`."""

    machine: Machine
    title: str = "systemd"
    leeway: Mapping[str, Leeway] = NONE

    @property
    def file(self) -> Path:
        named = Path(self.machine.environ.get("XDG_CONFIG_HOME") or "")
        return (named if named.is_absolute() else self.machine.home / ".config") / "systemd" / "user" / UNIT

    @property
    def lacking(self) -> str | None:
        told = self.machine.ask((*_SYSTEMCTL, "show", "--property=Version"))
        if told.code == 0:
            return None
        why = (told.complained.strip().splitlines() or ["no reason given"])[0]
        return f"your systemd does not answer ({why}); sign in to the machine itself, not by su or sudo, and try again"

    def advice(self, job: Job) -> tuple[str, ...]:
        return (
            "what it says: journalctl --user -u seatpool",
            "it ends when you sign out; to keep it, and have it from the machine's start: loginctl enable-linger",
        )

    def content(self, job: Job) -> bytes:
        environ = "\n".join(f"Environment={_quoted(f'{name}={value}')}" for name, value in job.environ)
        hardening = "" if job.privileged else _HARDENING
        return _TEXT.format(command=" ".join(map(_quoted, job.command)), environ=environ, hardening=hardening).encode()

    def begin(self) -> Iterator[Command]:
        yield (*_SYSTEMCTL, "daemon-reload")
        yield (*_SYSTEMCTL, "enable", "--quiet", UNIT)
        yield (*_SYSTEMCTL, "restart", UNIT)

    def end(self) -> Iterator[Command]:
        if self.lacking is None:
            yield (*_SYSTEMCTL, "disable", "--quiet", "--now", UNIT)
            if self.state().detail.startswith("failed"):  # else systemd would go on telling of it
                yield (*_SYSTEMCTL, "reset-failed", UNIT)

    def forget(self) -> Iterator[Command]:
        if self.lacking is None:
            yield (*_SYSTEMCTL, "daemon-reload")

    def state(self) -> State:
        wanted = ("ActiveState", "SubState", "MainPID", "UnitFileState")
        told = self.machine.ask((*_SYSTEMCTL, "show", UNIT, f"--property={','.join(wanted)}"))
        said = dict(line.split("=", 1) for line in told.said.splitlines() if "=" in line)
        pid = int(said.get("MainPID", "0") or 0)
        return State(
            running=said.get("ActiveState") == "active",
            starts=said.get("UnitFileState") == "enabled",
            pid=pid or None,
            detail=" ".join(filter(None, (said.get("ActiveState"), said.get("SubState")))) or told.complained.strip(),
        )


def _quoted(text: str) -> str:
    """One word of a unit; `%` is a specifier there."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("\n", "\\n")
    return f'"{escaped}"'
