"""The page that the browser ends on: plain HTML that loads nothing, runs nothing and is kept nowhere."""

import base64
import hashlib
from html import escape
from http import HTTPStatus
from string import Template

import msgspec

_STYLE = """
:root { color-scheme: light dark }
body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 18vh auto 0; padding: 0 1.5rem }
h1 { font-size: 1.6rem; margin: 0 0 .5rem }
p { margin: 0 0 .5rem; overflow-wrap: anywhere }
.mark { font-size: 2.5rem; margin: 0 }
.good { color: light-dark(#1a7f37, #3fb950) }
.bad { color: light-dark(#cf222e, #f85149) }
footer { margin-top: 2rem; opacity: .7; font-size: .9rem }
"""
_DOCUMENT = Template("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title - seatpool</title>
<style>$style</style>
</head>
<body>
<main>
<p class="mark $tone" aria-hidden="true">$mark</p>
<h1>$title</h1>
<p>$text</p>
<p>$next</p>
</main>
<footer>seatpool, on this machine</footer>
</body>
</html>
""")
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

_POLICY = (
    "default-src 'none'",
    f"style-src 'sha256-{_STYLE_HASH}'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
)
HEADERS = (
    ("content-type", "text/html; charset=utf-8"),
    ("cache-control", "no-store"),
    ("content-security-policy", "; ".join(_POLICY)),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("cross-origin-opener-policy", "same-origin"),
    ("connection", "close"),
)
"""The address of the page holds a code: nobody is to be told it, and nothing is to be run beside it."""

_CLOSE = "You can close this tab."


class Page(msgspec.Struct, frozen=True):
    """What one answer says; every field is plain text."""

    title: str
    text: str
    next: str = _CLOSE
    good: bool = False
    status: HTTPStatus = HTTPStatus.OK

    def html(self) -> bytes:
        """The whole document."""
        words = {"title": self.title, "text": self.text, "next": self.next}
        tone = {"tone": "good", "mark": "\u2713"} if self.good else {"tone": "bad", "mark": "\u2717"}
        return _DOCUMENT.substitute({k: escape(v) for k, v in words.items()}, style=_STYLE, **tone).encode()


def signed_in(name: str, plan: str | None) -> Page:
    """It went well, and the account is in the pool under `name`."""
    who = f"{name} ({plan})" if plan else name
    return Page(f"Signed in as {who}", "The account is in your pool.", good=True)


def denied(message: str) -> Page:
    """The person, or an administrator, said no."""
    return Page("Sign-in denied", message)


def failed(message: str) -> Page:
    """Anything else that ended it."""
    return Page("Sign-in failed", message)


INTERRUPTED = Page("Sign-in ended", "It was ended in the terminal; nothing was stored.")
FORGED = Page(
    "Not the sign-in that was begun",
    "This address does not belong to the sign-in that is waiting; it goes on waiting, and nothing was changed.",
    "Go back to the tab in which you began, or start again in the terminal.",
    status=HTTPStatus.BAD_REQUEST,
)
NOT_FOUND = Page("Nothing here", "Only the end of a sign-in is.", status=HTTPStatus.NOT_FOUND)
NOT_GET = Page("Nothing to send here", "A sign-in ends with a GET.", status=HTTPStatus.METHOD_NOT_ALLOWED)
NOT_THIS_HOST = Page("Not this host", "This is reached by its loopback address alone.", status=HTTPStatus.FORBIDDEN)
MALFORMED = Page("Not understood", "That was no request that a browser makes.", status=HTTPStatus.BAD_REQUEST)
