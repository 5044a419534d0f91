"""`seatpool doctor`: what is wrong on this machine, and the commands that mend it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import click
import msgspec
from rich.console import Console

import seatpool
from seatpool.cli.ca.ca import pool_names
from seatpool.cli.common import INTERRUPTED, database, with_database
from seatpool.cli.doctor.checks import pool_checks, usable
from seatpool.clock import utcnow
from seatpool.providers.registry import OWN_HOST, certified_names, is_stranger
from seatpool.setup import address, shell
from seatpool.setup.authority import Authority, default_folder
from seatpool.setup.code import PACKAGE
from seatpool.setup.doctor import CHECKS, Check, Level, Mend, Situation
from seatpool.setup.doctor.asking import Proxy
from seatpool.setup.doctor.running import Result, run
from seatpool.setup.doctor.situation import Once
from seatpool.setup.doctor.words import WORDS, explained
from seatpool.setup.editors import Person, default_wish, targets
from seatpool.setup.hints import typed_as
from seatpool.store import StoreError

NAMES = (*(check.name for check in CHECKS), *(check.name for check in pool_checks("")))
EXAMPLES = ("chatgpt.com", "api.githubcopilot.com", "api.individual.githubcopilot.com", "api.github.com")
"""Hosts that a client of either provider asks for, for what is said of hosts in variables."""
TRUST_CHECKS = ("authority", "trust", "authority-in-use", "https", "distrust")
"""Where something is wrong with these, programs say what `WORDS` explains."""
COLOURS = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "red"}
PATIENCE_S = 1.0
"""For so long nothing has to be said of what is waited for."""


class Report(msgspec.Struct, frozen=True):
    """What `--json` prints; README.md describes it."""

    version: str
    proxy: str
    worst: Level
    findings: tuple["Row", ...]
    mended: tuple["Mended", ...]


class Row(msgspec.Struct, frozen=True):
    """One finding."""

    check: str
    level: Level
    text: str
    mend: str | None
    fixable: bool


class Mended(msgspec.Struct, frozen=True):
    """One command that `--fix` has run."""

    command: str
    exit_code: int


def _address(_ctx: click.Context, _param: click.Parameter, value: str | None) -> address.Address | None:
    named = value or _of_this_shell()
    try:
        return address.parse(named) if named else None
    except address.NoProxy as error:
        raise click.BadParameter(str(error)) from None


def _found() -> address.Address:
    """Where a proxy of ours answers: at the usual port, or where a program's settings lead; else the usual one."""
    usual = address.parse(address.proxy_url())
    if Proxy(usual, OWN_HOST).about().told is not None:
        return usual
    person, wish = Person(), default_wish(usual.url)
    named = {each.proxy for target in targets() for each in target.findings(person, wish) if each.proxy}
    for url in sorted(filter(address.is_here, named)):
        with suppress(address.NoProxy):
            there = address.parse(url)
            if Proxy(there, OWN_HOST).about().told is not None:
                return there
    return usual


def _of_this_shell() -> str | None:
    """Where the shell's programs go, if that is on this machine."""
    value = Person().environ.get("HTTPS_PROXY", "")
    return value if address.is_here(value) else None


@click.command()
@click.option("--fix", is_flag=True, help="Run the commands that mend without taking anything away; asks before.")
@click.option("--yes", is_flag=True, help="With --fix: do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--proxy",
    "at",
    metavar="URL",
    callback=_address,
    help=f"Where the proxy listens. [default: HTTPS_PROXY where that is on this machine, else {address.proxy_url()}, "
    "or where your programs' settings lead and seatpool answers]",
)
@click.option("--only", multiple=True, metavar="CHECK", type=click.Choice(NAMES), help=f"One of {', '.join(NAMES)}.")
@click.option(
    "--explain", metavar="WORDS", help="What a program means that says so; of an empty text, all that is known."
)
@with_database
def doctor(
    fix: bool, yes: bool, as_json: bool, at: address.Address | None, only: tuple[str, ...], explain: str | None
) -> None:
    """Look at everything that a request depends on, and say what mends it. Exit code 1: there is a problem.

    Nothing is changed without --fix, and no credential is used.

    \b
    seatpool doctor
    seatpool doctor --fix
    seatpool doctor --only https --only websocket
    seatpool doctor --json | jq -r '.findings[] | select(.level == "problem") | .mend'
    seatpool doctor --explain "workspace routing discovery failed"
    """
    if explain is not None:
        _explain(explain)
        return
    if yes and not fix:
        raise click.UsageError("--yes is for --fix")
    if fix and as_json and not yes:
        raise click.UsageError("--json cannot ask: add --yes")
    chosen = [check for check in (*CHECKS, *pool_checks(database())) if not only or check.name in only]
    at = at or _found()
    look = _looking(chosen, at, as_json=as_json)
    try:
        results = look()
        mended: tuple[Mended, ...] = ()
        if fix and (mends := _safe(results)) and _agreed(mends, yes=yes, quiet=as_json):
            mended = tuple(_carry_out(mend, quiet=as_json) for mend in mends)
            results = look()
    except KeyboardInterrupt:
        click.echo("\nEnded.", err=True)
        click.get_current_context().exit(INTERRUPTED)
    report = _report(results, mended, at)
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(report), indent=2))
    else:
        _sum_up(report)
    click.get_current_context().exit(1 if report.worst is Level.PROBLEM else 0)


# -- looking


def _looking(checks: Sequence[Check], at: address.Address, *, as_json: bool) -> Callable[[], list[Result]]:
    def look() -> list[Result]:
        found = []
        with _progress() as waiting:
            for result in run(checks, _situation(at), waiting):
                found.append(result)
                if not as_json:
                    _show(result)
        return found

    return look


def _situation(at: address.Address) -> Situation:
    return Situation(
        now=utcnow(),
        address=at,
        wish=default_wish(at.url),
        own_host=OWN_HOST,
        examples=EXAMPLES,
        names=_names(),
        authority=Authority(default_folder()),
        is_stranger=is_stranger,
        about=Once(Proxy(at, OWN_HOST).about),
    )


def _names() -> tuple[str, ...]:
    """What the authority has to be for. A database that is not there stays so."""
    try:
        return pool_names() if usable(database()) else certified_names(())
    except StoreError:
        return certified_names(())


@contextmanager
def _progress() -> Iterator[Callable[[Sequence[str], float], None]]:
    """Says on a terminal what is waited for, once that takes longer than a moment."""
    console = Console(stderr=True)
    with console.status("") if console.is_terminal else _nothing() as status:

        def waiting(names: Sequence[str], for_s: float) -> None:
            if status is not None and for_s >= PATIENCE_S:
                status.update(f"waiting for {', '.join(names)} ({for_s:.0f} s)")

        yield waiting


@contextmanager
def _nothing() -> Iterator[None]:
    yield None


# -- telling


def _show(result: Result) -> None:
    for each in result.findings:
        level = click.style(f"{each.level:<8}", fg=COLOURS[each.level])
        click.echo(f"{level} {result.check:<17} {each.text}")
        if each.mend is not None:
            click.echo(f"{'':<8} {'':<17} {'mend:' if each.mend.argv else 'to do:'} {each.mend.command}")


def _report(results: Sequence[Result], mended: tuple[Mended, ...], at: address.Address) -> Report:
    rows = [
        Row(r.check, f.level, f.text, f.mend.command if f.mend else None, bool(f.mend and f.mend.argv))
        for r in results
        for f in r.findings
    ]
    order = (Level.PROBLEM, Level.WARNING, Level.OK)
    worst = next((level for level in order if any(row.level is level for row in rows)), Level.OK)
    return Report(seatpool.__version__, address.shown(at.url), worst, tuple(rows), mended)


def _sum_up(report: Report) -> None:
    counts = {level: sum(row.level is level for row in report.findings) for level in Level}
    if any(row.level is not Level.OK and row.check in TRUST_CHECKS for row in report.findings):
        click.echo(
            "\nWhat programs say that do not trust the authority, and what it means: seatpool doctor --explain ''"
        )
    if any("seatpool " in (row.mend or "") for row in report.findings) and (typed := typed_as()) is not None:
        click.echo(f"\n{typed}")
    fixable = sum(row.fixable and row.level is not Level.OK for row in report.findings)
    more = f"; {fixable} can be mended by: seatpool doctor --fix" if fixable else ""
    told = ", ".join(f"{count} {_plural(level, count)}" for level, count in counts.items() if level is not Level.OK)
    click.echo(f"\n{counts[Level.OK]} in order, {told}{more}")


def _plural(level: Level, count: int) -> str:
    return level.value if count == 1 else f"{level.value}s"


def _explain(text: str) -> None:
    found = explained(text) if text.strip() else WORDS
    if not found:
        raise click.ClickException("nothing is known of these words; `seatpool doctor --explain ''` shows what is")
    for each in found:
        click.echo(f'{each.program}: "{each.said}"\n  {each.means}')


# -- mending


def _safe(results: Sequence[Result]) -> list[Mend]:
    """In the order in which they were found: what comes later may need what comes before."""
    mends = [f.mend for r in results for f in r.findings if f.level is not Level.OK and f.mend and f.mend.argv]
    return list(dict.fromkeys(mends))


def _agreed(mends: Sequence[Mend], *, yes: bool, quiet: bool) -> bool:
    if not quiet:
        click.echo("\nThis mends what can be mended without taking anything away:")
        for mend in mends:
            click.echo(f"  {mend.command}")
    if yes:
        return True
    if not sys.stdin.isatty():
        click.echo("nothing was changed: add --yes to run these commands, or run them yourself", err=True)
        click.get_current_context().exit(2)
    try:
        return click.confirm("Run these?")
    except click.Abort:
        click.echo("\nEnded; nothing was changed.", err=True)
        click.get_current_context().exit(INTERRUPTED)


def _carry_out(mend: Mend, *, quiet: bool) -> Mended:
    program, *rest = mend.argv
    argv = [sys.executable, "-P", "-m", "seatpool.cli", *rest] if program == "seatpool" else list(mend.argv)
    if not quiet:
        click.echo(f"$ {shell.here().join(mend.argv)}")
        sys.stdout.flush()
    try:
        ran = subprocess.run(  # noqa: S603 # agreed to
            argv, check=False, stdout=subprocess.PIPE if quiet else None, text=True, env=_environment()
        )
    except OSError as error:
        click.echo(f"{program}: {error.strerror or error}", err=True)
        return Mended(mend.command, 127)
    click.echo(ran.stdout or "", err=True, nl=False)  # who reads JSON is told nothing else
    return Mended(mend.command, ran.returncode)


def _environment() -> dict[str, str]:
    """For commands of ours: this database, and this package where it is not installed."""
    path = os.pathsep.join(filter(None, (str(PACKAGE.parent), os.environ.get("PYTHONPATH"))))
    named = {"SEATPOOL_DB": database()} if database() else {}
    return {**os.environ, **named, "PYTHONPATH": path}
