"""What is handed on to mitmdump, as far as a start has to know of it. What is wrong with it mitmdump says itself."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import msgspec

from seatpool.setup.address import HOST, proxy_url
from seatpool.setup.authority import default_folder

CONFIG = ("config.yaml", "config.yml")
"""In mitmproxy's `confdir`, written by a person: options, and passwords among them. The last that is there counts."""

_PROXIES = ("regular", "upstream")
"""Modes whose clients are told of an HTTP proxy."""
_SOCKETS = (*_PROXIES, "socks5", "transparent", "reverse")
"""Those that listen for TCP."""
_REACHED: Mapping[str, str] = MappingProxyType({"": HOST, "0.0.0.0": HOST, "::": "::1"})  # noqa: S104 # compared with
"""Who listens on every address is reached here."""


class HandedOn(msgspec.Struct, frozen=True):
    """None: mitmdump is not told."""

    port: int | None = None
    """Of two that it is told mitmdump takes the last, and a mode's own before both."""
    confdir: Path | None = None
    """mitmdump refuses an option that is set twice."""
    host: str | None = None
    """As the port."""
    is_proxy: bool = True
    """Whether a mode is among it whose clients are told of an HTTP proxy; without any it is mitmdump's own."""
    goes_on: bool = False
    """To another proxy."""

    def url(self, port: int) -> str:
        """Where this machine reaches it; `port` is what mitmdump is told before."""
        host = HOST if self.host is None else _REACHED.get(self.host, self.host)
        return proxy_url(port if self.port is None else self.port, host)


class _Mode(msgspec.Struct, frozen=True):
    """`KIND[:DATA][@[HOST:]PORT]`; None: it has none of its own."""

    kind: str
    host: str | None
    port: int | None


def read(arguments: Sequence[str]) -> HandedOn:
    """From mitmdump's own arguments."""
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument("--listen-host")
    parser.add_argument("--listen-port", "-p")
    parser.add_argument("--mode", "-m", action="append", default=[])
    parser.add_argument("--set", action="append", default=[])
    try:
        found, _ = parser.parse_known_args(arguments)
    except argparse.ArgumentError:
        return HandedOn()
    options = [option.partition("=")[::2] for option in found.set]
    confdir = dict(options).get("confdir")
    named = found.mode or [value for name, value in options if name == "mode"]
    modes = [_mode(text) for text in named or _configured(default_folder() if confdir is None else Path(confdir))]
    door = next((mode for kinds in (_PROXIES, _SOCKETS) for mode in modes if mode.kind in kinds), _Mode("", None, None))
    return HandedOn(
        _number(found.listen_port or "") if door.port is None else door.port,
        Path(confdir).expanduser() if confdir is not None else None,
        found.listen_host if door.host is None else door.host,
        not modes or door.kind in _PROXIES,
        any(mode.kind == "upstream" for mode in modes),
    )


def _configured(folder: Path) -> list[str]:
    """Modes that stand in a file. Of host and port we say something ourselves, which goes before."""
    for file in (folder.expanduser() / name for name in reversed(CONFIG)):
        if file.is_file():
            modes = _options(file).get("mode") or []
            return [str(mode) for mode in (modes if isinstance(modes, list) else [modes])]
    return []


def _options(file: Path) -> Mapping[str, object]:
    from ruamel.yaml import YAML  # it takes long to load
    from ruamel.yaml.error import YAMLError

    try:
        read = YAML(typ="safe", pure=True).load(file)
    except (OSError, YAMLError, ValueError, TypeError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}


def _mode(text: str) -> _Mode:
    """As mitmproxy takes it apart."""
    head, _, at = text.rpartition("@")
    head, at = (head, at) if head else (at, "")
    host, colon, port = at.rpartition(":")
    return _Mode(head.partition(":")[0].lower(), host if colon else None, _number(port))


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None
