"""`seatpool run`: mitmdump with the addon, in this very process."""

import os
import sys
from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path
from typing import TextIO

import click
import platformdirs

import seatpool
from seatpool import homes
from seatpool.cli import handed_on
from seatpool.cli.ca.certified import certified
from seatpool.cli.common import Whole, database, with_database
from seatpool.cli.uninstall import footprint
from seatpool.providers.registry import OWN_HOST
from seatpool.setup import address
from seatpool.setup.address import HOST, PORT
from seatpool.setup.doctor import port as doors
from seatpool.setup.doctor.asking import Proxy
from seatpool.setup.hints import hints, not_followed, typed_as
from seatpool.setup.staying.job import UNBUFFERED
from seatpool.store import located

LONGEST_LOG = 10_000_000
"""Bytes."""

KEPT = (
    "Windows keeps port {} to itself, or another program does; one that is in none of these ranges will do: "
    "netsh interface ipv4 show excludedportrange protocol=tcp, then: seatpool run --port PORT"
)

PORT_OPTION = click.option(
    "--port", "-p", metavar="PORT", default=PORT, show_default=True, type=Whole(1, 65_535), help="Port on loopback."
)


@click.command(context_settings={"ignore_unknown_options": True})
@PORT_OPTION
@click.argument("mitmdump_arguments", nargs=-1, type=click.UNPROCESSED)
@with_database
def run(port: int, mitmdump_arguments: tuple[str, ...]) -> None:
    """Start the proxy with the pool; more MITMDUMP_ARGUMENTS are handed on.

    \b
    seatpool run
    seatpool run --port 8081 -- --set pool_websocket=refuse
    """
    if mitmdump_arguments and (number := mitmdump_arguments[0]).isdecimal():  # to mitmdump that is a filter of URLs
        raise click.UsageError(f"{number} is not understood; to listen on that port: seatpool run --port {number}")
    program = Path(sys.executable).with_name("mitmdump")
    if not program.exists() and os.name != "nt":
        raise click.ClickException(f"mitmdump is not beside {sys.executable}; install seatpool with its dependencies")
    if sys.stdout is None:
        sys.stdout = sys.stderr = _log()
    _begin_anew()
    if database():
        located(database())  # what names none is told here, and is not handed on: it may hold a password
    told = handed_on.read(mitmdump_arguments)
    if told.is_proxy:
        _look_who_is_there(told.url(port))
    authority = certified(told.confdir)
    footprint.settle()
    click.echo(hints(told.url(port) if told.is_proxy else None, authority.trusted))
    if told.is_proxy and not told.goes_on and (hint := not_followed(os.environ, told.url(port))) is not None:
        click.echo(hint)
    if (typed := typed_as()) is not None:
        click.echo(f"  {typed}")
    sys.stdout.flush()
    named = ["--set", f"pool_db={database()}"] if database() else []
    arguments = [
        str(program),
        "-s",
        str(_addon()),
        "--listen-host",
        HOST,
        "--listen-port",
        str(port),
        *named,
        *authority.arguments,
        *mitmdump_arguments,
    ]
    if os.name == "nt":  # there, what is executed is another process, which whoever ends this one does not end
        (mitmdump,) = entry_points(group="console_scripts", name="mitmdump")
        sys.argv = arguments
        sys.exit(mitmdump.load()())
    os.environ.setdefault(UNBUFFERED, "1")  # what it says is there as it is said, in a pipe and in a file as well
    os.execv(program, arguments)  # noqa: S606 # our own interpreter's mitmdump, no shell


def _look_who_is_there(url: str) -> None:
    """End where nobody may listen, or somebody does, which as a rule is seatpool, started before."""
    try:
        at = address.parse(url)
    except address.NoProxy:
        return  # mitmdump says what is wrong with it
    if doors.is_kept(at):
        raise click.ClickException(KEPT.format(at.port))
    if doors.is_taken(at):
        there = doors.who(Proxy(at, OWN_HOST).about(), at)
        raise click.ClickException(f"{there}; another one beside it: seatpool run --port {at.port + 1}")


def _log() -> TextIO:
    """Where a process without a window writes: pythonw, as Windows' Task Scheduler starts it."""
    file = _log_file()
    homes.make_private(file.parent, parents=True)
    return file.open("w", encoding="utf-8", buffering=1)


def _log_file() -> Path:
    return platformdirs.user_data_path("seatpool") / "service.log"


def _begin_anew() -> None:
    """Empty the log that launchd appends to for ever, once it is too long; who writes elsewhere keeps all of it."""
    with suppress(OSError, ValueError, RuntimeError):  # no such file, no stream with a file, no home
        found = _log_file().stat()
        if os.path.samestat(os.fstat(sys.stdout.fileno()), found) and found.st_size > LONGEST_LOG:
            os.truncate(sys.stdout.fileno(), 0)


def _addon() -> Path:
    """Beside the package in a clone, inside it in a wheel."""
    package = Path(seatpool.__file__).parent
    inside = package / "pool.py"
    return inside if inside.exists() else package.parent / "pool.py"
