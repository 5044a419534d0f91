"""A certificate authority that can vouch for the pooled hosts and for nothing else.

Two certificates: a *root*, which programs trust, and an *issuing* one, whose key mitmproxy signs with. Both carry the
same critical name constraints; on the root alone Java would ignore them (copilot-observed.md 5). The root's key exists
only while `make` runs: whoever reads everything in the folder can sign what the issuing certificate permits, until it
ends, and nothing more. So a renewal is a new root, and the two overlap: the next pair is made a month before the end,
its root stands beside the present one in the file that programs trust, and mitmproxy goes over to it four weeks later.

The folder is mitmproxy's `confdir`: it reads `mitmproxy-ca.pem` (key, issuing certificate, root), signs with the first
and sends all of it with each leaf. Were that file missing, mitmproxy would make an authority without bounds there.
"""

import ipaddress
import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path

import platformdirs
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID = timedelta(days=90)
RENEW_BEFORE = timedelta(days=30)
"""How long before its end a pair gets a successor: as long there is for trusting that one."""
OVERLAP = timedelta(days=28)
"""How long a pair that was prepared waits before it is used."""
SWITCH_BEFORE = timedelta(days=2)
"""How long before its end a pair gives way in any case, for clients with a fast clock."""
_BACKDATED = timedelta(days=2)
"""As mitmproxy's leaves are, for clients with a slow clock."""

IN_USE = "mitmproxy-ca.pem"
NEXT = "next.pem"
TRUSTED = "mitmproxy-ca-cert.pem"
"""What programs are told to trust: the roots, and the name under which mitmproxy itself hands it out."""
_ROOT_FILE = "seatpool-{}.pem"

_NOWHERE = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
"""Every address is excluded: a leaf for an address alone would pass constraints that speak of names alone."""


class AuthorityError(Exception):
    """The authority cannot be used; the text is one line that says why and how to mend it."""


class Change(Enum):
    """What `Authority.keep` has done."""

    NONE = "none"
    MADE = "made"
    PREPARED = "prepared"
    SWITCHED = "switched"


@dataclass(frozen=True, slots=True)
class Pair:
    """A root and the issuing certificate that it has signed. The issuing key stays in the file."""

    root: x509.Certificate
    issuing: x509.Certificate

    @property
    def tag(self) -> str:
        """Eight characters that tell it from every other one; a part of its name."""
        return tag_of(self.root)

    @property
    def names(self) -> tuple[str, ...]:
        """What it may vouch for, each with everything below it."""
        return names_of(self.issuing)

    @property
    def ends(self) -> datetime:
        """When it is over, aware, in UTC."""
        return min(self.root.not_valid_after_utc, self.issuing.not_valid_after_utc)

    @property
    def made(self) -> datetime:
        """When it was made."""
        return self.root.not_valid_before_utc + _BACKDATED

    @property
    def fingerprint(self) -> str:
        """The root's SHA-256, as other programs show it."""
        return self.root.fingerprint(hashes.SHA256()).hex(":").upper()

    def missing(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of `names` that it may not vouch for."""
        return tuple(name for name in names if not within(name, self.names))


def default_folder() -> Path:
    """In this person's data directory."""
    return platformdirs.user_data_path("seatpool") / "ca"


def switches_at(current: Pair, following: Pair) -> datetime:
    """When the one gives way to the other."""
    return min(following.made + OVERLAP, current.ends - SWITCH_BEFORE)


def within(host: str, names: Iterable[str]) -> bool:
    """Whether a host is one of the names, or below one."""
    return any(host == name or host.endswith(f".{name}") for name in names)


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """The names that it is constrained to; empty where it is not."""
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(each.value for each in constraints.permitted_subtrees or () if isinstance(each, x509.DNSName))


def tag_of(root: x509.Certificate) -> str:
    """The beginning of the key's identifier."""
    return root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest.hex()[:8]


def pem(certificate: x509.Certificate) -> bytes:
    """As text."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def make(names: Collection[str], now: datetime) -> tuple[Pair, bytes]:
    """A new pair, and what mitmproxy reads. The root's key is not in it: it is gone when this returns."""
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = _certificate("root", root_key, names, now, depth=1)
    issuing = _certificate("issuing", key, names, now, depth=0, by=(root, root_key))
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Pair(root, issuing), secret + pem(issuing) + pem(root)


def _certificate(
    role: str,
    key: ec.EllipticCurvePrivateKey,
    names: Collection[str],
    now: datetime,
    *,
    depth: int,
    by: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None = None,
) -> x509.Certificate:
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    # A name of its own for each: NSS takes certificates of one name for one authority.
    parts = (
        (NameOID.ORGANIZATION_NAME, "seatpool"),
        (NameOID.COMMON_NAME, f"seatpool {role} {identifier.digest.hex()[:8]}"),
    )
    subject = x509.Name([x509.NameAttribute(kind, value) for kind, value in parts])
    issuer, signer = (by[0].subject, by[1]) if by else (subject, key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + VALID)
        .add_extension(x509.BasicConstraints(ca=True, path_length=depth), critical=True)
        .add_extension(_SIGNS_CERTIFICATES, critical=True)
        .add_extension(_constraints(names), critical=True)
        # No mail, no code, no logins: servers.
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
    )
    if by:
        known = by[0].extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        above = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(known)
        builder = builder.add_extension(above, critical=False)
    return builder.sign(signer, hashes.SHA256())


def _constraints(names: Collection[str]) -> x509.NameConstraints:
    return x509.NameConstraints(
        permitted_subtrees=[x509.DNSName(name) for name in sorted(names)],
        excluded_subtrees=[x509.IPAddress(network) for network in _NOWHERE],
    )


_SIGNS_CERTIFICATES = x509.KeyUsage(
    key_cert_sign=True,
    crl_sign=True,
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)


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
            (self.folder / NEXT).replace(self.in_use)
        except FileNotFoundError:
            pass  # another process was faster
        self._publish()

    def _publish(self) -> None:
        """Write the roots for those who are to trust them: all in one file, and each in one of its own."""
        roots = [pair.root for pair in (self.current(), self.next()) if pair]
        for root in roots:
            self._write(_ROOT_FILE.format(tag_of(root)), pem(root), replace=True, mode=0o644)
        self._write(TRUSTED, b"".join(map(pem, roots)), replace=True, mode=0o644)

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
        self.folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.mkdir(mode=0o700, exist_ok=True)
        for path in self.open_to_others():
            path.chmod(0o700 if path == self.folder else 0o600)

    def _write(self, name: str, content: bytes, *, replace: bool, mode: int = 0o600) -> None:
        """Whole or not at all. Without `replace`, a file that is there already stays."""
        self._close()
        path, draft = self.folder / name, self.folder / f".{name}.{os.getpid()}"
        draft.unlink(missing_ok=True)  # of a process that was killed here
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        if replace:
            draft.replace(path)
            return
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            pass  # another process was faster
        finally:
            draft.unlink(missing_ok=True)


def _load_root(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError:
        raise AuthorityError(f"{path} is damaged; delete it, `seatpool ca rotate` writes a new one") from None
