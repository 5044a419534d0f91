"""Whether the proxy listens, whether it is ours, and whether it runs the code that is in the files."""

import platform
from collections.abc import Iterator
from pathlib import Path

import seatpool
from seatpool.setup.address import hidden
from seatpool.setup.code import PACKAGE, stamp
from seatpool.setup.doctor.finding import Finding, problem, theirs, warning, well
from seatpool.setup.doctor.situation import Situation

RESTART = theirs("end it with Ctrl-C, then: seatpool run")


def port(situation: Situation) -> Iterator[Finding]:
    """Who is there."""
    found, address = situation.about(), situation.address
    shown = f"{address.host}:{address.port}"
    if found.told is not None:
        yield well(f"seatpool {found.told['version']} listens on {shown} (process {found.told['pid']})")
    elif found.nobody:
        yield problem(f"nothing listens on {shown}", situation.start)
    elif found.password:
        named = theirs(f"seatpool doctor --proxy http://USER:PASSWORD@{shown}")
        yield problem(f"the proxy on {hidden(address.url)} asks for a password, or for another one", named)
    else:
        holder = _holder(address.port)
        by = f" ({holder})" if holder else ""
        other = f"end that program, or: seatpool run --port {address.port + 1}"
        yield problem(f"another program listens on {shown}{by}: {found.words}", theirs(other))


def version(situation: Situation) -> Iterator[Finding]:
    """What runs goes on with what it has loaded; reloading `pool.py` changes nothing of that."""
    told = situation.running
    if told is None:
        return
    if told["version"] != seatpool.__version__:
        yield warning(f"the proxy runs version {told['version']}, and this is {seatpool.__version__}", RESTART)
    elif told["package"] == str(PACKAGE) and told["code"] != stamp():
        yield warning(f"files of {PACKAGE} were changed after the proxy was started; it runs what was there", RESTART)
    elif told["package"] != str(PACKAGE):
        yield warning(f"the proxy runs the code in {told['package']}, and this is {PACKAGE}", RESTART)
    else:
        yield well(f"the proxy runs this very code, {told['version']}, with mitmproxy {told['mitmproxy']}")


def _holder(number: int) -> str:
    """Which of this person's programs listens on a port, where the system tells (Linux)."""
    if platform.system() != "Linux":
        return ""
    sockets = {f"socket:[{inode}]" for inode in _inodes(number)}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(link.readlink()) in sockets for link in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()}, process {process.name}"
        except OSError:
            continue  # somebody else's, or gone
    return ""


def _inodes(number: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == number:
                yield fields[9]
