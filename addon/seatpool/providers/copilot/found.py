"""A GitHub token that stands in some program's file, judged, and made a login of the person whom it belongs to."""

import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

import msgspec

from seatpool.core.model import Credential, CredentialKind, ProviderName
from seatpool.core.silence import silent
from seatpool.providers.copilot import auth
from seatpool.providers.logins import ImportedLogin, NotALogin

ATTR_APP = "app"
"""Key of the credential's attributes: client id of the app that the person signed in with."""

PLUGIN_APP = "Iv1.b507a08c87ecfe98"
MINTING_APPS = (PLUGIN_APP, "Ov23liV9UpD7Rnfnskm3", "01ab8ac9400c4e429b23")
"""Apps whose tokens can be exchanged; where one person has several, theirs serve more requests (copilot.md 10)."""

CLI_APP = "Ov23ctDVkRmgkPke0Mmm"
OPENCODE_APP = "Ov23li8tweQw6odWQebz"
GH_APP = "178c6fc778ccc68e1d6a"
DIRECT_APPS = (CLI_APP, OPENCODE_APP, GH_APP)
"""Apps whose tokens are sent as they are and cannot be exchanged (copilot.md 2.4, 2.6, 10)."""

DIRECT_ONLY = "serves the Copilot CLI's kind of traffic, not editors"
PERHAPS_DIRECT = "serves the Copilot CLI's kind of traffic, and editors only if an editor's sign-in made the token"

_TOKEN = re.compile(r"(?:gho|ghu|github_pat)_\w{4,255}", re.ASCII)
_USER = re.compile(r"[A-Za-z0-9](?:[\w.-]{0,99})", re.ASCII)
_NOBODY: Mapping[str, str] = MappingProxyType({})


class Found(msgspec.Struct, frozen=True):
    """What a file says of one token."""

    issuer: str
    user: str
    """Empty where the file does not say."""
    token: str
    app: str
    """Client id of the app that it was made for; empty where the file does not say."""
    program: str

    __repr__ = silent("token")


def issuer_of(address: str) -> str | None:
    """The issuer that a host or an `https://` address names, whatever follows a colon; None for any other host."""
    return auth.issuer_of(address.lower().removeprefix("https://").partition(":")[0].rstrip("/"))


def one_each(name: str, tokens: Iterable[Found]) -> tuple[ImportedLogin, ...]:
    """A login per person, from the app whose tokens can do most. `NotALogin`, about the first, where none is good."""
    found: dict[str, ImportedLogin] = {}
    reasons: list[str] = []
    for login in _judged(tokens, reasons):
        person = login.identity or login.credentials[0].token
        rival = found.get(person)
        if rival is None or _rank(login) < _rank(rival):
            found[person] = login
    if not found:
        raise NotALogin(f"{name}: {reasons[0] if reasons else 'nobody is signed in'}")
    return tuple(found.values())


def _judged(tokens: Iterable[Found], reasons: list[str]) -> Iterator[ImportedLogin]:
    for token in tokens:
        wrong = _wrong(token)
        if wrong is None:
            yield _login(token)
        else:
            reasons.append(wrong)


def _wrong(found: Found) -> str | None:
    """What is wrong with a token, without a word of what it is."""
    if not found.token:
        return f"holds no token; sign in again in {found.program}"
    if found.token.startswith("ghp_"):
        return (
            "holds a classic personal access token (ghp_), which Copilot does not take; sign in with the editor instead"
        )
    if not _TOKEN.fullmatch(found.token):
        return "holds something that is not a GitHub token of an editor"
    if found.user and not _USER.fullmatch(found.user):
        return f"does not say whose token it holds; sign in again in {found.program}"
    return None


def _login(found: Found) -> ImportedLogin:
    handle = f"{found.issuer}/{found.user}".lower() if found.user else None
    app = {ATTR_APP: found.app} if found.app else _NOBODY
    return ImportedLogin(
        provider=ProviderName.COPILOT,
        name=_suggested_name(found),
        identity=handle,
        issuer=found.issuer,
        credentials=(Credential(CredentialKind.GITHUB_OAUTH, found.token, attributes=app),),
        handle=handle,
        program=found.program,
        note=limits(found.app, found.token),
    )


def _suggested_name(found: Found) -> str:
    tenant = found.issuer.removesuffix(".ghe.com") if found.issuer != auth.GITHUB else ""
    return "-".join(part for part in (found.user, tenant) if part) or "copilot"


def limits(app: str, token: str) -> str:
    """What a token cannot serve; empty where it serves everything, or an app of an unknown kind made it.

    `ghu_` is what a plugin's GitHub App gets; a fine-grained PAT cannot be exchanged (copilot.md 2.4).
    """
    if app in DIRECT_APPS or token.startswith("github_pat_"):
        return DIRECT_ONLY
    return "" if app or token.startswith("ghu_") else PERHAPS_DIRECT


def _rank(login: ImportedLogin) -> int:
    return 0 if login.credentials[0].attributes.get(ATTR_APP) in MINTING_APPS else 1
