"""`seatpool service`: the proxy is started with the person's session, and again when it fails."""

import json
import os
import socket
import time

import click

from seatpool.cli import commands, handed_on
from seatpool.cli.common import PlainGroup, database, with_database
from seatpool.cli.run import PORT_OPTION
from seatpool.setup import address, shell, staying
from seatpool.setup.staying import Job, Keeper, Machine, NoKeeper, Record, Unfit
from seatpool.setup.staying import record as records
from seatpool.setup.staying.keepers import STRICT, Command
from seatpool.store import located

SEE = "seatpool service status"
_NOT_RUNNING = 3
"""The exit code of `status`, as systemctl has it."""
_PATIENCE_S = 20
"""For a start of the proxy on a slow machine."""


@click.group(cls=PlainGroup)
def service() -> None:
    """Keep the proxy running: systemd (as your own user), launchd or Task Scheduler starts it with your session.

    \b
    seatpool service install
    seatpool service status
    seatpool service remove
    """


def _address(_ctx: click.Context, _param: click.Parameter, value: str | None) -> address.Address | None:
    try:
        return address.parse(value) if value else None
    except address.NoProxy as error:
        raise click.BadParameter(str(error)) from None


@service.command(context_settings={"ignore_unknown_options": True})
@PORT_OPTION
@click.option(
    "--proxy",
    metavar="URL",
    callback=_address,
    help="Where it listens, as `seatpool setup --proxy` is told it; instead of --port.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be written and run, and do nothing.")
@click.argument("mitmdump_arguments", nargs=-1, type=click.UNPROCESSED)
@with_database
def install(port: int, proxy: address.Address | None, dry_run: bool, mitmdump_arguments: tuple[str, ...]) -> None:
    """Have `seatpool run` started now, with each session, and again when it fails; MITMDUMP_ARGUMENTS are handed on.

    Again, with other arguments: those count from then on.

    \b
    seatpool service install
    seatpool service install --port 8081 -- --set pool_strategy=drain
    seatpool service install --dry-run
    """
    keeper = _keeper()
    if database():
        located(database())  # what names none, or has a password in it, is told before anything is written
    try:
        where = _where(port, proxy, handed_on.read(mitmdump_arguments))
        job = staying.make(where, database(), mitmdump_arguments, os.environ)
    except Unfit as error:
        raise click.ClickException(str(error)) from None
    content = keeper.content(job)
    if dry_run:
        _show(keeper, content)
        return
    if keeper.lacking:
        raise click.ClickException(f"{keeper.lacking}; nothing was changed")
    before = keeper.state()
    record = records.read(records.default_file())
    present = keeper.file.read_bytes() if keeper.file.exists() else None
    if present == content and before.running and before.starts:
        click.echo(f"it is installed and running already: {job.proxy}")
        return
    if _answers(where) and not (before.running and record and address.same(record.proxy, job.proxy)):
        raise click.ClickException(
            f"something listens on {job.proxy} already: end it (a `seatpool run`?), or name another port with --port"
        )
    _put(keeper, job, content, present, record)
    _wait(where, keeper)
    click.echo(f"{keeper.title} keeps seatpool running: {job.proxy}, by {keeper.file}")
    for line in keeper.advice(job):
        click.echo(f"  {line}")


def _where(port: int, proxy: address.Address | None, told: handed_on.HandedOn) -> address.Address:
    """Raises `Unfit` where one is told two ports."""
    if proxy is None:
        return address.parse(told.url(port))
    if told.port not in (None, proxy.port):
        raise Unfit(f"--proxy says port {proxy.port}, and what is handed on to mitmdump {told.port}; say one of them")
    return proxy


def _show(keeper: Keeper, content: bytes) -> None:
    text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8")
    click.echo(f"would write {keeper.file}:\n")
    click.echo("".join(f"  {line}\n" for line in text.splitlines()))
    click.echo("would run:\n")
    for command in keeper.begin():
        click.echo(f"  {shell.here().join(command)}")


def _put(keeper: Keeper, job: Job, content: bytes, present: bytes | None, former: Record | None) -> None:
    """The file and what makes it count; as it was before, where that fails."""
    folders = records.put(keeper.file, content)
    kept = Record(str(keeper.file), job.command, job.proxy, former.folders if former and not folders else folders)
    records.write(records.default_file(), kept)
    try:
        for command in keeper.begin():
            _carry_out(keeper, command)
    except click.ClickException:
        if present is not None and former is not None:
            records.put(keeper.file, present)
            records.write(records.default_file(), former)
        else:
            _clear(keeper)
        raise


def _wait(where: address.Address, keeper: Keeper) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not _answers(where):
        if time.monotonic() > deadline:
            raise click.ClickException(
                f"it was installed, but does not listen on {where.url} ({keeper.state().detail}); see: {SEE}"
            )
        time.sleep(0.1)


@service.command()
@click.option("--dry-run", is_flag=True, help="Show what would be run and deleted, and do nothing.")
def remove(dry_run: bool) -> None:
    """End the proxy, and have it started no more. Accounts and settings stay.

    \b
    seatpool service remove
    """
    keeper = _keeper()
    lines = removal(keeper)
    if not lines:
        click.echo("there is no service of seatpool's")
        return
    if dry_run:
        click.echo("\n".join(("would:", *(f"  {line}" for line in lines))))
        return
    take_back(keeper)
    click.echo("removed; editors that were set up need `seatpool run` now, or: seatpool setup --undo")


@service.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(as_json: bool) -> None:
    """Tell whether it is installed, runs and listens; the exit code is 0 if it does, 3 otherwise.

    \b
    seatpool service status
    seatpool service status --json | jq -r .proxy
    """
    keeper = _keeper()
    record = records.read(records.default_file())
    state = keeper.state()
    installed = keeper.file.exists()
    listening = bool(record) and installed and _answers(address.parse(record.proxy if record else ""))
    row = {
        "by": keeper.title,
        "installed": installed,
        "file": str(keeper.file),
        "command": list(record.command) if record and installed else None,
        "starts": state.starts,
        "running": state.running,
        "pid": state.pid,
        "detail": state.detail,
        "proxy": record.proxy if record and installed else None,
        "listening": listening,
    }
    if as_json:
        click.echo(json.dumps(row, indent=2))
    elif not installed:
        click.echo("not installed; seatpool service install")
    else:
        click.echo(f"{keeper.title}: {state.detail}" + (f", process {state.pid}" if state.pid else ""))
        click.echo(f"  {'listens' if listening else 'does not listen'} on {row['proxy'] or 'an unknown address'}")
        click.echo(f"  {'starts' if state.starts else 'does not start'} with your session, by {keeper.file}")
        click.echo(f"  runs {shell.here().join(record.command) if record else 'what stands there'}")
    if not (installed and state.running and listening):
        click.get_current_context().exit(_NOT_RUNNING)


def removal(keeper: Keeper) -> list[str]:
    """What taking it back would do, line by line; nothing where there is nothing."""
    if not keeper.file.exists() and not records.default_file().exists():
        return []
    join = shell.here().join
    return [*map(join, keeper.end()), f"delete {keeper.file}", *map(join, keeper.forget())]


def take_back(keeper: Keeper) -> None:
    """End it, and leave nothing of it. Ends with one line where the system refuses."""
    for command in keeper.end() if keeper.file.exists() else ():
        _carry_out(keeper, command)
    _clear(keeper)
    for command in keeper.forget():
        _carry_out(keeper, command)


def _carry_out(keeper: Keeper, command: Command) -> None:
    commands.carry_out(command, see=SEE, quietly=True, leeway=keeper.leeway.get(command[1], STRICT))


def _clear(keeper: Keeper) -> None:
    record = records.read(records.default_file())
    records.take(keeper.file, record.folders if record else ())
    for name in ("service.json", "service.log"):
        records.default_file().with_name(name).unlink(missing_ok=True)


def here() -> Keeper | None:
    """This machine's way of keeping programs running, if it has one."""
    try:
        return staying.keeper(Machine())
    except NoKeeper:
        return None


def _keeper() -> Keeper:
    try:
        return staying.keeper(Machine())
    except NoKeeper as error:
        raise click.ClickException(str(error)) from None


def _answers(where: address.Address) -> bool:
    try:
        socket.create_connection((where.host, where.port), timeout=1).close()
    except OSError:
        return False
    return True
