"""Which commands put a root into the stores of each kind of machine, and take exactly that back."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from msgspec.structs import replace

from seatpool.providers.registry import CERTIFIED
from seatpool.setup.authority import Authority
from seatpool.setup.trust import Command, Machine, Root, stores


@pytest.fixture
def root(tmp_path: Path) -> Root:
    authority = Authority(tmp_path / "ca")
    authority.keep(CERTIFIED, datetime.now(UTC))
    ((certificate, file),) = authority.roots()
    return Root(certificate, file)


def machine(top: Path, *programs: str, system: str = "Linux", is_admin: bool = False) -> Machine:
    which: Callable[[str], str | None] = lambda name: f"/usr/bin/{name}" if name in programs else None  # noqa: E731 # a shutil.which
    return Machine(system, top / "home", top, which, is_admin, data="")


LINUX = {
    "Debian": (
        "usr/local/share/ca-certificates",
        "update-ca-certificates",
        [("install", "-m", "0644", "FILE", "PLACE/seatpool-TAG.crt"), ("update-ca-certificates",)],
        [("rm", "-f", "PLACE/seatpool-TAG.crt"), ("update-ca-certificates", "--fresh")],
    ),
    "Fedora": (
        "etc/pki/ca-trust/source/anchors",
        "update-ca-trust",
        [("install", "-m", "0644", "FILE", "PLACE/seatpool-TAG.pem"), ("update-ca-trust",)],
        [("rm", "-f", "PLACE/seatpool-TAG.pem"), ("update-ca-trust",)],
    ),
    "openSUSE": (
        "etc/pki/trust/anchors",
        "update-ca-certificates",
        [("install", "-m", "0644", "FILE", "PLACE/seatpool-TAG.pem"), ("update-ca-certificates",)],
        [("rm", "-f", "PLACE/seatpool-TAG.pem"), ("update-ca-certificates",)],
    ),
    "Arch": (
        "etc/ca-certificates/trust-source",
        "trust",
        [("trust", "anchor", "--store", "FILE")],
        [("trust", "anchor", "--remove", "FILE")],
    ),
}  # fmt: skip


def filled(commands: list[Command], place: Path, root: Root) -> list[Command]:
    filling = {"FILE": str(root.file), "PLACE": str(place), "TAG": root.tag}
    return [tuple(_fill(part, filling) for part in command) for command in commands]


def _fill(part: str, filling: dict[str, str]) -> str:
    for name, value in filling.items():
        part = part.replace(name, value)
    return part


@pytest.mark.parametrize("is_admin", [True, False], ids=["root", "person"])
@pytest.mark.parametrize("name", LINUX)
def test_a_linux_system_trusts_by_its_own_tool_and_by_sudo(
    tmp_path: Path, root: Root, name: str, *, is_admin: bool
) -> None:
    folder, program, put, take = LINUX[name]
    (tmp_path / folder).mkdir(parents=True)
    (store,) = stores(machine(tmp_path, program, is_admin=is_admin))
    sudo = () if is_admin else ("sudo",)
    assert store.title == f"the system's store ({name})"
    assert list(store.commands(put=[root])) == [(*sudo, *each) for each in filled(put, tmp_path / folder, root)]
    assert list(store.commands(take=[root])) == [(*sudo, *each) for each in filled(take, tmp_path / folder, root)]
    assert list(store.commands()) == []


def test_a_tool_of_administrators_is_found_where_a_persons_path_does_not_lead(
    tmp_path: Path, root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Debian: PATH has /usr/sbin for root alone, and `sudo` may keep the person's."""
    (tmp_path / "usr/local/share/ca-certificates").mkdir(parents=True)
    tool = tmp_path / "usr/sbin/update-ca-certificates"
    tool.parent.mkdir()
    tool.touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/usr/bin:{tmp_path}/games")
    (store,) = stores(Machine("Linux", tmp_path / "home", tmp_path, is_admin=False))
    assert store.title == "the system's store (Debian)"
    assert list(store.commands(put=[root]))[-1] == ("sudo", str(tool))
    assert list(store.commands(take=[root]))[-1] == ("sudo", str(tool), "--fresh")
    assert not store.holds(root)


BUNDLES = {
    "Debian": "etc/ssl/certs/ca-certificates.crt",
    "Fedora": "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # all that is left of it in 44
    "openSUSE": "var/lib/ca-certificates/ca-bundle.pem",
}


@pytest.mark.parametrize("name", BUNDLES)
def test_a_root_is_trusted_once_the_tool_has_run_and_is_taken_out_before_that_too(
    tmp_path: Path, root: Root, name: str
) -> None:
    folder, program, put, take = LINUX[name]
    bundle = tmp_path / BUNDLES[name]
    for each in (tmp_path / folder, bundle.parent):
        each.mkdir(parents=True)
    (store,) = stores(machine(tmp_path, program, is_admin=True))
    assert (store.holds(root), store.trusts(root)) == (False, False)
    copied = filled(put, tmp_path / folder, root)[0][-1]
    Path(copied).write_bytes(root.file.read_bytes())
    assert (store.holds(root), store.trusts(root)) == (True, False), "somebody gave up before the tool ran"
    bundle.write_bytes(b"# others\n" + root.file.read_bytes().replace(b"\n", b"\r\n"))
    assert (store.holds(root), store.trusts(root)) == (True, True)
    assert filled(take, tmp_path / folder, root)[0] == ("rm", "-f", copied)


@pytest.fixture
def security(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of what macOS' program says to each of its commands."""
    said = tmp_path / "said"
    said.mkdir()
    program = tmp_path / "security"
    program.write_text(f'#!/bin/sh\n[ -f "{said}/$1$2" ] || exit 1\ncat "{said}/$1$2"\n')
    program.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return said


@pytest.mark.parametrize("domain", ["", "-d"], ids=["person", "administrator"])
def test_macos_trusts_in_the_persons_own_keychain(tmp_path: Path, root: Root, security: Path, domain: str) -> None:
    (store,) = stores(machine(tmp_path, system="Darwin"))
    keychain = str(tmp_path / "home/Library/Keychains/login.keychain-db")
    add = ("security", "add-trusted-cert", "-r", "trustRoot", "-p", "ssl", "-k", keychain, str(root.file))
    sha256 = hashlib.sha256(_der(root)).hexdigest().upper()
    remove = ("security", "remove-trusted-cert", str(root.file))
    delete = ("security", "delete-certificate", "-Z", sha256, keychain)
    assert list(store.commands(put=[root])) == [add]
    assert (store.holds(root), store.trusts(root)) == (False, False)
    (security / "find-certificate-a").write_text(f"SHA-256 hash: {sha256}\nSHA-1 hash: 00\n")
    assert (store.holds(root), store.trusts(root)) == (True, False), "Cancel was pressed"
    assert list(store.commands(take=[root])) == [delete]
    trusted = f"Number of trusted certs = 1\nCert 0: seatpool root {root.tag}\n   Number of trust settings : 1\n"
    (security / f"dump-trust-settings{domain}").write_text(trusted)
    assert (store.holds(root), store.trusts(root)) == (True, True)
    assert list(store.commands(take=[root])) == ([delete] if domain else [remove, delete])


def test_windows_may_speak_of_its_store_in_any_encoding(
    tmp_path: Path, root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    certutil = tmp_path / "certutil"  # as a German one writes into a pipe
    sha1 = hashlib.sha1(_der(root)).hexdigest()
    certutil.write_text(f"#!/bin/sh\nprintf 'Root \"Vertrauensw\\201rdige\"\\nCertHash(sha1): {sha1}\\n'\n")
    certutil.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (store,) = stores(machine(tmp_path, system="Windows"))
    assert store.holds(root)


def test_windows_trusts_in_the_persons_own_store(tmp_path: Path, root: Root) -> None:
    (store,) = stores(machine(tmp_path, system="Windows"))
    sha1 = hashlib.sha1(_der(root)).hexdigest().upper()
    assert list(store.commands(put=[root])) == [("certutil", "-user", "-addstore", "Root", str(root.file))]
    assert list(store.commands(take=[root])) == [("certutil", "-user", "-delstore", "Root", sha1)]


def _der(root: Root) -> bytes:
    return root.certificate.public_bytes(Encoding.DER)


def test_every_nss_database_of_the_person_is_a_store(tmp_path: Path, root: Root) -> None:
    places = [
        ".pki/nssdb",
        ".local/share/pki/nssdb",
        "snap/chromium/current/.pki/nssdb",
        "snap/chromium/current/.local/share/pki/nssdb",
        ".var/app/com.visualstudio.code/data/pki/nssdb",
        "moved/pki/nssdb",
    ]
    for place in places:
        (tmp_path / "home" / place).mkdir(parents=True)
        (tmp_path / "home" / place / "cert9.db").touch()
    moved = replace(machine(tmp_path, "certutil"), data=str(tmp_path / "home/moved"))
    found = stores(moved)
    assert [store.title for store in found] == [f"the NSS database {tmp_path / 'home' / place}" for place in places]
    assert len(stores(replace(moved, data=str(tmp_path / "home/.local/share")))) == len(places) - 1, "each once"
    database, nickname = f"sql:{tmp_path / 'home' / places[0]}", f"seatpool {root.tag}"
    assert list(found[0].commands(put=[root], take=[root])) == [
        ("certutil", "-d", database, "-A", "-t", "C,,", "-n", nickname, "-i", str(root.file)),
        ("certutil", "-d", database, "-D", "-n", nickname),
    ]
    assert {store.lacking for store in found} == {None}


def test_a_database_without_its_program_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "home/.pki/nssdb").mkdir(parents=True)
    (tmp_path / "home/.pki/nssdb/cert9.db").touch()
    (store,) = stores(machine(tmp_path))
    assert store.lacking is not None
    assert "libnss3-tools" in store.lacking


def test_a_machine_may_have_no_store_at_all(tmp_path: Path) -> None:
    assert stores(machine(tmp_path)) == ()
