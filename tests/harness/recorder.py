"""`seatpool record` beside a running proxy, ended by Ctrl-C."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from click.testing import CliRunner, Result

from seatpool.cli.main import main
from tests.harness.mitmdump import Mitmdump
from tests.harness.namespace import REPOSITORY

RECORDED = "action=recorded file="


class Recorded:
    """What the program said; set when the block is over."""

    out = ""
    err = ""
    code: int | None = None


def environment(proxy: Mitmdump) -> dict[str, str]:
    """That of a person whose proxy this is."""
    return {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY / "addon"),
        "PYTHONUNBUFFERED": "1",
        "XDG_DATA_HOME": str(proxy.folder / "data"),
    }


@contextmanager
def recording(proxy: Mitmdump, out: Path, *arguments: str) -> Iterator[Recorded]:
    """Record what the proxy carries inside the block."""
    since = len(proxy.log)
    command = [sys.executable, "-m", "seatpool.cli", "record", "--out", str(out), *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, env=environment(proxy), text=True, start_new_session=True, **pipes)
    said = Recorded()
    try:
        proxy.wait_log("action=record file=", since=since)
        yield said
        process.send_signal(signal.SIGINT)
        said.out, said.err = process.communicate(timeout=20)
        said.code = process.returncode
        proxy.wait_log(RECORDED, since=since)
    finally:
        process.kill()
        process.communicate()


def seatpool(proxy: Mitmdump, *arguments: str | Path) -> Result:
    """One command to its end, in this process."""
    return CliRunner().invoke(main, ["record", *map(str, arguments)], env=environment(proxy))
