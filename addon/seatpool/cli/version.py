"""`seatpool --version`: the tag that an installed one was built from, and what git says of a clone."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

import seatpool


def version() -> str:
    """Of a clone with its commit, where git tells."""
    if seatpool.__version__ != seatpool.CLONE:
        return seatpool.__version__
    return " ".join(filter(None, (seatpool.CLONE, _described(Path(__file__).parents[3]))))


def _described(clone: Path) -> str:
    argv = ("git", "-C", str(clone), "describe", "--tags", "--always", "--dirty")
    try:
        ran = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=5)  # noqa: S603 # fixed, no shell
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return ran.stdout.strip()


def with_version[F: Callable[..., Any]](command: F) -> F:
    """Add `--version`, which looks for it only when it is asked."""

    def tell(context: click.Context, _param: click.Parameter, wanted: bool) -> None:
        if wanted and not context.resilient_parsing:
            click.echo(f"seatpool, version {version()}")
            context.exit()

    option = click.option(
        "--version", is_flag=True, expose_value=False, is_eager=True, callback=tell, help="Show the version and exit."
    )
    return option(command)
