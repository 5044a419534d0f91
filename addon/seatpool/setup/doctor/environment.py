"""The variables of the shell that asks: programs that it starts go by them."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from seatpool.setup.address import VARIABLES, same, shown
from seatpool.setup.authority import AuthorityError
from seatpool.setup.bundle import SYSTEM_FILES
from seatpool.setup.doctor.authority import TRUST
from seatpool.setup.doctor.finding import Finding, Mend, problem, theirs, warning, well
from seatpool.setup.doctor.situation import Situation
from seatpool.setup.pair import pem
from seatpool.setup.trust import stores

AUTHORITIES = (
    ("SSL_CERT_FILE", "curl, Python and Codex"),
    ("CODEX_CA_CERTIFICATE", "Codex"),
    ("NODE_EXTRA_CA_CERTS", "Node, the Copilot CLI and the language server"),
    ("REQUESTS_CA_BUNDLE", "Python's requests"),
    ("CURL_CA_BUNDLE", "curl"),
)
INSTEAD = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""What they name takes the place of everything else."""
MANY = 10
"""A bundle has more certificates than this."""


def environment(situation: Situation) -> Iterator[Finding]:
    """Where programs of this shell would go, and whom they would believe there."""
    named = {name: value for name in VARIABLES if (value := situation.environ.get(name, ""))}
    if not named:
        if situation.environ.get("HTTP_PROXY") or situation.environ.get("http_proxy"):
            set_too = theirs(situation.shell.setting({"HTTPS_PROXY": shown(situation.address.url)}))
            yield warning("HTTP_PROXY alone is set: programs do not use it for https", set_too)
        else:
            yield well("no proxy is set in this shell; programs go by their own settings")
    comes = False
    for name, value in named.items():
        found = _judged(situation, name, value)
        comes = comes or found is None
        if found is not None:
            yield found
    if comes:
        yield well(f"programs of this shell come through the proxy ({', '.join(named)})")
    yield from _around(situation, comes=comes)
    yield from _authorities(situation, comes=comes)


def _judged(situation: Situation, name: str, value: str) -> Finding | None:
    """What is wrong with where a variable leads."""
    right = theirs(situation.shell.setting({name: shown(situation.address.url)}))
    if "://" not in value:
        return problem(f"{name}={shown(value)} has no scheme: Codex's WebSockets fail with it", right)
    if not same(_bare(value), _bare(situation.address.url)):
        return warning(f"{name} is {shown(value)}: programs of this shell go there, not through seatpool", right)
    return None


def _bare(url: str) -> str:
    """Without name and password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _around(situation: Situation, *, comes: bool) -> Iterator[Finding]:
    for name in ("NO_PROXY", "no_proxy"):
        entries = [entry.strip() for entry in situation.environ.get(name, "").split(",") if entry.strip()]
        culprits = [entry for entry in entries if any(_covers(entry, host) for host in situation.examples)]
        if culprits:
            kept = ",".join(entry for entry in entries if entry not in culprits)
            mend = theirs(situation.shell.setting({name: kept}) if kept else situation.shell.unsetting(name))
            text = f"{name} has {', '.join(culprits)}: programs of this shell go around the proxy there"
            yield (problem if comes else warning)(text, mend)


def _covers(entry: str, host: str) -> bool:
    """As programs read it: a name with what is below it, with or without a dot or star before it, or everything."""
    name = entry.lower().partition(":")[0].removeprefix("*").removeprefix(".")
    return entry == "*" or (bool(name) and (host == name or host.endswith(f".{name}")))


def _authorities(situation: Situation, *, comes: bool) -> Iterator[Finding]:
    if situation.environ.get("NODE_TLS_REJECT_UNAUTHORIZED") == "0":
        text = "NODE_TLS_REJECT_UNAUTHORIZED=0: Node believes anybody, and the Copilot CLI fails all the same"
        yield warning(text, theirs(situation.shell.unsetting("NODE_TLS_REJECT_UNAUTHORIZED")))
    try:
        current = situation.authority.current()
    except AuthorityError:
        current = None
    if current is None:
        return
    wanted = pem(current.root).decode()
    told = False
    for name, who in AUTHORITIES:
        value = situation.environ.get(name, "")
        if not value:
            continue
        right = _right(situation, name, value)
        try:
            text = Path(value).read_text(errors="replace").replace("\r\n", "\n")
        except OSError as error:
            yield problem(f"{name}={value} cannot be read ({error.strerror}): for {who}", right)
            continue
        if wanted not in text:
            if comes:  # else it is for something else
                yield problem(f"{name}={value} has not the certificate authority {current.tag} ({who})", right)
        elif name in INSTEAD and text.count("BEGIN CERTIFICATE") <= MANY:
            yield warning(f"{name}={value} has seatpool's roots alone: every other host is refused ({who})", right)
        else:
            told = True
            yield well(f"{name} has the certificate authority ({who})")
    if comes and not told and not any(s.kind == "system" and not s.lacking for s in stores(situation.machine)):
        text = "nothing in this shell names the certificate authority: its programs refuse the proxy"
        named = dict.fromkeys(("NODE_EXTRA_CA_CERTS", "CODEX_CA_CERTIFICATE"), str(situation.authority.trusted))
        yield warning(text, theirs(situation.shell.setting(named)))


def _right(situation: Situation, name: str, value: str) -> Mend:
    """What names the authority as this variable wants it."""
    if name not in INSTEAD:
        return theirs(situation.shell.setting({name: str(situation.authority.trusted)}))
    if value in SYSTEM_FILES:
        return TRUST
    first = () if situation.wish.bundle.exists() else ("seatpool setup codex",)
    return theirs(situation.shell.then.join((*first, situation.shell.setting({name: str(situation.wish.bundle)}))))
