"""What `./scripts/newcomer` runs and writes down: from `git clone` to a pooled `codex exec`, in a home of its own.

The clone and its packages come in the ordinary way; all that follows happens in a namespace in which chatgpt.com is
the tests' fake upstream. Two things stand in for what a newcomer has: logins of two accounts, and a Codex that is
signed in. The proxy is told one thing that it need not know otherwise: who vouches for the pretended chatgpt.com.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec

from tests.clients.npm import NoClients, install, path_with_clients
from tests.harness.namespace import Lab, why_no_namespaces
from tests.upstream import codex_login

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
BEGINS, ENDS = "<!-- ./scripts/newcomer --write -->", "<!-- its end -->"
AT_MOST_S = 120
_LINES = 14
"""Of what one command says that are shown."""
_WIDTH = 116
_TYPING_S = 1.0
"""Nobody types faster, and what came of a request is on the disk by then."""
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_ACCOUNTS = {"you": {"provider": "codex"}, "alice": {"provider": "codex"}, "bob": {"provider": "codex"}}


class Step(msgspec.Struct, frozen=True):
    """One line that is typed."""

    line: str
    inside: bool = True
    """In the namespace."""
    stays: str = ""
    """What it says once it does what it is for; such a program goes on while the next ones run."""


STEPS = (
    Step("git clone -q seatpool.git seatpool && cd seatpool", inside=False),
    Step("./scripts/seatpool account import ~/logins/alice ~/logins/bob --own --yes", inside=False),
    Step("./scripts/seatpool ca create"),
    Step("./scripts/seatpool setup codex --yes"),
    Step("./scripts/run -- --set ssl_verify_upstream_trusted_ca=$HOME/upstream-ca.pem &", stays="listening at"),
    Step('codex exec --skip-git-repo-check "say hi" 2>/dev/null'),
    Step("./scripts/seatpool why"),
    Step("./scripts/seatpool status"),
)


class Failed(Exception):
    """The text says which line, and what came of it."""


def main() -> int:
    """Show it; with `--write` put it into the README. 0 when it went as it should."""
    parser = argparse.ArgumentParser(prog="./scripts/newcomer", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="put it into README.md")
    wanted = parser.parse_args()
    if (reason := why_no_namespaces()) is not None:
        print(f"this needs namespaces: {reason}", file=sys.stderr)
        return 1
    try:
        install()
        text, took = transcript()
    except (NoClients, Failed) as error:
        print(error, file=sys.stderr)
        return 1
    print(text)
    if took > AT_MOST_S:
        print(f"that is more than {AT_MOST_S} s", file=sys.stderr)
        return 1
    if wanted.write:
        README.write_text(in_step(README.read_text(), text))
    return 0


def in_step(readme: str, text: str) -> str:
    """The README with this between its marks."""
    before, rest = readme.split(BEGINS)
    _, after = rest.split(ENDS)
    return f"{before}{BEGINS}\n{text}\n{ENDS}{after}"


def shown(readme: str) -> str:
    """What stands between the marks."""
    return readme.split(BEGINS)[1].split(ENDS)[0]


def transcript() -> tuple[str, float]:
    """All of it, and the seconds that it took."""
    lines: list[str] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="seatpool-newcomer-"))).resolve()
        home = folder / "home"
        lab = stack.enter_context(Lab(folder / "lab"))
        furnish(home, lab)
        since = time.monotonic()
        for step in STEPS:
            time.sleep(_TYPING_S)
            try:
                lines += [f"$ {step.line}", *said(run(step, home, lab), home)]
            except Failed as error:
                raise Failed("\n".join([*lines, str(error)])) from None
        took = time.monotonic() - since
    lines = [line for line in lines if line]
    told = f"Run by `./scripts/newcomer` with two pretended accounts and a pretended chatgpt.com: {took:.0f} seconds."
    return "\n".join([told, "", "```console", *lines, "```"]), took


def furnish(home: Path, lab: Lab) -> None:
    """What the newcomer has before: the repository's address, a Codex that is signed in, and two logins."""
    home.mkdir()
    subprocess.run(["git", "clone", "-q", "--bare", ROOT, home / "seatpool.git"], check=True, capture_output=True)
    codex_login(home / ".codex", "you")
    for name in ("alice", "bob"):
        codex_login(home / "logins" / name, name)
    fakes = lab.upstream({"accounts": _ACCOUNTS})
    (home / "upstream-ca.pem").write_bytes(fakes.ca.read_bytes())


def run(step: Step, home: Path, lab: Lab) -> str:
    """What it said. Raises `Failed`."""
    clone = home / "seatpool"
    folder = clone if clone.exists() else home
    environ = {"HOME": str(home), "PATH": path_with_clients(), "SEATPOOL_KEYRING": "off", "TZ": "UTC", "COLUMNS": "110"}
    environ |= {f"XDG_{kind}_HOME": str(home / f".{kind.lower()}") for kind in ("CONFIG", "STATE", "CACHE")}
    environ |= {"XDG_DATA_HOME": "", "PYTHONPATH": "", "NO_COLOR": "1"}
    if step.stays:
        return started(step, lab, environ, folder)
    if step.inside:
        ran = lab.run(["bash", "-c", step.line], env=environ, cwd=folder, timeout_s=AT_MOST_S, stdin="")
    else:
        pipes = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True}
        kept = {**os.environ, **environ, "HOME": str(home)}  # how packages are come by is this machine's business
        ran = subprocess.run(["bash", "-c", step.line], env=kept, cwd=folder, timeout=AT_MOST_S, check=False, **pipes)
    if ran.returncode != 0:
        raise Failed(f"$ {step.line}\nexit code {ran.returncode}\n{ran.stdout}{ran.stderr}")
    return ran.stderr + ran.stdout


def started(step: Step, lab: Lab, environ: dict[str, str], folder: Path) -> str:
    """A program that stays; what it said until it did what it is for."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    line = step.line.removesuffix("&").strip()
    process = lab.popen(["bash", "-c", f"exec {line}"], env={**environ, "PYTHONUNBUFFERED": "1"}, cwd=folder, **pipes)
    heard = []
    assert process.stdout is not None
    for text in process.stdout:
        heard.append(text)
        if step.stays in text:
            threading.Thread(target=process.stdout.read, daemon=True).start()  # it goes on talking, to nobody
            return "".join(heard)
    raise Failed(f"$ {step.line}\n{''.join(heard)}")


def said(text: str, home: Path) -> Iterator[str]:
    """As it is shown: without colours, with `~`, and not longer than anybody reads."""
    lines = [_COLOURS.sub("", line).rstrip() for line in text.replace(str(home), "~").splitlines()]
    lines = [
        line if len(line) <= _WIDTH else f"{line[:_WIDTH]}..."
        for line in lines
        if line.strip() and not line.startswith("WARNING: Location")
    ]
    yield from lines[:_LINES]
    if len(lines) > _LINES:
        yield "..."


if __name__ == "__main__":
    sys.exit(main())
