"""Logins in the files of Copilot's plugins: `apps.json` and the older `hosts.json` (copilot-observed.md 1)."""

import re
from collections.abc import Iterator

from seatpool.core.model import Credential, CredentialKind, ProviderName
from seatpool.providers.base import ImportedLogin, NotALogin
from seatpool.providers.copilot.auth import GITHUB, tenant_of
from seatpool.providers.copilot.wire import text
from seatpool.providers.tolerant import Json, mapping, read_json

FILES = ("apps.json", "hosts.json")
_TOKEN_FIELD = "oauth_token"  # noqa: S105 # a field's name

ATTR_APP = "app"
"""Key of the credential's attributes: client id of the app that the person signed in with."""

_MINTING_APPS = ("Iv1.b507a08c87ecfe98", "Ov23liV9UpD7Rnfnskm3", "01ab8ac9400c4e429b23")
"""Apps whose tokens can be exchanged; where one person has several, theirs serve more requests (copilot.md 10)."""

_Entry = tuple[str, str, Json]
"""Issuer, key, value."""

_TOKEN = re.compile(r"(?:gho|ghu|github_pat)_\w{4,255}", re.ASCII)
_USER = re.compile(r"[A-Za-z0-9](?:[\w.-]{0,99})", re.ASCII)


def read_login(name: str, content: bytes) -> tuple[ImportedLogin, ...] | None:
    """The logins in a plugin's file, one per person; None when it is not such a file.

    Raises `NotALogin` when it is one, but is cut short or has no token that Copilot takes.
    """
    document = read_json(content.removeprefix(b"\xef\xbb\xbf"))
    if document is None:
        if name in FILES or _TOKEN_FIELD.encode() in content:
            raise NotALogin(f"{name}: not complete JSON" if content.strip() else f"{name}: empty")
        return None
    ours: list[_Entry] = [
        (issuer, key, entry)
        for key, entry in mapping(document).items()
        if isinstance(entry, dict) and (issuer := _issuer(key)) is not None and _looks_ours(key, entry)
    ]
    if not ours:
        if name in FILES and document == {}:
            raise NotALogin(f"{name}: nobody is signed in")
        return None
    return _one_each(name, ours)


def _issuer(key: str) -> str | None:
    """The host of `github.com`, `github.com:<app>` or a tenant's."""
    host = key.lower().removeprefix("https://").partition(":")[0].rstrip("/")
    return GITHUB if host == GITHUB else tenant_of(host)


def _looks_ours(key: str, entry: Json) -> bool:
    return _TOKEN_FIELD in entry or "githubAppId" in entry or (":" in key and "user" in entry) or set(entry) == {"user"}


def _one_each(name: str, entries: list[_Entry]) -> tuple[ImportedLogin, ...]:
    """A login per person, from the app whose tokens can do most."""
    found: dict[str | None, ImportedLogin] = {}
    reasons: list[str] = []
    for login in _read_all(name, entries, reasons):
        rival = found.get(login.identity)
        if rival is None or _rank(login) < _rank(rival):
            found[login.identity] = login
    if not found:
        raise NotALogin(reasons[0])
    return tuple(found.values())


def _read_all(name: str, entries: list[_Entry], reasons: list[str]) -> Iterator[ImportedLogin]:
    for issuer, key, entry in entries:
        wrong = _wrong(entry)
        if wrong is not None:
            reasons.append(f"{name}: {wrong}")
            continue
        user = text(entry.get("user"))
        app = text(entry.get("githubAppId")) or key.removeprefix("https://").partition(":")[2]
        credential = Credential(
            CredentialKind.GITHUB_OAUTH,
            text(entry.get(_TOKEN_FIELD)),
            attributes={ATTR_APP: app} if app else {},
        )
        tenant = issuer.removesuffix(".ghe.com") if issuer != GITHUB else ""
        yield ImportedLogin(
            provider=ProviderName.COPILOT,
            name=f"{user}-{tenant}" if tenant else user,
            identity=f"{issuer}/{user}".lower(),
            issuer=issuer,
            credentials=(credential,),
        )


def _wrong(entry: Json) -> str | None:
    """What is wrong with an entry, without a word of what it holds."""
    token = text(entry.get(_TOKEN_FIELD))
    if not token:
        return "holds no token; sign in again in the editor"
    if token.startswith("ghp_"):
        return (
            "holds a classic personal access token (ghp_), which Copilot does not take; sign in with the editor instead"
        )
    if not _TOKEN.fullmatch(token):
        return "holds something that is not a GitHub token of an editor"
    if not _USER.fullmatch(text(entry.get("user"))):
        return "does not say whose token it holds; sign in again in the editor"
    return None


def _rank(login: ImportedLogin) -> int:
    return 0 if login.credentials[0].attributes.get(ATTR_APP) in _MINTING_APPS else 1
