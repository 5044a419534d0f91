"""Whether the proxy listens, whether it is ours, and whether it runs the code that is in the files."""

import errno
import os
import platform
import socket
from collections.abc import Iterator
from pathlib import Path

import seatpool
from seatpool.setup.address import Address, hidden
from seatpool.setup.code import PACKAGE, stamp
from seatpool.setup.doctor.asking import Told
from seatpool.setup.doctor.finding import Finding, problem, theirs, warning, well
from seatpool.setup.doctor.situation import Situation

RESTART = theirs("end it with Ctrl-C, then: seatpool run")


def port(situation: Situation) -> Iterator[Finding]:
    """Who is there."""
    found, address = situation.about(), situation.address
    if found.nobody:
        yield problem(f"nothing listens on {_shown(address)}", situation.start)
    elif found.told is not None:
        yield well(who(found, address))
    elif found.password:
        yield problem(who(found, address), theirs(f"seatpool doctor --proxy http://USER:PASSWORD@{_shown(address)}"))
    else:
        other = f"end that program, or: seatpool run --port {address.port + 1}"
        yield problem(who(found, address), theirs(other))


def who(found: Told, address: Address) -> str:
    """Who listens there, by what came of asking."""
    shown = _shown(address)
    if found.told is not None:
        return f"seatpool ({found.told['version']}) listens on {shown}, process {found.told['pid']}"
    if found.password:
        return f"the proxy on {hidden(address.url)} asks for a password, or for another one"
    holder = _holder(address.port)
    by = f" ({holder})" if holder else ""
    return f"another program listens on {shown}{by}{': ' if found.words else ''}{found.words}"


def is_taken(address: Address) -> bool:
    """Whether somebody listens there. What is in the way else, but for `is_kept`, mitmproxy says itself."""
    return _obstacle(address) == errno.EADDRINUSE


def is_kept(address: Address) -> bool:
    """Whether Windows lets nobody listen there: Hyper-V, WSL and Docker have it keep ranges of a hundred ports."""
    return platform.system() == "Windows" and _obstacle(address) == errno.EACCES


def _obstacle(address: Address) -> int | None:
    """What listening there would end with, as `errno` has it."""
    with socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET) as probe:
        if os.name != "nt":  # there it would take the port away from whoever has it
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
        except OSError as error:
            return error.errno
    return None


def _shown(address: Address) -> str:
    return f"{address.host}:{address.port}"


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
