"""Where the proxy listens unless a person says otherwise, and what addresses of a proxy mean the same."""

import re
from urllib.parse import urlsplit

import msgspec

HOST = "127.0.0.1"
PORT = 8080
VARIABLES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
"""In the order in which programs heed them; the Copilot CLI heeds the first two alone (copilot-observed.md 5)."""
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_DEFAULT_PORTS = {"http": 80, "https": 443}
_PASSWORD = re.compile(r"(//[^:/@\s]*):.+@|([^:/@\s'\"=,]+):(?!\w+://|//|(?<=\b[A-Za-z]:)[/\\])\S+@")
"""As far as the last `@`: of the line behind a scheme, where clients take a blank as well; of the word without one.

`C:/` begins a path."""
_LOGIN = re.compile(r"((?:[a-z][a-z0-9+.-]*://)?[^:/@\s]*)(:.*)?@", re.IGNORECASE | re.DOTALL)


class NoProxy(ValueError):
    """The text is one line that says what is wrong with an address."""


class Address(msgspec.Struct, frozen=True):
    """A proxy, as clients are told of it."""

    url: str
    host: str
    port: int
    has_login: bool
    """Whether a name or a password stands in it."""


def proxy_url(port: int = PORT, host: str = HOST) -> str:
    """With its scheme: without one Codex's WebSockets fail (codex-observed.md 8)."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def parse(url: str) -> Address:
    """Raises `NoProxy` for what clients could not use."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or port is None or parts.scheme != "http" or parts.path not in ("", "/") or parts.query:
        raise NoProxy(f"{_place_alone(url)!r} is no proxy that every client takes; name http://HOST:PORT")
    if re.search(r"[\s'\"\\$`]", url):
        raise NoProxy(f"{_place_alone(url)!r} has a character that settings and shells do not take; write it as %XX")
    return Address(url.rstrip("/"), host, port, parts.username is not None)


def is_here(url: str) -> bool:
    """Whether it names a port of this machine's own."""
    try:
        parts = urlsplit(url)
        return parts.scheme == "http" and parts.hostname in _LOOPBACK and bool(parts.port)
    except ValueError:
        return False


def same(one: str, other: str) -> bool:
    """Whether both name one proxy; the loopback has several names."""
    return _place(one) == _place(other)


def _place(url: str) -> tuple[str, int | None, str | None] | str:
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host = "loopback" if parts.hostname in _LOOPBACK else parts.hostname
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return url
    return (host, port, parts.username) if host else url


def hidden(text: str) -> str:
    """With `***` for the passwords of addresses, which may stand among other words. Hides rather too much."""
    return _PASSWORD.sub(r"\1\2:***@", text)


def shown(address: str) -> str:
    """One address, whoever wrote it, with `***` for its password; for its whole login where none can be made out."""
    login, sign, place = address.rpartition("@")
    found = _LOGIN.fullmatch(login + sign)
    if not sign or (found and not found[2]):
        return address
    return f"{found[1]}:***@{place}" if found else f"***@{place}"


def _place_alone(url: str) -> str:
    """Of what could not be read: nothing that may be a login."""
    _, sign, place = url.rpartition("@")
    return f"***@{place}" if sign else url
