"""The system's authorities and seatpool's own in one file, for programs that trust what they are told and nothing else.

Codex adds `SSL_CERT_FILE` to what it trusts; curl, Python and whatever else it runs trust that file alone, and reach
the rest of the world through the proxy untouched. So the file that is named there has to hold both. It is made by
`seatpool setup` and at each start of `seatpool run`, and anew with each change of the roots.
"""

import os
import ssl
from collections.abc import Mapping
from pathlib import Path

from seatpool import inplace

BUNDLE = "with-system-roots.pem"
SYSTEM_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Arch
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora, whose 44 has it nowhere else
    "/var/lib/ca-certificates/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # macOS, Alpine
)
_BASE = "# made by seatpool of its own roots and of "
_ASKED = "what the system's library knows"
_VARIABLE = "SSL_CERT_FILE"


def write(folder: Path, trusted: bytes, environ: Mapping[str, str]) -> Path:
    """Make it, or make it anew, of the file that the person has named for this already, else of the system's.

    Raises `OSError`.
    """
    file = folder / BUNDLE
    named = environ.get(_VARIABLE, "")
    foreign = named and Path(named).parent != folder and Path(named).is_file()
    base = named if foreign else _base_of(file) or _system_file()
    system = Path(base).read_bytes() if base else _from_library()
    content = f"{_BASE}{base or _ASKED}\n".encode() + _ending(trusted) + _ending(system)
    if not file.exists() or file.read_bytes() != content:
        draft = folder / f".{BUNDLE}.{os.getpid()}"
        with inplace.drafting(draft, file):
            draft.write_bytes(content)
            inplace.put(draft, file)
    return file


def refresh(folder: Path, trusted: bytes) -> None:
    """Make it anew where there is one; what keeps from it today keeps nothing else, and the next start tries again."""
    if (folder / BUNDLE).exists():
        keep(folder, trusted, {})


def keep(folder: Path, trusted: bytes, environ: Mapping[str, str]) -> None:
    """As `refresh`, and where there is none, too: Codex reaches nobody whose settings name one that is gone.

    They outlive a data directory that was deleted, and come to another machine with a person's dotfiles.
    """
    try:
        write(folder, trusted, {} if (folder / BUNDLE).exists() else environ)
    except OSError:
        pass


def _base_of(file: Path) -> str | None:
    """The one that it was made of before."""
    try:
        with file.open(encoding="utf-8") as stream:
            base = stream.readline().removeprefix(_BASE).strip()
    except (OSError, UnicodeDecodeError):
        return None
    return base if Path(base).is_file() else None


def _system_file() -> str | None:
    return next((name for name in SYSTEM_FILES if Path(name).is_file()), None)


def _from_library() -> bytes:
    """Of Windows, mostly, whose store has what its programs have needed so far; so with those of certifi."""
    import certifi

    found = ssl.create_default_context().get_ca_certs(binary_form=True)
    return "".join(map(ssl.DER_cert_to_PEM_cert, found)).encode() + Path(certifi.where()).read_bytes()


def _ending(pem: bytes) -> bytes:
    return pem if pem.endswith(b"\n") else pem + b"\n"
