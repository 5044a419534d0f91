"""`seatpool record`: flows of pooled hosts with everything of a person's replaced; and what such a file is good for."""

import json
import os
import re
import secrets
import time
from pathlib import Path
from urllib.parse import urlencode

import click

from seatpool import inplace
from seatpool.cli.common import INTERRUPTED, printable, with_database
from seatpool.clock import utcnow
from seatpool.providers.recording.fixtures import TOLD, fixtures
from seatpool.providers.recording.flows import Flow, NotARecording, read
from seatpool.providers.recording.known import news
from seatpool.providers.registry import provider_of
from seatpool.setup import recording as wishes

KEY_BYTES = 32
SOMETHING_NEW = 3
"""Exit code of `--check`."""
EVERY_S = 0.25
SETTLES_S = 3 * wishes.LOOK_EVERY_S
"""Until every proxy has noticed, and written what it had."""
_UNITS = {"s": 1, "min": 60, "m": 60, "h": 3600}
_LENGTH = re.compile(r"(\d{1,5})\s*(s|min|m|h)")


def _length(_ctx: click.Context, _param: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    found = _LENGTH.fullmatch(value.strip())
    if found is None or not int(found[1]):
        raise click.BadParameter(f"{value!r} is no length of time: say 30s, 10min or 2h")
    return int(found[1]) * _UNITS[found[2]]


def _hosts(_ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    for host in value:
        if provider_of(host) is None:
            raise click.BadParameter(f"{host!r} is no host that the pool serves, such as chatgpt.com")
    return tuple(host.lower() for host in value)


@click.command()
@click.argument(
    "source", required=False, metavar="[FILE]", type=click.Path(path_type=Path, exists=True, dir_okay=False)
)
@click.option(
    "--out", metavar="FILE", type=click.Path(path_type=Path), help="Where to; one that is there is not touched."
)
@click.option("--for", "length_s", metavar="DURATION", callback=_length, help="End by itself: 30s, 10min, 2h.")
@click.option("--host", "hosts", multiple=True, metavar="HOST", callback=_hosts, help="Only flows of this host.")
@click.option("--check", is_flag=True, help="Say what in FILE this version does not know; 3 where there is anything.")
@click.option("--fixture", "folder", metavar="DIR", type=click.Path(path_type=Path), help="Make fixtures of FILE.")
@click.option("--json", "as_json", is_flag=True, help="With --check: print JSON.")
@with_database
def record(
    source: Path | None,
    out: Path | None,
    length_s: float | None,
    hosts: tuple[str, ...],
    check: bool,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Record the flows of pooled hosts that your running proxies carry, without anything of yours in them.

    Credentials, prompts, answers, paths, addresses and ids are replaced before anything is written. It goes on until
    Ctrl-C; what such a file has that this version does not know is told by --check.

    \b
    seatpool record
    seatpool record --out codex-next.jsonl --for 10min --host chatgpt.com
    seatpool record --check codex-next.jsonl
    seatpool record --fixture tests/fixtures/next codex-next.jsonl
    """
    if source is not None or check or folder is not None:
        if source is None or check is (folder is not None) or out or length_s or hosts or (as_json and not check):
            raise click.UsageError("with a FILE say either --check or --fixture DIR, and nothing of recording")
        flows = _flows(source, source.read_bytes())
        if check:
            _tell_news(flows, as_json=as_json)
        else:
            assert folder is not None
            _make_fixtures(flows, folder)
        return
    if as_json:
        raise click.UsageError("--json goes with --check")
    _record(out or Path(f"seatpool-{utcnow():%Y%m%d-%H%M%S}.jsonl"), length_s, hosts)


# -- recording


def _record(out: Path, length_s: float | None, hosts: tuple[str, ...]) -> None:
    file = wishes.wish_file()
    if wishes.fresh(file):
        raise click.ClickException("another `seatpool record` goes on; end that first")
    out = out.absolute()
    try:
        os.close(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        raise click.ClickException(f"{out} is there already; name another with --out") from None
    wish = wishes.Wish(str(out), secrets.token_bytes(KEY_BYTES), hosts, time.time())
    interrupted, shown = False, Shown(out)
    try:
        wishes.put(file, wish)
    except OSError:
        out.unlink()
        raise
    try:
        click.echo(f"recording into {out}; Ctrl-C ends it", err=True)
        until = time.monotonic() + length_s if length_s is not None else None
        while until is None or time.monotonic() < until:
            time.sleep(EVERY_S)
            wishes.freshen(file)
            shown.go_on()
    except KeyboardInterrupt:
        interrupted = True
    finally:
        _settle(file, wish)
    shown.go_on()
    click.echo(f"{shown.count} flow{'s' if shown.count != 1 else ''} in {out}", err=True)
    if not shown.count:
        click.echo(
            "No proxy of yours has carried any: does `seatpool run` go on, and do clients go through it?", err=True
        )
    if interrupted:
        click.get_current_context().exit(INTERRUPTED)


class Shown:
    """Tells of each flow once, in a line."""

    def __init__(self, out: Path) -> None:
        self.count = 0
        self._out = out
        self._place = 0

    def go_on(self) -> None:
        """Of those that were added since."""
        with self._out.open("rb") as recording:
            recording.seek(self._place)
            added = recording.read()
        for line in added[: added.rfind(b"\n") + 1].splitlines(keepends=True):
            for flow in _flows(self._out, line):
                click.echo(_line(flow))
                self.count += 1
            self._place += len(line)  # not before: Ctrl-C may come amid this, and the rest is told after it


def _settle(file: Path, wish: wishes.Wish) -> None:
    """Have the proxies write what they hold, and throw the key away."""
    try:
        wishes.put(file, wishes.Wish(wish.file, wish.key, wish.hosts, wish.began, ending=True))
        time.sleep(SETTLES_S)
    except KeyboardInterrupt:
        pass
    finally:
        file.unlink(missing_ok=True)


def _line(flow: Flow) -> str:
    at = f"{int(flow.at_s // 60):3d}:{flow.at_s % 60:04.1f}"
    statuses = "+".join(str(answer.status) for answer in flow.answers) or "-"
    query = f"?{urlencode(flow.request.query)}" if flow.request.query else ""
    held = f"  {len(flow.messages)} messages" if flow.messages else ""
    request = flow.request
    return f"{at}  {statuses:<7} {flow.outcome:<5} {request.method} {request.host}{request.path}{query}{held}"


# -- what a file is good for


def _flows(source: Path, content: bytes) -> list[Flow]:
    try:
        return list(read(content.split(b"\n")))
    except NotARecording as error:
        raise click.ClickException(f"{source}: {error}") from error


def _tell_news(flows: list[Flow], *, as_json: bool) -> None:
    found = news(flows)
    rows = [{"kind": n.kind, "name": n.name, "where": n.where, "flows": count} for n, count in found.items()]
    if as_json:
        click.echo(json.dumps({"flows": len(flows), "new": rows}, indent=2))
    else:
        for row in rows:
            told = printable(f"{row['kind']}: {row['name']} ({row['where']}")
            click.echo(f"new {told}; {row['flows']} of {len(flows)} flows)")
        if not rows:
            click.echo(f"nothing new in {len(flows)} flow{'s' if len(flows) != 1 else ''}")
    if rows:
        click.get_current_context().exit(SOMETHING_NEW)


def _make_fixtures(flows: list[Flow], folder: Path) -> None:
    made = fixtures(flows)
    if not made:
        raise click.ClickException("no flow in it has an answer that tests could read")
    folder.mkdir(parents=True, exist_ok=True)
    there = [name for name in (TOLD, *(each.name for each in made)) if (folder / name).exists()]
    if there:
        raise click.ClickException(f"{folder} has {there[0]} already; name another folder")
    for each in made:
        with inplace.named(folder / each.name):
            (folder / each.name).write_bytes(each.content)
        click.echo(f"{each.name}: {each.told['outcome']}")
    told = {each.name: each.told for each in made}
    with inplace.named(folder / TOLD):
        (folder / TOLD).write_text(json.dumps(told, indent=2) + "\n")
