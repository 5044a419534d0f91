"""What a sign-in is made of: a pure conversation between a provider, the person and the issuer.

Like a renewal, a sign-in is a generator that never opens a connection itself. It yields what is to be done next and is
sent what came of it; whoever drives it (`service/logins/signin`) owns the clock, the network and the screen.
"""

from collections.abc import Callable, Generator, Mapping
from datetime import datetime

import msgspec

from seatpool.core.model import QuotaWindow
from seatpool.core.silence import silent
from seatpool.providers.http import HttpReply, HttpRequest
from seatpool.providers.logins import ImportedLogin

Clock = Callable[[], datetime]


class Invitation(msgspec.Struct, frozen=True):
    """Yielded once by a device flow: show this to the person. Sent back: None."""

    url: str
    """Where to confirm, in any browser on any machine."""
    code: str
    """What to type there."""
    expires_at: datetime
    """Until when; the sign-in ends by itself then."""
    needs: str = ""
    """What has to be so for the code to be taken, where the page tells that late; one line."""

    __repr__ = silent("code")


class Pause(msgspec.Struct, frozen=True):
    """Yielded between two looks at a device flow: wait so long. Sent back: None."""

    seconds: float


class Visit(msgspec.Struct, frozen=True):
    """Yielded once by a browser flow: open this, and wait for the browser to come to the redirect address.

    Sent back: a `Callback`, or None when nobody came until `expires_at`.
    """

    url: str
    expires_at: datetime

    __repr__ = silent("url")


class Callback(msgspec.Struct, frozen=True):
    """The query with which the browser came to the redirect address."""

    query: Mapping[str, str]

    __repr__ = silent("query")


class SignedIn(msgspec.Struct, frozen=True):
    """It went well, and the account was checked."""

    login: ImportedLogin
    windows: tuple[QuotaWindow, ...] = ()
    """What the issuer told of its quota."""
    doubts: tuple[str, ...] = ()
    """One line each: a check that could not be made, or a seat that is missing. The login itself is good."""


class NotSignedIn(msgspec.Struct, frozen=True):
    """It ended without a login."""

    code: str
    """Stable: `denied`, `expired`, `offline`, `device-flow-disabled`, `state-mismatch`, ..."""
    message: str
    """One line for the person: what happened, and how to mend it. Never a token or a code."""


Step = HttpRequest | Invitation | Pause | Visit
SignIn = Generator[Step, HttpReply | Callback | None, SignedIn | NotSignedIn]
"""Send None to start; after a request send the reply, or None where the issuer could not be reached."""
