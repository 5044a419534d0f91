"""A certificate authority that can vouch for the pooled hosts and for nothing else.

Two certificates: a *root*, which programs trust, and an *issuing* one, whose key mitmproxy signs with. Both carry the
same critical name constraints; on the root alone Java would ignore them (copilot-observed.md 5). The root's key exists
only while `make` runs: whoever reads everything in the folder can sign what the issuing certificate permits, until it
ends, and nothing more. So a renewal is a new root, and the two overlap: the next pair is made a month before the end,
its root stands beside the present one in the file that programs trust, and mitmproxy goes over to it four weeks later.

The folder is mitmproxy's `confdir`: it reads `mitmproxy-ca.pem` (key, issuing certificate, root), signs with the first
and sends all of it with each leaf. Were that file missing, mitmproxy would make an authority without bounds there.
"""

import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path

import platformdirs
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization

from seatpool import homes, inplace
from seatpool.setup import bundle
from seatpool.setup.pair import Pair, make, names_of, pem, tag_of

RENEW_BEFORE = timedelta(days=30)
"""How long before its end a pair gets a successor: as long there is for trusting that one."""
OVERLAP = timedelta(days=28)
"""How long a pair that was prepared waits before it is used."""
SWITCH_BEFORE = timedelta(days=2)
"""How long before its end a pair gives way in any case, for clients with a fast clock."""
IN_USE = "mitmproxy-ca.pem"
NEXT = "next.pem"
TRUSTED = "mitmproxy-ca-cert.pem"
"""What programs are told to trust: the roots, and the name under which mitmproxy itself hands it out."""
_ROOT_FILE = "seatpool-{}.pem"


class AuthorityError(Exception):
    """The authority cannot be used; the text is one line that says why and how to mend it."""


class Change(Enum):
    """What `Authority.keep` has done."""

    NONE = "none"
    MADE = "made"
    PREPARED = "prepared"
    SWITCHED = "switched"


def default_folder() -> Path:
    """In this person's data directory."""
    return platformdirs.user_data_path("seatpool") / "ca"


def switches_at(current: Pair, following: Pair) -> datetime:
    """When the one gives way to the other."""
    return min(following.made + OVERLAP, current.ends - SWITCH_BEFORE)


class Authority:
    """The pairs in one folder. Several processes may use it: files appear whole, and the first maker wins."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def trusted(self) -> Path:
        """The file that programs are to trust."""
        return self.folder / TRUSTED

    @property
    def in_use(self) -> Path:
        """The file with the key that mitmproxy signs with."""
        return self.folder / IN_USE

    def current(self) -> Pair | None:
        """What mitmproxy signs with; None where there is none. Raises `AuthorityError` for what is no pair of ours."""
        return self._read(IN_USE)

    def next(self) -> Pair | None:
        """What it will sign with after that, once that has been made. Raises like `current`."""
        return self._read(NEXT)

    def roots(self) -> Iterator[tuple[x509.Certificate, Path]]:
        """Every root that was made here and is not forgotten, with a file of its own; the present ones first."""
        present = [pair.tag for pair in (self.current(), self.next()) if pair]
        files = {path.stem.rpartition("-")[2]: path for path in sorted(self.folder.glob(_ROOT_FILE.format("*")))}
        for tag in sorted(files, key=lambda tag: (tag not in present, tag)):
            yield _load_root(files[tag]), files[tag]

    def keep(self, names: Collection[str], now: datetime) -> Change:
        """Make a pair where there is none or its time is over; prepare the next, or go over to it, when that is due.

        Without `names`, a new pair permits what the present one does.
        """
        self._close()
        current, following = self.current(), self.next()
        if current is None or (current.ends <= now and (following is None or following.ends <= now)):
            self._write(IN_USE, make(names or (current.names if current else ()), now)[1], replace=current is not None)
            self._publish()
            return Change.MADE
        change = Change.NONE
        if following is None and current.ends - now <= RENEW_BEFORE:
            following, change = self.prepare(names or current.names, now), Change.PREPARED
        if following is not None and switches_at(current, following) <= now:
            self._switch()
            change = Change.SWITCHED
        return change

    def prepare(self, names: Collection[str], now: datetime) -> Pair:
        """Make the pair that follows the present one, in place of one that was prepared before."""
        pair, content = make(names, now)
        self._write(NEXT, content, replace=True)
        self._publish()
        return pair

    def replace(self, names: Collection[str], now: datetime) -> Pair:
        """Make a new pair and use it at once; nothing of the former ones is offered for trust any more."""
        pair, content = make(names, now)
        self._write(IN_USE, content, replace=True)
        (self.folder / NEXT).unlink(missing_ok=True)
        self._publish()
        return pair

    def forget(self, root: Path) -> None:
        """Delete the file of a root that is neither in use nor prepared, and that nobody trusts any more."""
        if root.stem.rpartition("-")[2] not in {pair.tag for pair in (self.current(), self.next()) if pair}:
            root.unlink(missing_ok=True)

    def _switch(self) -> None:
        try:
            inplace.put(self.folder / NEXT, self.in_use)
        except FileNotFoundError:
            pass  # another process was faster
        self._publish()

    def _publish(self) -> None:
        """Write the roots for those who are to trust them: all in one file, and each in one of its own."""
        roots = [pair.root for pair in (self.current(), self.next()) if pair]
        for root in roots:
            self._write(_ROOT_FILE.format(tag_of(root)), pem(root), replace=True, mode=0o644)
        trusted = b"".join(map(pem, roots))
        self._write(TRUSTED, trusted, replace=True, mode=0o644)
        bundle.refresh(self.folder, trusted)

    def _read(self, name: str) -> Pair | None:
        path = self.folder / name
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            key = serialization.load_pem_private_key(raw, None)
            issuing, root = x509.load_pem_x509_certificates(raw)
            issuing.verify_directly_issued_by(root)
            whole = issuing.public_key() == key.public_key() and names_of(issuing) and names_of(root)
        except (ValueError, TypeError, InvalidSignature):
            whole = ()
        if not whole:
            raise AuthorityError(
                f"{path} is damaged or not made by seatpool; `seatpool ca rotate --now` puts a new one in its place"
            )
        return Pair(root, issuing)

    def open_to_others(self) -> tuple[Path, ...]:
        """What others on this machine could read, and must not."""
        if os.name == "nt":
            return ()  # there a data directory is its owner's by inheritance, and modes say nothing
        secrets = [self.folder / name for name in (IN_USE, NEXT)]
        return tuple(path for path in (self.folder, *secrets) if path.exists() and path.stat().st_mode & 0o077)

    def _close(self) -> None:
        """Make the folder, and shut what others could open."""
        homes.make_private(self.folder.parent, parents=True)
        homes.make_private(self.folder)
        for path in self.open_to_others():
            path.chmod(0o700 if path == self.folder else 0o600)

    def _write(self, name: str, content: bytes, *, replace: bool, mode: int = 0o600) -> None:
        """Whole or not at all. Without `replace`, a file that is there already stays."""
        self._close()
        path, draft = self.folder / name, self.folder / f".{name}.{os.getpid()}"
        with inplace.drafting(draft, path):
            draft.unlink(missing_ok=True)  # of a process that was killed here
            with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            if replace:
                inplace.put(draft, path)
                return
            with suppress(FileExistsError):  # another process was faster
                path.hardlink_to(draft)
            draft.unlink()


def _load_root(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError:
        raise AuthorityError(f"{path} is damaged; delete it, `seatpool ca rotate` writes a new one") from None
