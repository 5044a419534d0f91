"""launchd of macOS: an agent of this person, in the session of the screen, where the keychain can be reached."""

import plistlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from seatpool.setup.staying.job import Job
from seatpool.setup.staying.keepers import Answer, Command, Leeway, Machine, State

LABEL = "local.seatpool"
OWN_NETWORK = (
    "machines of your own network (a company's proxy, a database) it may find without a route from macOS 15 on: "
    "System Settings > Privacy & Security > Local Network; what Terminal or SSH starts reaches them"
)
"""Apple's TN3179: what launchd starts for a person has to be allowed it, and a Python is nothing that macOS knows."""
LEEWAY: Mapping[str, Leeway] = MappingProxyType(
    {
        "bootout": Leeway(done=frozenset({0, 3, 36})),  # gone already; on its way
        "bootstrap": Leeway(again=frozenset({5, 37})),
    }
)
"""launchd lets go of a label some seconds after what ran under it has ended, and says EIO until then, or EALREADY."""


class Launchd(msgspec.Struct, frozen=True):
    """`launchctl`, with a file in `~/Library/LaunchAgents`."""

    machine: Machine
    title: str = "launchd"
    lacking: str | None = None
    leeway: Mapping[str, Leeway] = LEEWAY

    @property
    def file(self) -> Path:
        return self.machine.home / "Library" / "LaunchAgents" / f"{LABEL}.plist"

    @property
    def log(self) -> Path:
        """What the proxy says, a line for each thing of note. launchd appends to it, and `seatpool run` empties it."""
        return self.machine.data / "service.log"

    def advice(self, job: Job) -> tuple[str, ...]:
        return (f"what it says: {self.log}", OWN_NETWORK)

    def content(self, job: Job) -> bytes:
        wanted: dict[str, Any] = {
            "Label": LABEL,
            "ProgramArguments": list(job.command),
            "EnvironmentVariables": dict(job.environ),
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": 10,
            "ExitTimeOut": 20,
            "ProcessType": "Interactive",
            "Umask": 0o077,
            "HardResourceLimits": {"Core": 0},
            "StandardOutPath": str(self.log),
            "StandardErrorPath": str(self.log),
        }
        return plistlib.dumps(wanted)

    def begin(self) -> Iterator[Command]:
        yield from self.end()
        yield ("launchctl", "enable", self._service)
        yield ("launchctl", "bootstrap", self._domain, str(self.file))

    def end(self) -> Iterator[Command]:
        if self._told().code == 0:
            yield ("launchctl", "bootout", self._service)

    def forget(self) -> Iterator[Command]:
        yield from ()

    def state(self) -> State:
        told = self._told()
        said = dict(re.findall(r"^\t(state|pid) = (.+)$", told.said, re.MULTILINE))
        pid = int(said["pid"]) if said.get("pid", "").isdigit() else None
        detail = said.get("state") or "not loaded"
        return State(running=said.get("state") == "running", starts=told.code == 0, pid=pid, detail=detail)

    @property
    def _domain(self) -> str:
        return f"gui/{self.machine.user}"

    @property
    def _service(self) -> str:
        return f"{self._domain}/{LABEL}"

    def _told(self) -> Answer:
        return self.machine.ask(("launchctl", "print", self._service))
