"""Programs of the system that are run for a person, who was shown them before."""

import shlex
import subprocess
from collections.abc import Sequence

import click

from seatpool.cli.common import INTERRUPTED


def carry_out(command: Sequence[str], *, see: str, quietly: bool = False) -> None:
    """Run it; end with one line where it fails. `see`: the command that tells what was done until then."""
    shown = shlex.join(command)
    try:
        ran = subprocess.run(command, check=False, capture_output=quietly, text=True)  # noqa: S603 # shown before
    except FileNotFoundError:
        raise click.ClickException(f"there is no {command[0]} here; run this as an administrator: {shown}") from None
    except KeyboardInterrupt:
        click.echo(f"\nEnded; what was done before that stays: {see}", err=True)
        click.get_current_context().exit(INTERRUPTED)
    if ran.returncode != 0:
        said = " ".join((ran.stderr or "").split())
        why = f" ({said})" if said else ""
        raise click.ClickException(f"exit code {ran.returncode} of {shown}{why}; what was done before it stays: {see}")
