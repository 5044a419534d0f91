"""What is kept running: the installed `seatpool run`, with what it takes from the shell that installed it.

No secret is among it: tools show units, and lists of processes show commands. The key of the database stays where it
is, in a file beside it, which this person's own processes may read, or in the keyring, which they reach through the
session that starts them.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from seatpool.setup import address
from seatpool.setup.quiet import quiet

KEPT = (
    *("SEATPOOL_KEYRING", "SEATPOOL_KEY_FILE", "SEATPOOL_PERSON", "PYTHON_KEYRING_BACKEND"),
    *("PGPASSFILE", "PGSERVICEFILE", "PGSERVICE", "PGHOST", "PGPORT", "PGDATABASE", "PGUSER", "PGOPTIONS"),
    *("PGSSLMODE", "PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY", "XDG_DATA_HOME", "XDG_CONFIG_HOME"),
)
"""Variables that say where things are, and who one is; a session that starts programs may lack those of a shell."""
UNBUFFERED = "PYTHONUNBUFFERED"
_SECRET = {
    "proxyauth": re.compile(r"any|@.*"),
    "upstream_auth": re.compile(""),
    "cert_passphrase": re.compile(""),
    "web_password": re.compile(r"\$.*"),
    "pool_webhook": re.compile(""),
}
"""Options, and which of their values are none: a file's name, a hash, nothing. Who knows a webhook may write there."""
_IN_QUERY = re.compile(r"[?&][\w-]*(?:password|passphrase|secret|token)=[^&\s]", re.IGNORECASE)


class Unfit(Exception):
    """It cannot be kept running like this; the text is one line that says why, and what to do."""


class Job(msgspec.Struct, frozen=True):
    """One program with its arguments."""

    command: tuple[str, ...]
    environ: tuple[tuple[str, str], ...]
    proxy: str
    """Where it listens, as clients are told of it."""
    privileged: bool = False
    """Whether it asks for an administrator's rights by itself: mitmproxy's `--mode local`."""


def make(
    proxy: address.Address,
    database: str,
    arguments: Sequence[str],
    environ: Mapping[str, str],
    interpreter: Path | None = None,
) -> Job:
    """`database` is what the person has named, if anything. Raises `Unfit`."""
    if proxy.has_login:
        raise Unfit("a login in --proxy would stand in a file; leave it out")
    if address.hidden(database) != database or _IN_QUERY.search(database):
        raise Unfit("the database's URL has a password in it, which would stand in a file; write it into ~/.pgpass")
    for former, argument in zip(("", *arguments), arguments, strict=False):
        _refuse_secrets(former, argument)
    elsewhere = () if proxy.host == address.HOST else ("--listen-host", proxy.host)
    named = ("--db", _absolute(database)) if database else ()
    handed_on = (*elsewhere, *quiet(arguments), *arguments)
    return Job(
        (*program(interpreter), "run", *named, "--port", str(proxy.port), "--", *handed_on),
        ((UNBUFFERED, "1"), *((name, environ[name]) for name in KEPT if environ.get(name))),
        proxy.url,
        privileged=any(argument.split("=")[-1].split(":")[0] == "local" for argument in arguments),
    )


def program(interpreter: Path | None = None) -> tuple[str, ...]:
    """How `seatpool` is started here: the command that was installed beside the interpreter, else its module.

    On Windows without a window: a console's program would open one at each start. `-P`: no file of the directory that
    it is started in, a person's home, is taken for one of its modules.
    """
    python = interpreter or Path(sys.executable)
    windowless = python.with_name("pythonw.exe")
    if windowless.exists():
        return str(windowless), "-P", "-m", "seatpool.cli"
    installed = python.with_name("seatpool")
    return (str(installed),) if installed.exists() else (str(python), "-P", "-m", "seatpool.cli")


def _absolute(database: str) -> str:
    return database if "://" in database else str(Path(database).expanduser().absolute())


def _refuse_secrets(former: str, argument: str) -> None:
    if address.hidden(argument) != argument:
        raise Unfit(f"{address.hidden(argument)!r} has a password in it, which would stand in a file; {_ELSEWHERE}")
    if _IN_QUERY.search(argument):
        raise Unfit(
            f"{argument.partition('?')[0]!r} has a secret behind its ?, which would stand in a file; {_ELSEWHERE}"
        )
    name, _, value = argument.removeprefix("--set=").partition("=")
    for option, told in ((_option(name), value), (_option(former) if former.startswith("--") else None, argument)):
        if option and told and not _SECRET[option].fullmatch(told):
            raise Unfit(f"{option} is a secret, which would stand in a file; {_ELSEWHERE}")


def _option(word: str) -> str | None:
    """The one of `_SECRET` that a word names: mitmdump takes any beginning of an argument for the whole."""
    name = word.removeprefix("--").replace("-", "_")
    if not word.startswith("--"):
        return name if name in _SECRET else None
    return next((option for option in _SECRET if name and option.startswith(name)), None)


_ELSEWHERE = "write it into config.yaml in the folder of the certificate authority (seatpool ca show), with mode 600"
