"""Task Scheduler of Windows: a task of this person's session, which is where Windows opens the vault of its keyring.

The system starts a task again only where it could not be started at all ([MS-TSCH] 2.5.4.2), so the triggers repeat:
each minute they start what is not running, and are ignored where it is.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from subprocess import list2cmdline
from xml.etree import ElementTree as ET

import msgspec

from seatpool.setup.staying.job import UNBUFFERED, Job
from seatpool.setup.staying.keepers import NONE, Command, Leeway, Machine, State

TASK = "seatpool"
NAMESPACE = "http://schemas.microsoft.com/windows/2004/02/mit/task"

Content = str | dict[str, "Content"]

_AGAIN: dict[str, Content] = {"Enabled": "true", "Repetition": {"Interval": "PT1M", "StopAtDurationEnd": "false"}}
_SETTINGS: dict[str, Content] = {
    "AllowStartOnDemand": "true",
    "MultipleInstancesPolicy": "IgnoreNew",
    "DisallowStartIfOnBatteries": "false",
    "StopIfGoingOnBatteries": "false",
    "AllowHardTerminate": "true",
    "StartWhenAvailable": "true",
    "RunOnlyIfNetworkAvailable": "false",
    "WakeToRun": "false",
    "Enabled": "true",
    "Hidden": "false",
    "ExecutionTimeLimit": "PT0S",
    "Priority": "5",
    "RunOnlyIfIdle": "false",
}
"""Three days and a battery would end it otherwise, and its share of the processor would be that of backups."""


class Scheduler(msgspec.Struct, frozen=True):
    """`schtasks`, which reads a file that is kept in the data directory."""

    machine: Machine
    title: str = "Task Scheduler"
    lacking: str | None = None
    leeway: Mapping[str, Leeway] = NONE

    @property
    def file(self) -> Path:
        return self.machine.data / "service.xml"

    def advice(self, job: Job) -> tuple[str, ...]:
        """A task has the variables of the person, not those of a shell."""
        unknown = [name for name, _ in job.environ if name != UNBUFFERED]
        return (
            "it begins when you sign in; after a failure within a minute",
            f"what it says: {self.machine.data / 'service.log'}",
            *(f"it knows {name} once you have said: setx {name} VALUE" for name in unknown),
        )

    def content(self, job: Job) -> bytes:
        program, *arguments = job.command
        domain, user = self.machine.environ.get("USERDOMAIN", ""), self.machine.environ.get("USERNAME", "")
        who = f"{domain}\\{user}" if domain else user
        task: dict[str, Content] = {
            "RegistrationInfo": {"Description": "seatpool, the proxy for Copilot and Codex"},
            "Triggers": {"RegistrationTrigger": _AGAIN, "LogonTrigger": {**_AGAIN, "UserId": who}},
            "Principals": {"Principal": {"UserId": who, "LogonType": "InteractiveToken", "RunLevel": "LeastPrivilege"}},
            "Settings": _SETTINGS,
            "Actions": {"Exec": {"Command": program, "Arguments": list2cmdline(arguments)}},
        }
        root = ET.Element("Task", {"version": "1.2", "xmlns": NAMESPACE})
        _fill(root, task)
        principal, actions = root.find("Principals/Principal"), root.find("Actions")
        assert principal is not None and actions is not None
        principal.set("id", "Author")
        actions.set("Context", "Author")
        ET.indent(root)
        text = ET.tostring(root, encoding="unicode")
        return f'<?xml version="1.0" encoding="UTF-16"?>\n{text}\n'.encode("utf-16")

    def begin(self) -> Iterator[Command]:
        if self.state().starts:
            yield ("schtasks", "/End", "/TN", TASK)
        yield ("schtasks", "/Create", "/TN", TASK, "/XML", str(self.file), "/F")

    def end(self) -> Iterator[Command]:
        if self.state().starts:
            yield ("schtasks", "/End", "/TN", TASK)
            yield ("schtasks", "/Delete", "/TN", TASK, "/F")

    def forget(self) -> Iterator[Command]:
        yield from ()

    def state(self) -> State:
        """Windows says whether it is running in the person's language, so the number of its state is asked for."""
        script = f"(Get-ScheduledTask -TaskName {TASK} -ErrorAction Stop).State.value__"
        told = self.machine.ask(("powershell", "-NoProfile", "-NonInteractive", "-Command", script))
        number = told.said.strip()
        return State(running=number == _RUNNING, starts=number in _STARTS, detail=_STATES.get(number, "not registered"))


_STATES = {"0": "unknown", "1": "disabled", "2": "queued", "3": "ready", "4": "running"}
_RUNNING = "4"
_STARTS = {"2", "3", "4"}


def _fill(element: ET.Element, content: dict[str, Content]) -> None:
    for name, value in content.items():
        child = ET.SubElement(element, name)
        if isinstance(value, str):
            child.text = value
        else:
            _fill(child, value)
