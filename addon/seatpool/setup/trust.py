"""Where programs look for the authorities that they trust, and the commands that put a root there and take it back.

Nothing is changed here: a store says which commands it would take, and whether it holds a root; `cli` asks and runs.
"""

import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from seatpool.setup.pair import tag_of

SYSTEM = "system"
NSS = "nss"
KINDS = (SYSTEM, NSS)

Command = tuple[str, ...]


class Root(msgspec.Struct, frozen=True):
    """A root certificate with the file that it is in."""

    certificate: x509.Certificate
    file: Path

    @property
    def tag(self) -> str:
        """As the authority calls it."""
        return tag_of(self.certificate)

    @property
    def name(self) -> str:
        """Its common name, which no other certificate has."""
        return str(self.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)

    @property
    def body(self) -> str:
        """Its Base64 without line ends: what is looked for in bundles and answers of programs."""
        return _body(self.certificate.public_bytes(serialization.Encoding.PEM).decode())

    def digest(self, algorithm: hashes.HashAlgorithm) -> str:
        """As the programs of macOS and Windows take it."""
        return self.certificate.fingerprint(algorithm).hex().upper()


class TrustStore(Protocol):
    """One place of trust on this machine."""

    @property
    def kind(self) -> str:
        """`system` or `nss`."""

    @property
    def title(self) -> str:
        """For a person."""

    @property
    def lacking(self) -> str | None:
        """What has to be installed before its commands work; None where nothing is."""

    def holds(self, root: Root) -> bool:
        """Whether the root is there."""

    def trusts(self, root: Root) -> bool:
        """Whether programs believe it: what is there may have been refused that."""

    def commands(self, *, put: Iterable[Root] = (), take: Iterable[Root] = ()) -> Iterator[Command]:
        """What changes the store so; nothing where both are empty."""


def _which(program: str) -> str | None:
    """Also beside the folders of PATH: Debian and openSUSE have /usr/sbin in that of administrators alone."""
    path = os.environ.get("PATH", os.defpath)
    folders = map(Path, path.split(os.pathsep))
    beside = [str(folder.with_name("sbin")) for folder in folders if folder.name == "bin"]
    return shutil.which(program, path=os.pathsep.join([path, *beside]))


class Machine(msgspec.Struct, frozen=True):
    """What the stores depend on; tests make one up."""

    system: str = msgspec.field(default_factory=platform.system)
    home: Path = msgspec.field(default_factory=Path.home)
    top: Path = Path("/")
    which: Callable[[str], str | None] = _which
    is_admin: bool = msgspec.field(default_factory=lambda: getattr(os, "geteuid", lambda: 0)() == 0)
    data: str = msgspec.field(default_factory=lambda: os.environ.get("XDG_DATA_HOME", ""))
    """Where this person's programs keep their data; empty where that was not moved."""

    @property
    def sudo(self) -> Command:
        """What makes a command an administrator's."""
        return () if self.is_admin else ("sudo",)

    def program(self, name: str) -> str | None:
        """What calls it, None where it is not here. By its path where `sudo`, too, may look for it in vain."""
        found = self.which(name)
        return found if found is None or Path(found).parent.name == "sbin" else name


class _Distribution(msgspec.Struct, frozen=True):
    name: str
    folder: str
    """Where a file is a root; its existence tells the distribution."""
    suffix: str
    refresh: Command
    forget: Command
    """What makes the system forget a file that is gone."""
    bundle: str


_UPDATE_TRUST: Command = ("update-ca-trust",)
_UPDATE: Command = ("update-ca-certificates",)

DISTRIBUTIONS = (
    _Distribution(
        name="Fedora",
        folder="etc/pki/ca-trust/source/anchors",
        suffix="pem",
        refresh=_UPDATE_TRUST,
        forget=_UPDATE_TRUST,
        bundle="etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora 44 has no etc/pki/tls/certs/ca-bundle.crt
    ),
    _Distribution(
        name="openSUSE",
        folder="etc/pki/trust/anchors",
        suffix="pem",
        refresh=_UPDATE,
        forget=_UPDATE,
        bundle="var/lib/ca-certificates/ca-bundle.pem",
    ),
    _Distribution(
        name="Debian",
        folder="usr/local/share/ca-certificates",
        suffix="crt",
        refresh=_UPDATE,
        forget=(*_UPDATE, "--fresh"),
        bundle="etc/ssl/certs/ca-certificates.crt",
    ),
)
"""The first whose folder and program are there counts."""


class _Plain:
    """What a store holds is believed."""

    __slots__ = ()

    def trusts(self: TrustStore, root: Root) -> bool:
        return self.holds(root)


class FileStore(msgspec.Struct, frozen=True):
    """A folder of roots, and a program that makes them known."""

    machine: Machine
    how: _Distribution
    kind: str = SYSTEM
    lacking: str | None = None

    @property
    def title(self) -> str:
        return f"the system's store ({self.how.name})"

    def _file(self, root: Root) -> Path:
        return self.machine.top / self.how.folder / f"seatpool-{root.tag}.{self.how.suffix}"

    def holds(self, root: Root) -> bool:
        return self._file(root).exists()

    def trusts(self, root: Root) -> bool:
        """Who gives up between the two commands has the file there, and the next update of the system trusts it."""
        return self.holds(root) and root.body in _body(_text(self.machine.top / self.how.bundle))

    def commands(self, *, put: Iterable[Root] = (), take: Iterable[Root] = ()) -> Iterator[Command]:
        sudo, put, take = self.machine.sudo, tuple(put), tuple(take)
        for root in put:
            yield (*sudo, "install", "-m", "0644", str(root.file), str(self._file(root)))
        for root in take:
            yield (*sudo, "rm", "-f", str(self._file(root)))
        if put or take:
            name, *arguments = self.how.forget if take else self.how.refresh
            yield (*sudo, self.machine.program(name) or name, *arguments)


class AnchorStore(_Plain, msgspec.Struct, frozen=True):
    """p11-kit's own, on Arch."""

    machine: Machine
    kind: str = SYSTEM
    title: str = "the system's store (Arch)"
    lacking: str | None = None

    def holds(self, root: Root) -> bool:
        return root.body in _body(_text(self.machine.top / "etc/ssl/certs/ca-certificates.crt"))

    def commands(self, *, put: Iterable[Root] = (), take: Iterable[Root] = ()) -> Iterator[Command]:
        for what, roots in (("--store", put), ("--remove", take)):
            for root in roots:
                yield (*self.machine.sudo, "trust", "anchor", what, str(root.file))


class KeychainStore(msgspec.Struct, frozen=True):
    """The login keychain of macOS: this person's programs, no administrator."""

    machine: Machine
    kind: str = SYSTEM
    title: str = "the login keychain (macOS)"
    lacking: str | None = None

    @property
    def _keychain(self) -> str:
        return str(self.machine.home / "Library/Keychains/login.keychain-db")

    def holds(self, root: Root) -> bool:
        return root.digest(hashes.SHA256()) in _answer("security", "find-certificate", "-a", "-Z", self._keychain)

    def trusts(self, root: Root) -> bool:
        """Who presses Cancel, or has no screen to be asked on, has the root in the keychain all the same."""
        return self.holds(root) and (_is_believed(root) or _is_believed(root, "-d"))

    def commands(self, *, put: Iterable[Root] = (), take: Iterable[Root] = ()) -> Iterator[Command]:
        for root in put:
            trust = ("security", "add-trusted-cert", "-r", "trustRoot", "-p", "ssl")
            yield (*trust, "-k", self._keychain, str(root.file))
        for root in take:
            if _is_believed(root):  # else it would fail
                yield ("security", "remove-trusted-cert", str(root.file))
            yield ("security", "delete-certificate", "-Z", root.digest(hashes.SHA256()), self._keychain)


def _is_believed(root: Root, *domain: str) -> bool:
    """By this person's own settings of trust on macOS, or by the administrator's (`-d`)."""
    return root.name in _answer("security", "dump-trust-settings", *domain)


class WindowsStore(_Plain, msgspec.Struct, frozen=True):
    """This person's roots on Windows, no administrator."""

    kind: str = SYSTEM
    title: str = "your root store (Windows)"
    lacking: str | None = None

    def holds(self, root: Root) -> bool:
        found = _answer("certutil", "-user", "-store", "Root", _thumbprint(root))
        return _thumbprint(root) in found.replace(" ", "").upper()

    def commands(self, *, put: Iterable[Root] = (), take: Iterable[Root] = ()) -> Iterator[Command]:
        for root in put:
            yield ("certutil", "-user", "-addstore", "Root", str(root.file))
        for root in take:
            yield ("certutil", "-user", "-delstore", "Root", _thumbprint(root))


class NssStore(_Plain, msgspec.Struct, frozen=True):
    """A database of NSS: Chromium, and what is built on it, on Linux."""

    machine: Machine
    folder: Path
    kind: str = NSS

    @property
    def title(self) -> str:
        return f"the NSS database {self.folder}"

    @property
    def lacking(self) -> str | None:
        packages = "libnss3-tools (Debian), nss-tools (Fedora) or nss (Arch)"
        return None if self.machine.which("certutil") else f"certutil, of the package {packages}"

    def holds(self, root: Root) -> bool:
        return root.body in _body(_answer("certutil", "-d", self._database, "-L", "-a", "-n", _nickname(root)))

    def commands(self, *, put: Iterable[Root] = (), take: Iterable[Root] = ()) -> Iterator[Command]:
        for root in put:
            yield ("certutil", "-d", self._database, "-A", "-t", "C,,", "-n", _nickname(root), "-i", str(root.file))
        for root in take:
            yield ("certutil", "-d", self._database, "-D", "-n", _nickname(root))

    @property
    def _database(self) -> str:
        return f"sql:{self.folder}"


_NSS_IN_DATA = "pki/nssdb"
NSS_PLACES = (
    ".pki/nssdb",  # where there is one, it is used; Chromium 146 and newer make none
    f".local/share/{_NSS_IN_DATA}",
    "snap/*/current/.pki/nssdb",
    f"snap/*/current/.local/share/{_NSS_IN_DATA}",
    f".var/app/*/data/{_NSS_IN_DATA}",
)
"""Below the home: what a Chromium, or an editor made of it, reads there, in a snap, in a Flatpak."""


def stores(machine: Machine) -> tuple[TrustStore, ...]:
    """Those that this machine has."""
    if machine.system == "Darwin":
        return (KeychainStore(machine),)
    if machine.system == "Windows":
        return (WindowsStore(),)
    return (*_system(machine), *(NssStore(machine, folder) for folder in _databases(machine)))


def _databases(machine: Machine) -> Iterator[Path]:
    """Those of NSS, each once."""
    places = [(machine.home, place) for place in NSS_PLACES]
    if Path(machine.data).is_absolute():
        places.append((Path(machine.data), _NSS_IN_DATA))
    files = (file for top, place in places for file in sorted(top.glob(f"{place}/cert9.db")))
    yield from dict.fromkeys(file.parent for file in files)


def _system(machine: Machine) -> Iterator[TrustStore]:
    for how in DISTRIBUTIONS:
        if machine.which(how.refresh[0]) and (machine.top / how.folder).is_dir():
            yield FileStore(machine, how)
            return
    if machine.which("trust"):
        yield AnchorStore(machine)


def _nickname(root: Root) -> str:
    return f"seatpool {root.tag}"


def _thumbprint(root: Root) -> str:
    return root.digest(hashes.SHA1())  # noqa: S303 # Windows names certificates by it


def _body(text: str) -> str:
    return "".join(text.split())


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _answer(*argv: str) -> str:
    try:
        ran = subprocess.run(argv, capture_output=True, errors="replace", check=False, timeout=20)  # noqa: S603 # fixed
        return ran.stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
