from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from seatpool.core.model import Account, Credential, CredentialKind, ProviderName
from seatpool.providers.base import RequestFacts
from seatpool.providers.copilot import COPILOT, auth
from seatpool.providers.http import Headers
from tests.providers.copilot.copilot_material import (
    ACCOUNT,
    ANN_CT,
    ANN_CT_LATER,
    ANN_GHO,
    BOB_CT,
    BOB_GHO,
    CHAT,
    ENDPOINTS,
    ENGINE,
    ENGINE_PATH,
    NOW,
    TENANT,
    facts,
    github,
    minted,
    session,
)

CT, OAUTH, SESSION = (
    CredentialKind.COPILOT_TOKEN,
    CredentialKind.GITHUB_OAUTH,
    CredentialKind.COPILOT_SESSION,
)


# -- where a credential may go


@pytest.mark.parametrize(
    "origin",
    [
        "https://api.github.com",
        "https://api.githubcopilot.com",
        "https://githubcopilot.com",
        "https://proxy.enterprise.githubcopilot.com",
        "https://api.githubcopilot.com:8443",
        "https://copilot-proxy.githubusercontent.com",
    ],
)
def test_githubs_hosts_may_receive_githubs_credentials(origin: str) -> None:
    assert COPILOT.may_receive(ACCOUNT, origin)
    assert not COPILOT.may_receive(TENANT, origin)


@pytest.mark.parametrize(
    "host", ["octo.ghe.com", "api.octo.ghe.com", "copilot-api.octo.ghe.com", "copilot-proxy.octo.ghe.com"]
)
def test_a_tenants_hosts_may_receive_its_own_credentials(host: str) -> None:
    assert COPILOT.may_receive(TENANT, f"https://{host}")
    assert not COPILOT.may_receive(ACCOUNT, f"https://{host}")


FOREIGN = [
    "http://api.github.com",
    "wss://api.githubcopilot.com",
    "api.githubcopilot.com",
    "https://github.com",
    "https://gist.github.com",
    "https://raw.githubusercontent.com",
    "https://evil.copilot-proxy.githubusercontent.com",
    "https://evilgithubcopilot.com",
    "https://githubcopilot.com.evil.example",
    "https://api.githubcopilot.com.",
    "https://API.githubcopilot.com",
    "https://api.githubcopilot.com/",
    "https://api.githubcopilot.com/@evil.example",
    "https://api.githubcopilot.com@evil.example",
    "https://user:secret@api.githubcopilot.com",
    "https://evil.example\\.githubcopilot.com",
    "https://evil.example\\@api.githubcopilot.com",
    "https://evil.example#.githubcopilot.com",
    "https://evil.example?.githubcopilot.com",
    "https://evil.example/.githubcopilot.com",
    "https://evil.example%2F.githubcopilot.com",
    "https://xn--api-.evil.example",
    "https://api.g\u0131thubcopilot.com",
    "https://api\u3002githubcopilot.com",
    "https://api.githubcopilot.com\n",
    "https://api.githubcopilot.com:0",
    "https://api.githubcopilot.com:99999",
    "https://other.ghe.com",
    "https://api.other.ghe.com",
    "https://evil.octo.ghe.com",
    "https://api.octo.ghe.com.evil.example",
    "https://ghe.com",
    "https://[::1]",
    "",
]


@pytest.mark.parametrize("origin", FOREIGN)
@pytest.mark.parametrize("account", [ACCOUNT, TENANT], ids=["github", "tenant"])
def test_no_other_spelling_and_no_other_host_may_receive(account: Account, origin: str) -> None:
    assert not COPILOT.may_receive(account, origin)


@pytest.mark.parametrize(
    "issuer", ["", "ghe.com", ".ghe.com", "a.b.ghe.com", "evil.example", "github.com.evil.example"]
)
def test_an_unknown_issuer_has_no_hosts(issuer: str) -> None:
    account = Account(3, ProviderName.COPILOT, "x", "x", issuer)
    for host in ("api.github.com", "api.githubcopilot.com", issuer, f"api.{issuer}", f"copilot-api.{issuer}"):
        assert not COPILOT.may_receive(account, f"https://{host}")


def test_another_providers_account_has_no_hosts_here() -> None:
    assert not COPILOT.may_receive(Account(4, ProviderName.CODEX, "c", "c", "github.com"), "https://api.github.com")


_HOST_PIECES = ["api.", "github", "copilot", ".com", "githubcopilot.com", "octo", ".ghe.com", "copilot-api.", "evil"]
_TRICKS = ["https://", "http://", ".", "@", "\\", "/", ":", "443", "#", "?", "%2e", "\u212a", "xn--", " ", "\t"]
_PIECES = st.lists(st.sampled_from(_HOST_PIECES + _TRICKS), max_size=8).map("".join)


@given(st.one_of(_PIECES, st.text()))
@example("https://api.githubcopilot.com:443")
def test_what_may_receive_is_read_the_same_by_every_parser(origin: str) -> None:
    """Whatever is let through is plain https to a host that Python's own parser places under the issuer too."""
    for account, zones in (
        (ACCOUNT, ("githubcopilot.com", "github.com", "githubusercontent.com")),
        (TENANT, ("octo.ghe.com",)),
    ):
        if COPILOT.may_receive(account, origin):
            parts = urlsplit(origin)
            assert parts.scheme == "https" and parts.username is None
            assert parts.path == parts.query == parts.fragment == ""
            host = parts.hostname or ""
            assert any(host == zone or host.endswith("." + zone) for zone in zones)


@pytest.mark.parametrize(
    ("stated", "origin"),
    [
        ("https://api.individual.githubcopilot.com", "https://api.individual.githubcopilot.com"),
        ("https://API.githubcopilot.com/", "https://api.githubcopilot.com"),
        ("https://api.githubcopilot.com:443", "https://api.githubcopilot.com"),
        ("https://api.githubcopilot.com/v1", None),
        ("http://api.githubcopilot.com", None),
        ("https://api.githubcopilot.com@evil.example", None),
        ("https://\u212aopilot.githubcopilot.com", None),  # the Kelvin sign becomes a k in lower case
        (7, None),
        (None, None),
    ],
)
def test_an_endpoint_is_brought_to_one_spelling_or_refused(stated: object, origin: str | None) -> None:
    assert auth.canonical(stated) == origin


# -- what a request carries


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (f"Bearer {ANN_CT}", CT),
        (f"bearer {ANN_CT}", CT),
        (f"token {ANN_CT}", None),
        (f"Bearer {ANN_GHO}", OAUTH),
        (f"token {ANN_GHO}", OAUTH),
        ("Bearer ghu_FAKESECRET", OAUTH),
        ("Bearer github_pat_FAKESECRET", OAUTH),
        ("Bearer ghp_FAKESECRET", None),
        ("Bearer ghs_FAKESECRET", None),
        ("Basic gho_FAKESECRET", None),
        ("Bearer", None),
        ("", None),
        ("Bearer sk-FAKESECRET", None),
    ],
)
def test_the_kind_is_told_by_the_value(value: str, kind: CredentialKind | None) -> None:
    found = COPILOT.facts(CHAT, "/chat/completions", Headers([("Authorization", value)]), lambda: b"{}")
    assert (found.needs if found else None) == ((kind,) if kind else None)


def test_a_request_without_a_credential_is_left_alone_and_its_body_unread() -> None:
    def unread() -> bytes:
        raise AssertionError

    assert COPILOT.facts(CHAT, "/chat/completions", Headers(), unread) is None


def test_auto_mode_needs_a_session_as_well() -> None:
    assert facts(copilot_session_token="FAKESECRET-bob").needs == (CT, SESSION)


@pytest.mark.parametrize(
    ("sent", "held", "same"),
    [
        (ANN_CT, minted(ANN_CT), True),
        (ANN_CT, minted(ANN_CT_LATER), True),  # the same tid, minted twice
        (ANN_CT, minted(BOB_CT), False),
        (ANN_CT, github(ANN_GHO), False),
        (ANN_GHO, github(ANN_GHO), True),
        (ANN_GHO, github(BOB_GHO), False),
        ("tid=;x", minted("tid=;y"), False),
    ],
)
def test_holds_knows_the_same_person(sent: str, held: Credential, same: bool) -> None:
    assert COPILOT.holds(Headers([("authorization", f"Bearer {sent}")]), held) is same


# -- whether it can be sent


@pytest.mark.parametrize(
    ("credential", "ready"),
    [
        (minted(ttl_s=121), True),
        (minted(ttl_s=120), False),
        (minted(ttl_s=-1), False),
        (minted(endpoints={}), False),
        (github(), False),
        (github(endpoints=ENDPOINTS), True),
        (session(ttl_s=121), True),
        (session(ttl_s=119), False),
    ],
)
def test_ready_means_more_than_two_minutes_and_a_known_host(credential: Credential, ready: bool) -> None:
    assert COPILOT.ready(credential, NOW) is ready


# -- edits


def edited(request: RequestFacts, *credentials: Credential) -> tuple[str, dict[str, str], tuple[str, ...]]:
    held = {c.kind: c for c in credentials}
    edits = COPILOT.edits(request, ACCOUNT, held, None)
    return edits.origin, dict(edits.set_headers), edits.remove_headers


def test_only_the_bearer_and_the_host_change() -> None:
    expected = (ENDPOINTS["api"], {"authorization": f"Bearer {ANN_CT}"}, ())
    assert edited(facts(), minted()) == expected
    assert edited(facts(), minted(), session()) == expected  # never a session that the editor did not ask for


def test_ghost_text_goes_to_the_accounts_proxy() -> None:
    assert edited(facts(ENGINE, ENGINE_PATH), minted())[0] == ENDPOINTS["proxy"]


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "token", "TOKEN"])
def test_the_scheme_stays_as_the_editor_spelt_it(scheme: str) -> None:
    request = facts(authorization=f"{scheme} {BOB_GHO}")
    assert edited(request, github(endpoints=ENDPOINTS))[1] == {"authorization": f"{scheme} {ANN_GHO}"}


def test_without_endpoints_the_issuers_default_stands_in() -> None:
    assert edited(facts(), minted(endpoints={}))[0] == "https://api.githubcopilot.com"
    edits = COPILOT.edits(facts(ENGINE, ENGINE_PATH), TENANT, {CT: minted(endpoints={})}, None)
    assert edits.origin == "https://copilot-proxy.octo.ghe.com"


def test_a_session_is_replaced_by_the_accounts_own() -> None:
    request = facts(copilot_session_token="FAKESECRET-session-bob")
    _, replaced, removed = edited(request, minted(), session())
    assert replaced["copilot-session-token"] == "FAKESECRET-session-ann"
    assert removed == ()


def test_a_foreign_session_is_removed_where_none_can_be_had() -> None:
    request = facts(copilot_session_token="FAKESECRET-session-bob")
    assert edited(request, minted())[2] == ("copilot-session-token",)


def test_a_session_of_this_very_person_stays() -> None:
    request = facts(authorization=f"Bearer {ANN_CT}", copilot_session_token="FAKESECRET-session-ann")
    _, replaced, removed = edited(request, minted(ANN_CT_LATER))
    assert "copilot-session-token" not in replaced and removed == ()


def test_nothing_that_holds_a_token_shows_it() -> None:
    request = facts(copilot_session_token="FAKESECRET-session-bob")
    edits = COPILOT.edits(request, ACCOUNT, {CT: minted(), SESSION: session()}, None)
    assert "FAKESECRET" not in repr((request, edits, minted(), session()))


@pytest.mark.parametrize("token", [ANN_CT, ANN_GHO])
def test_an_editors_login_that_is_no_text_is_not_learnt(token: str) -> None:
    """mitmproxy gives bytes that are no UTF-8 as lone surrogates, which neither a database nor a header takes."""
    for sent, learnt in ((token, True), (f"{token}\udce5", False)):
        headers = Headers([("authorization", f"Bearer {sent}")])
        asked = COPILOT.facts(CHAT, "/chat/completions", headers, bytes)
        assert asked is not None
        found = COPILOT.primary(asked, headers, "https://api.githubcopilot.com", NOW)
        assert (found is not None) is learnt


@pytest.mark.parametrize(
    ("origin", "issuer"),
    [
        ("https://api.githubcopilot.com", "github.com"),
        ("https://api.business.githubcopilot.com:443", "github.com"),
        ("https://copilot-api.octo.ghe.com", "octo.ghe.com"),
        ("https://copilot-api.octo.ghe.com:8443", "octo.ghe.com"),
    ],
)
def test_an_editors_login_is_its_tenants_at_whatever_port(origin: str, issuer: str) -> None:
    headers = Headers([("authorization", f"Bearer {ANN_CT}")])
    asked = COPILOT.facts(CHAT, "/chat/completions", headers, bytes)
    assert asked is not None
    found = COPILOT.primary(asked, headers, origin, NOW)
    assert found is not None
    assert (found.issuer, found.identity) == (issuer, f"{issuer}/tid:ann0")
