"""What the commands of `seatpool transparent` do."""

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import click
import msgspec

import seatpool
from seatpool.setup.transparent import TransparentError, holder, state
from seatpool.setup.transparent.backends import BACKENDS, chosen
from seatpool.setup.transparent.holder import Answer, Order
from seatpool.setup.transparent.process import asking
from seatpool.setup.transparent.rules import Rules
from seatpool.setup.transparent.state import Phase, State

_CODES = {Phase.ON: 0, Phase.BROKEN: 1, Phase.OFF: 3}
"""As systemctl's `is-active` has them."""


def switch_on(hosts: Sequence[str], port: int, backend: str | None, arguments: Sequence[str], database: str) -> None:
    """Raises `TransparentError`; then nothing is left of it."""
    _need_root("on")
    env = {"SEATPOOL_DB": database} if database else {}
    order = Order(asking(os.environ), port, tuple(hosts), env, tuple(arguments), backend)
    asked = sha256(msgspec.json.encode(order)).hexdigest()
    with state.alone():
        present = state.read()
        if present is not None and present.asked == asked and _phase(present) is Phase.ON:
            present.holder.signal(signal.SIGHUP)
            click.echo("it is on already; the hosts' names are resolved anew")
            return
        state.end()
        _hold(order)
        present = state.read()
    if present is None:
        raise TransparentError("the proxy has ended at once; `seatpool transparent status` tells more")
    _tell(present, Phase.ON)
    click.echo("they have to trust the certificate authority, as with any other way: seatpool ca trust, certs-howto.md")


def switch_off() -> None:
    """Whatever is there; also what a process has left that was killed."""
    _need_root("off")
    with state.alone():
        click.echo("off; nothing is redirected any more" if state.end() else "it was off; nothing is redirected")


def dry_run(hosts: Sequence[str], port: int, backend: str | None) -> str:
    """The rules that `switch_on` would load."""
    of = BACKENDS[backend]() if backend else chosen()
    return of.text(Rules.of(holder.resolve(hosts), user=asking(os.environ).uid, port=port, ipv6=holder.has_ipv6()))


def show(*, as_json: bool) -> int:
    """Tell, and as root mend; the exit code of what was found."""
    phase = _phase(state.read())
    if phase is Phase.BROKEN and os.geteuid() == 0:
        with state.alone():  # whoever was at work meanwhile may have left it well
            phase = _phase(state.read())
            _report(phase, as_json=as_json, mends=phase is Phase.BROKEN)
            if phase is Phase.BROKEN:
                state.end()
    else:
        _report(phase, as_json=as_json, mends=False)
    return _CODES[phase]


def _report(phase: Phase, *, as_json: bool, mends: bool) -> None:
    present = state.read()
    if as_json:
        click.echo(json.dumps(_row(present, phase, mended=mends), indent=2))
        return
    if present is not None:
        _tell(present, phase)
    elif phase is Phase.BROKEN:
        click.echo("broken: rules are there, and nobody who looks after them")
    else:
        click.echo("off")
    left = state.file_of("log")
    if mends:
        click.echo("all of it is taken out now; nothing is redirected any more")
    elif phase is Phase.BROKEN:
        click.echo(f"to mend it: {_as_root('off')}")
    elif phase is Phase.OFF and left.exists():
        click.echo(f"the proxy has ended by itself; what it said is in {left}")


def _phase(present: State | None) -> Phase:
    there = state.rules_are_there(present)
    if present is None:
        return Phase.BROKEN if there else Phase.OFF
    return Phase.BROKEN if there is False else present.phase


def _hold(order: Order) -> None:
    """Start the process that goes on with it, and wait until it has begun."""
    above = str(Path(seatpool.__file__).parent.parent)
    path = os.pathsep.join(filter(None, (above, os.environ.get("PYTHONPATH"))))
    process = subprocess.Popen(  # our own program
        [sys.executable, "-P", "-m", "seatpool.setup.transparent.holder"],
        env={**os.environ, "PYTHONPATH": path},
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdin is not None and process.stdout is not None
    with process.stdin, process.stdout:
        process.stdin.write(msgspec.json.encode(order))
        process.stdin.close()
        said = process.stdout.read()
    answer = msgspec.json.decode(said, type=Answer) if said else Answer("the process that holds the rules has died")
    process.returncode = 0  # it goes on by itself, and is nobody's to wait for
    if answer.error is not None:
        raise TransparentError(answer.error)


def _tell(present: State, phase: Phase) -> None:
    addresses = f"{len(present.ipv4)} of IPv4 and {len(present.ipv6)} of IPv6"
    click.echo(
        f"{phase}: {present.backend} redirects what programs of {present.user} send to {len(present.hosts)} hosts "
        f"({addresses}), port 443, to the proxy on port {present.port}"
    )
    if phase is Phase.BROKEN:
        for what, process in (("the proxy", present.proxy), ("the process that holds the rules", present.holder)):
            if not process.is_alive:
                click.echo(f"{what} (process {process.pid}) has died")
    else:
        click.echo(f"since {present.since}; proxy: process {present.proxy.pid}, log: {present.log}")


def _row(present: State | None, phase: Phase, *, mended: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"state": phase, "mended": mended, "rules": state.rules_are_there(present)}
    if present is None:
        return row
    told = msgspec.to_builtins(present)
    for hidden in ("asked", "note"):
        del told[hidden]
    for each, process in (("proxy", present.proxy), ("holder", present.holder)):
        told[each] = {"pid": process.pid, "alive": process.is_alive}
    return {**row, **told}


def _need_root(what: str) -> None:
    if os.geteuid() != 0:
        raise TransparentError(f"`transparent {what}` changes the firewall, which takes root: {_as_root(what)}")


def _as_root(what: str) -> str:
    script = Path(seatpool.__file__).parents[2] / "scripts" / "transparent"
    program = [str(script)] if script.exists() else [sys.executable, "-P", "-m", "seatpool.cli", "transparent"]
    return shlex.join(["sudo", *program, what])
