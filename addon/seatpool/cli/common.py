"""What every command shares: the database option, plain errors, the console."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, override

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from seatpool import homes
from seatpool.cli import streams
from seatpool.providers.logins import NotALogin
from seatpool.setup.address import hidden
from seatpool.store import Store, StoreError, located

DATABASE_KEY = "seatpool.database"
INTERRUPTED = 130
"""128 and the number of SIGINT, as shells have it."""
UNASKED = 2
"""Exit code of a question that nobody could be asked."""
UNFOLDED = 10_000
"""Columns: more than any line has."""
NO_TEXT = "{} is not UTF-8, as everything that is said to seatpool must be; write it in a terminal set to UTF-8"
NARROWEST, USUAL = 40, 80
"""Columns of a screen. On one with less a terminal breaks the lines, which drops nothing; some say 0, of no size."""


def _keep_database(ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.meta[DATABASE_KEY] = value


def with_database[F: Callable[..., Any]](command: F) -> F:
    """Add `--db` to a command or group; the innermost one given wins, then `SEATPOOL_DB`."""
    option = click.option(
        "--db",
        metavar="PATH|URL",
        expose_value=False,
        callback=_keep_database,
        help="Database: a SQLite file, or postgresql+psycopg://USER@HOST/NAME."
        " [default: SEATPOOL_DB, else in your data directory]",
    )
    return option(command)


def database() -> str:
    """What the person named; empty for the default."""
    named: str | None = click.get_current_context().meta.get(DATABASE_KEY)
    return named if named is not None else os.environ.get("SEATPOOL_DB", "")


@contextmanager
def open_store() -> Iterator[Store]:
    """The pool's database for the length of a command."""
    missing = _missing()
    store = Store.open(database())
    try:
        if missing is not None:
            click.echo(f"there was no database {printable(missing)}: an empty one was made", err=True)
        yield store
    finally:
        store.close()


def _missing() -> str | None:
    """The file that `--db` names, where there is none yet: as a rule it is another one that was meant."""
    if not click.get_current_context().meta.get(DATABASE_KEY):
        return None
    place = located(database())
    return place if Path(place).is_absolute() and not Path(place).exists() else None


@contextmanager
def ending_cleanly(saved: Callable[[], Sequence[str]]) -> Iterator[None]:
    """Ctrl-C, and a failure of the store in the middle: one line, which tells what was stored until then."""
    try:
        yield
    except (KeyboardInterrupt, click.Abort):
        names = ", ".join(saved())
        click.echo(f"\nEnded; stored before that: {names}" if names else "\nEnded; nothing was changed.", err=True)
        click.get_current_context().exit(INTERRUPTED)
    except StoreError as error:
        names = ", ".join(saved())
        raise click.ClickException(f"{error}; stored before that: {names}" if names else str(error)) from error


def console() -> Console:
    """Where tables go. Colours, and lines folded at its width, only on a terminal: `grep` is to find whole lines."""
    return _Screen(highlight=False, soft_wrap=False, width=_width())


class Whole(click.IntRange):
    """Of what is none click would say that it is "not a valid integer range"."""

    name = "whole number"


class _Screen(Console):
    """Does nothing that a text asks of a terminal: a database may be shared, and upstreams name what is in it."""

    @override
    def render_str(self, text: str, **more: Any) -> Text:
        return super().render_str(printable_lines(text), **more)


def folding(*heads: str) -> Table:
    """Rows for a person. What is longer than its column goes on below: nothing is cut off."""
    found = Table(box=None)
    for head in heads:
        found.add_column(head, overflow="fold")
    return found


def printable(text: str) -> str:
    """What a program or somebody else has named so, with nothing in it that a terminal would do."""
    return "".join(c if c.isprintable() else "?" for c in text)


def printable_lines(text: str) -> str:
    """The same of several lines."""
    return "\n".join(map(printable, text.split("\n")))


def _width() -> int:
    told = os.environ.get("COLUMNS", "")
    if told.isdecimal() and int(told) >= NARROWEST:
        return int(told)
    if not sys.stdout.isatty():
        return UNFOLDED
    try:
        return max(NARROWEST, os.get_terminal_size(sys.stdout.fileno()).columns or USUAL)
    except OSError:
        return USUAL


def confirmed(question: str, otherwise: str) -> bool:
    """What a person answers, or what is piped in. Where there is neither it ends, and says what to do `otherwise`."""
    try:
        return click.confirm(question)
    except click.Abort:
        if sys.stdin.isatty():
            raise
        click.echo(f"\nnothing was changed: {otherwise}", err=True)
        click.get_current_context().exit(UNASKED)


def _settings() -> Iterator[tuple[str, str]]:
    """Variables that say something to seatpool alone, as they are said."""
    return ((f"{name}=", value) for name, value in os.environ.items() if name.startswith("SEATPOOL_"))


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # the bytes that Python could not decode stand in it as lone surrogates
        return False
    return True


def _bytes(text: str) -> str:
    """As a shell takes it in $'...', on one line and without a password."""
    return hidden(ascii(os.fsencode(text)).removeprefix("b"))


def is_plain(console: Console) -> bool:
    """Whether it shows no more than letters: bars are made of other characters then."""
    return console.encoding not in ("utf-8", "utf8")


@contextmanager
def _printably() -> Iterator[None]:
    """Errors quote what was typed, what a shared database holds, and what others' servers say."""
    try:
        yield
    except click.ClickException as error:
        error.message = printable_lines(error.message)  # type: ignore[misc] # which click calls final
        raise


@contextmanager
def _plainly() -> Iterator[None]:
    try:
        yield
    except (StoreError, NotALogin) as error:
        raise click.ClickException(str(error)) from error
    except BrokenPipeError:
        raise  # whoever reads has read enough
    except RuntimeError as error:
        if (told := homes.told(error)) is None:
            raise
        raise click.ClickException(told) from error
    except OSError as error:
        raise _plain(error) from error


def _plain(error: OSError) -> click.ClickException:
    """What could not be read or written, and why. That it was the output the error itself does not tell."""
    full = streams.let_go()
    if full is not None:
        return click.ClickException(f"standard output: {full}")
    where = f"{error.filename}: " if error.filename else ""
    return click.ClickException(f"{where}{error.strerror or error}")


class PlainGroup(click.Group):
    """A group whose commands end in one plain line when something is wrong, never in a traceback."""

    def main(self, *args: Any, **more: Any) -> Any:
        """As a program."""
        streams.settle()
        try:
            return super().main(*args, **more)
        except BrokenPipeError:
            raise
        except OSError as error:  # of `--help` and `--version`, which are answered before anything is invoked
            _plain(error).show()
            sys.exit(1)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse what neither the database nor a unit of systemd can hold, before anything is done."""
        for name, text in (*(("", each) for each in args), *_settings()):
            if not _is_text(text):
                raise click.UsageError(NO_TEXT.format(f"{name}{_bytes(text)}"))
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with _printably(), _plainly():
            return super().invoke(ctx)
