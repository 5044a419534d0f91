"""The certificate authority: there, in its time, for the pooled hosts alone, trusted, and the one that is used."""

import ssl
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from seatpool.setup import trust as trusting
from seatpool.setup.authority import Authority, AuthorityError
from seatpool.setup.doctor.asking import Unanswered
from seatpool.setup.doctor.clock import SETTING
from seatpool.setup.doctor.finding import Finding, Mend, ours, problem, theirs, warning, well
from seatpool.setup.doctor.situation import Situation
from seatpool.setup.pair import Pair
from seatpool.setup.trust import Root

NONE_YET = ours("ca", "create")
ANEW = ours("ca", "rotate", "--now")
TRUST = ours("ca", "trust", "--yes", shown="seatpool ca trust")
SOON = timedelta(days=2)
INSTALL = (
    ("apt-get", "sudo apt-get install libnss3-tools"),
    ("dnf", "sudo dnf install nss-tools"),
    ("pacman", "sudo pacman -S nss"),
)
"""Where `certutil` is, by what installs it."""


def authority(situation: Situation) -> Iterator[Finding]:
    """What is on the disk."""
    try:
        current, following = situation.authority.current(), situation.authority.next()
    except AuthorityError as error:
        yield problem(str(error).partition(";")[0], ANEW)
        return
    if current is None:
        yield problem(f"there is no certificate authority in {situation.authority.folder}", NONE_YET)
        return
    if current.ends <= situation.now:
        over = f"the certificate authority {current.tag} is over since {current.ends:%Y-%m-%d}; programs refuse it"
        yield problem(over, ANEW)
    elif current.root.not_valid_before_utc > situation.now:
        begins = f"{current.root.not_valid_before_utc:%Y-%m-%d}"
        yield problem(
            f"the certificate authority {current.tag} begins on {begins}: this machine's clock is behind",
            theirs(SETTING.get(situation.machine.system, "set the clock")),
        )
    elif current.ends - situation.now <= SOON and following is None:
        yield warning(f"the certificate authority {current.tag} ends on {current.ends:%Y-%m-%d %H:%M}", ANEW)
    else:
        yield well(f"{current.tag} can vouch for {len(current.names)} names alone, until {current.ends:%Y-%m-%d}")
    if missing := current.missing(situation.names):
        lacking = f"the certificate authority is not for {', '.join(missing)}: connections there pass untouched"
        yield warning(lacking, theirs(situation.shell.then.join(("seatpool ca rotate --now", "seatpool ca trust"))))
    for path in situation.authority.open_to_others():
        argv = ("chmod", "700" if path == situation.authority.folder else "600", str(path))
        text = f"others on this machine can read {path}; if somebody may have: seatpool ca rotate --now"
        yield problem(text, Mend(situation.shell.join(argv), argv))


def trust(situation: Situation) -> Iterator[Finding]:
    """Which of the machine's stores hold the roots. Programs that are told the file need none of them."""
    pairs = pairs_of(situation.authority)
    roots = {root.tag: root for root in (Root(*each) for each in situation.authority.roots())} if pairs else {}
    present = [roots[pair.tag] for pair in pairs if pair.tag in roots]
    if not present:
        return
    stores = trusting.stores(situation.machine)
    if not stores:
        yield well("this machine has no store that programs share; each of them is told the file")
    for store in stores:
        if store.lacking:
            install = next((command for tool, command in INSTALL if situation.machine.which(tool)), "install it")
            yield warning(f"{store.title} cannot be looked into without {store.lacking}", theirs(install))
            continue
        lacking = [root.tag for root in present if not store.trusts(root)]
        if not lacking:
            yield well(f"{store.title} trusts {', '.join(root.tag for root in present)}")
        elif present[0].tag in lacking:
            text = f"{store.title} does not trust the certificate authority {present[0].tag}"
            yield warning(f"{text}: what relies on it refuses the proxy", TRUST)
        else:
            yield warning(f"{store.title} does not trust {lacking[0]} yet, which takes over soon", TRUST)


def in_use(situation: Situation) -> Iterator[Finding]:
    """By the certificate that the proxy shows: what it tells of itself may be older."""
    told = situation.running
    if told is None:
        return
    folder = Path(told["confdir"]).expanduser()
    if folder != situation.authority.folder:
        text = f"the proxy uses the certificate authority in {folder}, not the one in {situation.authority.folder}"
        yield warning(text, theirs("start it without confdir, or let programs trust that one"))
        return
    pairs = pairs_of(situation.authority)[:1]
    try:
        leaf = situation.proxy.leaf()
    except (OSError, Unanswered):
        return  # the self-test says it
    if pairs and not _made_by(pairs[0], leaf):
        yield problem("the proxy shows certificates of another authority than the one on the disk", RESTART)
    elif pairs:
        yield well(f"the proxy shows certificates of {pairs[0].tag}, the one on the disk")


RESTART = theirs("end it with Ctrl-C, then: seatpool run")


def trusting_ours(authority: Authority) -> ssl.SSLContext:
    """What a program does that is told the file, and trusts nothing else. Raises `OSError` where there is none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authority.trusted)
    return context


def pairs_of(authority: Authority) -> list[Pair]:
    """The present one, and the next; nothing where they cannot be read."""
    try:
        return [pair for pair in (authority.current(), authority.next()) if pair]
    except AuthorityError:
        return []


def _made_by(pair: Pair, leaf: bytes) -> bool:
    try:
        x509.load_der_x509_certificate(leaf).verify_directly_issued_by(pair.issuing)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
