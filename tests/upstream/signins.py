"""What the sign-ins of both providers have in common: who sits at the browser, and the pages they see there."""

from dataclasses import dataclass
from html import escape

from tests.upstream.tokens import carrier

LOOKS = frozenset({"allow", "deny", "expire", "never"})


@dataclass(slots=True)
class Person:
    """Who signs in, and what they do with the code of a device flow. In a browser flow they press a link themselves."""

    account: str
    decision: str = "allow"
    """`allow`, `deny` (GitHub only), `expire`: the issuer finds that time is up, or `never`."""
    pending: int = 0
    """How many looks come too early."""
    slow_down: int = 0
    """How many looks are told to come less often; those come first."""
    interval_s: int = 1
    expires_in_s: int = 900
    disabled: bool = False
    """No device codes are given out."""

    def __post_init__(self) -> None:
        if self.decision not in LOOKS:
            raise ValueError(f"nobody decides {self.decision!r}")

    def look(self) -> str:
        """What the next look finds: `slow_down`, `pending`, or the decision."""
        if self.slow_down:
            self.slow_down -= 1
            return "slow_down"
        if self.pending or self.decision == "never":
            self.pending = max(0, self.pending - 1)
            return "pending"
        return self.decision


@dataclass(slots=True)
class Grant:
    """A code that buys tokens once, for who knows the verifier."""

    account: str
    number: int
    redirect_uri: str
    challenge: str
    state: str = ""
    used: bool = False

    @property
    def code(self) -> str:
        """The code itself."""
        return carrier("ac", self.account, self.number)


def page(title: str, text: str, **links: str) -> str:
    """A page with a link for each of `links`, whose names are their ids."""
    anchors = " ".join(
        f'<a id="{name}" href="{escape(target)}">{escape(name.capitalize())}</a>' for name, target in links.items()
    )
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title></head>'
    return f"{head}<body><h1>{escape(title)}</h1><p>{escape(text)}</p><p>{anchors}</p></body></html>"


HTML = {"content-type": "text/html; charset=utf-8"}
