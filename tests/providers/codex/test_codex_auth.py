from datetime import timedelta
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from seatpool.core.model import Account, CredentialKind, ProviderName
from seatpool.providers.codex import CODEX
from seatpool.providers.http import Headers
from tests.providers.codex.codex_material import ACCOUNT, FACTS, NOW, SOCKET_FACTS, access_token, at, credential

KIND = CredentialKind.CODEX_OAUTH


# -- where a credential may go


@pytest.mark.parametrize(
    "origin",
    [
        "https://chatgpt.com",
        "https://us.chatgpt.com",
        "https://a.b.chatgpt.com:8443",
        "https://chatgpt.com:443",
        "https://auth.openai.com",
    ],
)
def test_the_issuers_hosts_may_receive(origin: str) -> None:
    assert CODEX.may_receive(ACCOUNT, origin)


FOREIGN = [
    "http://chatgpt.com",
    "wss://chatgpt.com",
    "chatgpt.com",
    "https://chatgpt.com.",
    "https://CHATGPT.com",
    "https://chatgpt.com/",
    "https://chatgpt.com/@evil.example",
    "https://chatgpt.com@evil.example",
    "https://user@chatgpt.com",
    "https://user:secret@chatgpt.com",
    "https://evil.example\\.chatgpt.com",
    "https://evil.example\\@chatgpt.com",
    "https://evil.example#.chatgpt.com",
    "https://evil.example?.chatgpt.com",
    "https://evil.example/.chatgpt.com",
    "https://evil.example%2F.chatgpt.com",
    "https://chatgpt.com.evil.example",
    "https://evilchatgpt.com",
    "https://-.chatgpt.com",
    "https://.chatgpt.com",
    "https://a..chatgpt.com",
    "https://chatgpt.com:",
    "https://chatgpt.com:0",
    "https://chatgpt.com:65536",
    "https://chatgpt.com:443@evil.example",
    "https://chatgpt.com\n",
    "\thttps://chatgpt.com",
    "https://chatgpt\u3002com",  # an ideographic full stop, a dot to IDNA
    "https://\u0441hatgpt.com",  # a Cyrillic letter
    "https://chatg\uff50t.com",  # a full-width letter, ASCII to IDNA
    "https://[::1]",
    "https://api.openai.com",
    "https://openai.com",
    "https://x.auth.openai.com",
    "",
]


@pytest.mark.parametrize("origin", FOREIGN)
def test_no_trick_of_spelling_opens_another_host(origin: str) -> None:
    assert not CODEX.may_receive(ACCOUNT, origin)


def test_an_account_of_another_provider_gets_nothing_there() -> None:
    other = Account(2, ProviderName.COPILOT, "x", "y", "github.com")
    assert not CODEX.may_receive(other, "https://chatgpt.com")


TRICKS = st.sampled_from(
    [
        *("https://", "http://", "chatgpt.com", "CHATGPT.COM", "auth.openai.com", "evil.example", "us", "xn--", "443"),
        *(".", "@", ":", "/", "\\", "#", "?", "%2e", "[", "]", "-", " ", "\n", "\x00"),
        *("\u3002", "\uff0e", "\u0131", "\u212a"),  # dots to IDNA; letters that change case into ASCII
    ]
)


@given(st.one_of(st.text(), st.lists(TRICKS, max_size=8).map("".join)))
@example("https://evil.example\\.chatgpt.com")
def test_whatever_passes_is_the_issuers_to_two_independent_parsers(origin: str) -> None:
    if not CODEX.may_receive(ACCOUNT, origin):
        return
    parts, other = urlsplit(origin), httpx.URL(origin)
    assert parts.scheme == other.scheme == "https"
    assert parts.hostname == other.host
    assert other.host == "auth.openai.com" or f".{other.host}".endswith(".chatgpt.com")
    assert (parts.username, other.userinfo) == (None, b"")


# -- edits


def test_edits_are_exactly_the_owners_headers_and_her_host() -> None:
    edits = CODEX.edits(FACTS, ACCOUNT, {KIND: credential()}, turn_state=None)
    assert edits.origin == "https://chatgpt.com"
    assert dict(edits.set_headers) == {
        "Authorization": f"Bearer {access_token()}",
        "ChatGPT-Account-Id": "ws-ann",
    }
    assert edits.remove_headers == ("x-openai-account-routing-override", "x-openai-fedramp", "x-codex-turn-state")


def test_a_workspace_with_a_place_of_its_own_brings_its_headers_along() -> None:
    held = credential(origin="https://us.chatgpt.com", routing_override="us", fedramp="true")
    edits = CODEX.edits(FACTS, ACCOUNT, {KIND: held}, turn_state="ts-1")
    assert edits.origin == "https://us.chatgpt.com"
    assert dict(edits.set_headers) == {
        "Authorization": f"Bearer {held.token}",
        "ChatGPT-Account-Id": "ws-ann",
        "x-openai-account-routing-override": "us",
        "x-openai-fedramp": "true",
        "x-codex-turn-state": "ts-1",
    }
    assert edits.remove_headers == ()


def test_a_handshake_never_carries_the_turn_state() -> None:
    edits = CODEX.edits(SOCKET_FACTS, ACCOUNT, {KIND: credential()}, turn_state="ts-1")
    assert "x-codex-turn-state" in edits.remove_headers
    assert "x-codex-turn-state" not in dict(edits.set_headers)


def test_edits_do_not_show_the_token() -> None:
    assert "FAKESECRET" not in repr(CODEX.edits(FACTS, ACCOUNT, {KIND: credential()}, turn_state=None))


# -- ready, holds


@pytest.mark.parametrize(
    ("ttl_s", "refresh", "origin", "ready"),
    [
        (61, "rt_FAKESECRET", "https://chatgpt.com", True),
        (60, "rt_FAKESECRET", "https://chatgpt.com", False),  # a request waits for a renewal at the last minute
        (-1, "rt_FAKESECRET", "https://chatgpt.com", False),
        (None, "rt_FAKESECRET", "https://chatgpt.com", True),  # it does not tell: taken at its word
        (61, "rt_FAKESECRET", None, False),  # nobody asked yet where it is served
        (1, None, "https://chatgpt.com", True),  # nothing can renew it: used to its end
        (0, None, "https://chatgpt.com", False),
    ],
)
def test_ready_is_fresh_and_located(ttl_s: int | None, refresh: str | None, origin: str | None, ready: bool) -> None:
    assert CODEX.ready(credential(ttl_s=ttl_s, refresh=refresh, origin=origin), NOW) is ready


def test_the_margin_moves_with_the_clock() -> None:
    assert not CODEX.ready(credential(ttl_s=600), at(540) + timedelta(seconds=1))


@pytest.mark.parametrize(
    ("authorization", "account_id", "held"),
    [
        (f"Bearer {access_token()}", "ws-ann", True),  # the very token
        (f"bearer {access_token(ttl_s=77)}", "ws-ann", True),  # another of her session
        (f"Bearer {access_token(ttl_s=77)}", None, True),  # the token names the workspace itself
        (f"Bearer {access_token(ttl_s=77)}", "ws-team", False),  # her, in another workspace
        (f"Bearer {access_token('user-bob')}", "ws-ann", False),  # her colleague in the same one
        ("Bearer FAKESECRET-opaque", "ws-ann", False),
        ("Bearer sk-FAKESECRET", "ws-ann", False),
        (None, None, False),
    ],
)
def test_holds_knows_person_and_workspace(authorization: str | None, account_id: str | None, held: bool) -> None:
    pairs = (("authorization", authorization), ("chatgpt-account-id", account_id))
    headers = Headers((name, value) for name, value in pairs if value)
    assert CODEX.holds(headers, credential()) is held


def test_the_editor_names_itself_by_user_agent_and_originator() -> None:
    headers = Headers([("User-Agent", "codex_vscode/1"), ("originator", "codex_vscode"), ("cookie", "a=b")])
    assert CODEX.client_headers(headers) == (("user-agent", "codex_vscode/1"), ("originator", "codex_vscode"))


@pytest.mark.parametrize("name", ["authorization", "chatgpt-account-id"])
def test_an_editors_login_that_is_no_text_is_not_learnt(name: str) -> None:
    """mitmproxy gives bytes that are no UTF-8 as lone surrogates, which neither a database nor a header takes."""
    fields = {"authorization": f"Bearer {access_token(workspace=None)}", "chatgpt-account-id": "ws-ann"}
    origin = "https://chatgpt.com"
    learnt = CODEX.primary(FACTS, Headers(fields.items()), origin, NOW)
    assert learnt is not None
    assert learnt.identity == "user-ann/ws-ann"
    assert CODEX.primary(FACTS, Headers((fields | {name: fields[name] + "\udce5"}).items()), origin, NOW) is None


@pytest.mark.parametrize(
    "more", [{}, {"x-openai-account-routing-override": "us", "x-openai-fedramp": "true"}], ids=["plain", "placed"]
)
def test_with_an_editors_login_others_go_out_as_the_editor_does(more: dict[str, str]) -> None:
    """To the workspace that it names, whatever the token does; and with no more than it sends."""
    sent = {"authorization": f"Bearer {access_token(workspace='ws-other')}", "chatgpt-account-id": "ws-ann", **more}
    learnt = CODEX.primary(FACTS, Headers(sent.items()), "https://us.chatgpt.com", NOW)
    assert learnt is not None
    (held,) = learnt.credentials
    edits = CODEX.edits(FACTS, ACCOUNT, {KIND: held}, turn_state=None)
    assert (edits.origin, {name.lower(): value for name, value in edits.set_headers}) == (
        "https://us.chatgpt.com",
        sent,
    )
    assert CODEX.holds(Headers(sent.items()), held)
