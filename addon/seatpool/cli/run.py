"""`seatpool run`: mitmdump with the addon, in this very process."""

import os
import sys
from pathlib import Path

import click

import seatpool
from seatpool.cli.certified import certified
from seatpool.cli.common import database, with_database
from seatpool.setup.address import HOST, PORT
from seatpool.setup.hints import hints


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--port", "-p", default=PORT, show_default=True, type=click.IntRange(1, 65_535), help="Port on loopback.")
@click.argument("mitmdump_arguments", nargs=-1, type=click.UNPROCESSED)
@with_database
def run(port: int, mitmdump_arguments: tuple[str, ...]) -> None:
    """Start the proxy with the pool; more MITMDUMP_ARGUMENTS are handed on.

    \b
    seatpool run
    seatpool run --port 8081 -- --set pool_websocket=refuse
    """
    program = Path(sys.executable).with_name("mitmdump")
    if not program.exists():
        raise click.ClickException(f"mitmdump is not beside {sys.executable}; install seatpool with its dependencies")
    authority = certified(mitmdump_arguments)
    click.echo(hints(port, authority.trusted))
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
    os.execv(program, arguments)  # noqa: S606 # our own interpreter's mitmdump, no shell


def _addon() -> Path:
    """Beside the package in a clone, inside it in a wheel."""
    package = Path(seatpool.__file__).parent
    inside = package / "pool.py"
    return inside if inside.exists() else package.parent / "pool.py"
