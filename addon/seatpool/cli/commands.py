"""Programs of the system that are run for a person, who was shown them before."""

import subprocess
import time
from collections.abc import Sequence

import click

from seatpool.cli.common import INTERRUPTED
from seatpool.setup import shell
from seatpool.setup.staying.keepers import STRICT, Leeway

PATIENCE_S = 30.0
"""For a system that is still at something else."""
_PAUSE_S = 0.5


def carry_out(command: Sequence[str], *, see: str, quietly: bool = False, leeway: Leeway = STRICT) -> None:
    """Run it; end with one line where it fails. `see`: the command that tells what was done until then."""
    shown, until = shell.here().join(command), time.monotonic() + PATIENCE_S
    try:
        while (ran := _ran(command, quietly=quietly)).returncode in leeway.again and time.monotonic() < until:
            time.sleep(_PAUSE_S)
    except FileNotFoundError:
        raise click.ClickException(f"there is no {command[0]} here; run this as an administrator: {shown}") from None
    except KeyboardInterrupt:
        click.echo(f"\nEnded; what was done before that stays: {see}", err=True)
        click.get_current_context().exit(INTERRUPTED)
    if ran.returncode not in leeway.done:
        said = " ".join((ran.stderr or "").split())
        why = f" ({said})" if said else ""
        raise click.ClickException(f"exit code {ran.returncode} of {shown}{why}; what was done before it stays: {see}")


def _ran(command: Sequence[str], *, quietly: bool) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=quietly, errors="replace")  # noqa: S603 # shown before
