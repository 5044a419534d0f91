"""Who puts rules into the system and takes them out again: nftables, iptables, pf.

All of it is idempotent: `put` replaces what an earlier one has put, `take` leaves nothing, whoever has put it.
"""

import ctypes
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Protocol

from seatpool.setup.transparent import TransparentError
from seatpool.setup.transparent.rules import ANCHOR, CHAIN, NAME, Rules, iptables, nft, pf

_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
"""Firewalls live where a person's path may not lead."""
_TABLE = ("inet", NAME)
PATIENCE_S = 30.0


class Backend(Protocol):
    """One firewall. All but `lacking` and `text` raise `TransparentError`, and want root."""

    @property
    def name(self) -> str:
        """As a person calls it."""

    @property
    def note(self) -> str | None:
        """What has to be remembered for `take`, where another process calls it."""

    def lacking(self) -> str | None:
        """What is missing before it can be used here."""

    def text(self, rules: Rules) -> str:
        """What would be loaded."""

    def put(self, rules: Rules) -> None:
        """Load them, in place of earlier ones."""

    def take(self, note: str | None = None) -> None:
        """Take them out; nothing where there are none."""

    def present(self) -> bool:
        """Whether there are any."""


class Nft:
    """nftables. Where the kernel can, the table belongs to this process: whatever ends it takes the rules along."""

    name = "nft"
    note = None

    def __init__(self) -> None:
        self._library = _Library.open()
        self._owned = False

    def lacking(self) -> str | None:
        return _missing("nft")

    def text(self, rules: Rules) -> str:
        return nft(rules, owned=self._library is not None)

    def put(self, rules: Rules) -> None:
        wrong = self._library.run(nft(rules, owned=True)) if self._library else "no library"
        if not wrong:
            self._owned = True
        elif self._owned:
            raise TransparentError(f"nft: {_first_line(wrong)}")
        else:
            _do("nft", "-f", "-", stdin=nft(rules, owned=False))

    def take(self, note: str | None = None) -> None:
        if self._owned and self._library is not None:
            self._library.run(f"delete table {' '.join(_TABLE)}")
            self._owned = False
        elif self.present():
            _do("nft", "delete", "table", *_TABLE)

    def present(self) -> bool:
        return _try("nft", "list", "table", *_TABLE).returncode == 0


class _Library:
    """libnftables, which `nft` itself is made of: so that the rules are loaded by this very process."""

    def __init__(self, library: ctypes.CDLL) -> None:
        library.nft_ctx_new.restype = library.nft_ctx_get_error_buffer.restype = ctypes.c_void_p
        library.nft_ctx_buffer_error.argtypes = library.nft_ctx_get_error_buffer.argtypes = [ctypes.c_void_p]
        library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        self._library = library
        self._context: int | None = None

    @classmethod
    def open(cls) -> "_Library | None":
        """None where there is none."""
        try:
            return cls(ctypes.CDLL("libnftables.so.1"))
        except (OSError, AttributeError):
            return None

    def run(self, text: str) -> str:
        """What is wrong with it; empty where all is well, and otherwise nothing was done."""
        if self._context is None:
            # Not before it is needed: without root it would end this process.
            self._context = self._library.nft_ctx_new(0)
            self._library.nft_ctx_buffer_error(self._context)
        if self._library.nft_run_cmd_from_buffer(self._context, text.encode()) == 0:
            return ""
        said = ctypes.string_at(self._library.nft_ctx_get_error_buffer(self._context))
        return said.decode(errors="replace").strip() or "refused"


class Iptables:
    """iptables and ip6tables, of either make. Its rules stay when a process dies; whoever comes next takes them out."""

    name = "iptables"
    note = None
    _versions = ((4, "iptables"), (6, "ip6tables"))
    _tables = ("nat", "filter")

    def lacking(self) -> str | None:
        return _missing("iptables-restore") or _missing("ip6tables-restore")

    def text(self, rules: Rules) -> str:
        parts = (f"# {program}-restore --noflush\n{iptables(rules, v)}" for v, program in self._versions)
        return "".join(parts) + f"# and in both tables of both: -I OUTPUT -j {CHAIN}\n"

    def put(self, rules: Rules) -> None:
        for version, program in self._versions:
            if version == 6 and not rules.hosts6 and not _has_ipv6():
                continue
            _do(f"{program}-restore", "--noflush", "-w", "5", stdin=iptables(rules, version))
            for table in self._tables:
                jump = ("OUTPUT", "-j", CHAIN)
                if _try(program, "-w", "5", "-t", table, "-C", *jump).returncode != 0:
                    _do(program, "-w", "5", "-t", table, "-I", *jump)

    def take(self, note: str | None = None) -> None:
        for program, table in self._ours():
            in_table = (program, "-w", "5", "-t", table)
            while _try(*in_table, "-D", "OUTPUT", "-j", CHAIN).returncode == 0:
                pass
            _do(*in_table, "-F", CHAIN)
            _do(*in_table, "-X", CHAIN)

    def present(self) -> bool:
        return any(True for _ in self._ours())

    def _ours(self) -> Iterator[tuple[str, str]]:
        for _, program in self._versions:
            for table in self._tables:
                # -S asks about every table that there is and makes none.
                if _try(program, "-w", "5", "-t", table, "-S", CHAIN).returncode == 0:
                    yield program, table


class Pf:
    """macOS' packet filter: an anchor, and a reference that keeps the filter enabled for as long as it is needed."""

    name = "pf"

    def __init__(self) -> None:
        self.note: str | None = None

    def lacking(self) -> str | None:
        return _missing("pfctl")

    def text(self, rules: Rules) -> str:
        return pf(rules)

    def put(self, rules: Rules) -> None:
        _do("pfctl", "-q", "-a", ANCHOR, "-f", "-", stdin=pf(rules))
        if self.note is None:
            enabled = _do("pfctl", "-E")
            token = re.search(r"Token\s*:\s*(\d+)", enabled.stdout + enabled.stderr)
            self.note = token[1] if token else None

    def take(self, note: str | None = None) -> None:
        token, self.note = self.note or note, None
        _do("pfctl", "-q", "-a", ANCHOR, "-F", "all")
        if token is not None:
            _try("pfctl", "-X", token)

    def present(self) -> bool:
        return bool(_try("pfctl", "-q", "-a", ANCHOR, "-s", "nat").stdout.strip())


BACKENDS: dict[str, Callable[[], Backend]] = {"nft": Nft, "iptables": Iptables, "pf": Pf}
_BY_SYSTEM = {"Linux": ("nft", "iptables"), "Darwin": ("pf",)}


def chosen(name: str | None = None) -> Backend:
    """The one that a person names, else the first that is here. Raises `TransparentError`."""
    names = (name,) if name else _BY_SYSTEM.get(platform.system(), ())
    if not names:
        raise TransparentError(f"transparent mode is for Linux and macOS, not for {platform.system()}")
    for backend in (BACKENDS[each]() for each in names):
        if backend.lacking() is None:
            return backend
    missing = " or ".join(names)
    raise TransparentError(f"no {missing} on this machine: install nftables (Debian: apt-get install nftables)")


def all_here() -> Iterator[Backend]:
    """Every one that could have put rules."""
    for name in _BY_SYSTEM.get(platform.system(), ()):
        backend = BACKENDS[name]()
        if backend.lacking() is None:
            yield backend


def _has_ipv6() -> bool:
    return _try("ip6tables", "-w", "5", "-t", "nat", "-S").returncode == 0


def _missing(program: str) -> str | None:
    return None if shutil.which(program, path=_PATH) else program


def _try(*argv: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    program = shutil.which(argv[0], path=_PATH) or argv[0]
    try:
        return subprocess.run(  # noqa: S603 # a firewall's own program, no shell
            [program, *argv[1:]], input=stdin, capture_output=True, text=True, check=False, timeout=PATIENCE_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TransparentError(f"{argv[0]}: {error}") from None


def _do(*argv: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    ran = _try(*argv, stdin=stdin)
    if ran.returncode != 0:
        raise TransparentError(f"{argv[0]}: {_first_line(ran.stderr or ran.stdout) or f'exit code {ran.returncode}'}")
    return ran


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]
