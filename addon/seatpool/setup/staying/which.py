"""Which way of keeping programs running this machine has."""

from seatpool.setup.staying.keepers import Keeper, Machine


class NoKeeper(Exception):
    """This machine has no way that could be used; the text is one line."""


def keeper(machine: Machine) -> Keeper:
    """The one of this machine. Raises `NoKeeper`."""
    from seatpool.setup.staying.launchd import Launchd
    from seatpool.setup.staying.scheduler import Scheduler
    from seatpool.setup.staying.systemd import Systemd

    if machine.system == "Darwin":
        return Launchd(machine)
    if machine.system == "Windows":
        return Scheduler(machine)
    if machine.system == "Linux" and machine.which("systemctl"):
        return Systemd(machine)
    raise NoKeeper(
        f"this machine ({machine.system}) has no systemd, launchd or Task Scheduler; have `seatpool run` started by "
        "what it has"
    )
