import base64
import hashlib
import json
from collections.abc import Callable
from itertools import chain, repeat
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from seatpool.core.model import CredentialKind
from seatpool.providers.codex import CODEX
from seatpool.providers.codex.signin import REDIRECTS, browser, device, may_receive
from seatpool.providers.http import HttpReply, HttpRequest
from seatpool.providers.signin import Callback, Visit
from tests.providers.codex.codex_material import ACCOUNT, NOW, access_token, at, jwt, reply
from tests.providers.signing import Answer, Played, play

CALLBACK = "http://localhost:1455/auth/callback"
ACCESS = access_token(chatgpt_plan_type="plus")
TOKENS = {
    "id_token": jwt(email="Ann.B@example.com"),
    "access_token": ACCESS,
    "refresh_token": "rt_FAKESECRET-1",
    "expires_in": 60,
}
ENTRY = {
    "id": "ws-ann",
    "plan_type": "business",
    "workspace_backend_origin": "https://us.chatgpt.com",
    "account_routing_override": "us",
}
USAGE = {
    "plan_type": "team",
    "rate_limit": {
        "allowed": True,
        "primary_window": {"used_percent": 40, "limit_window_seconds": 18000, "reset_after_seconds": 60},
        "secondary_window": None,
    },
}
SOLD, CHECKED, USED = reply(200, TOKENS), reply(200, {"accounts": [ENTRY]}), reply(200, USAGE)
CODE = {"device_auth_id": "deviceauth_FAKESECRET", "user_code": "ABCD-EFGH", "interval": "5"}
INVITED = reply(200, CODE)
PENDING = reply(403, {"error": {"code": "deviceauth_pending"}})
CONFIRMED = reply(
    200, {"authorization_code": "ac_FAKESECRET", "code_challenge": "x", "code_verifier": "verifier-FAKESECRET"}
)


def query_of(step: HttpRequest | Visit) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(step.url).query))


def back(**query: str) -> Callable[[HttpRequest | Visit], Callback]:
    """The browser comes back with the state it was sent with."""
    return lambda visit: Callback({"state": query_of(visit)["state"], **query})


ALLOWED = back(code="ac_FAKESECRET")


def by_browser(*answers: Answer) -> Played:
    return play(lambda now: browser(CALLBACK, now), answers, NOW)


def by_device(*answers: Answer) -> Played:
    return play(device, answers, NOW)


def form_of(request: HttpRequest) -> dict[str, str]:
    assert dict(request.headers)["content-type"] == "application/x-www-form-urlencoded"
    return dict(parse_qsl(request.body.decode()))


# -- by browser


def test_the_browser_is_sent_with_exactly_what_codex_asks() -> None:
    visit = by_browser(None).visit
    query = query_of(visit)
    assert visit.url.startswith("https://auth.openai.com/oauth/authorize?")
    assert visit.expires_at == at(900)
    assert len(query.pop("state")) == 43  # 32 bytes in base64url
    assert len(query.pop("code_challenge")) == 43  # a SHA-256
    assert query == {
        "response_type": "code",
        "client_id": "app_EMoamEEZ73f0CkXaXp7hrann",
        "redirect_uri": CALLBACK,
        "scope": "openid profile email offline_access api.connectors.read api.connectors.invoke",
        "code_challenge_method": "S256",
        "id_token_add_organizations": "true",
        "codex_cli_simplified_flow": "true",
        "originator": "codex_cli_rs",
    }


def test_a_code_is_exchanged_with_the_verifier_of_its_challenge() -> None:
    played = by_browser(ALLOWED, SOLD, CHECKED, USED)
    exchange = played.requests[0]
    form = form_of(exchange)
    verifier = form.pop("code_verifier")
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    assert (exchange.method, exchange.url) == ("POST", "https://auth.openai.com/oauth/token")
    assert (len(verifier), challenge) == (86, query_of(played.visit)["code_challenge"])  # 64 bytes
    assert form == {
        "grant_type": "authorization_code",
        "code": "ac_FAKESECRET",
        "redirect_uri": CALLBACK,
        "client_id": "app_EMoamEEZ73f0CkXaXp7hrann",
    }


def test_no_two_sign_ins_share_a_secret() -> None:
    first, second = (query_of(by_browser(None).visit) for _ in range(2))
    assert first["state"] != second["state"] and first["code_challenge"] != second["code_challenge"]


@pytest.mark.parametrize(
    ("came", "code"),
    [
        pytest.param(None, "expired", id="nobody comes"),
        pytest.param(Callback({"code": "ac_FAKESECRET"}), "state-mismatch", id="no state"),
        pytest.param(Callback({"code": "ac_FAKESECRET", "state": "x"}), "state-mismatch", id="another state"),
        pytest.param(Callback({"code": "ac_FAKESECRET", "state": "ÿ"}), "state-mismatch", id="a state beyond ASCII"),
        pytest.param(Callback({"error": "access_denied"}), "state-mismatch", id="a stranger's refusal"),
        pytest.param(back(error="access_denied"), "denied", id="denied"),
        pytest.param(back(error="access_denied", error_description="Not me"), "denied", id="denied with a text"),
        pytest.param(back(error="access_denied", error_description="missing_codex"), "denied", id="denied, and why"),
        pytest.param(back(error="server_error"), "refused", id="another refusal"),
        pytest.param(back(error="\x1b[2J", code="ac_FAKESECRET"), "refused", id="not to be shown"),
        pytest.param(back(), "unreadable", id="no code"),
        pytest.param(back(code=""), "unreadable", id="an empty code"),
    ],
)
def test_a_browser_that_does_not_bring_a_code_ends_it(came: Answer, code: str) -> None:
    played = by_browser(came)
    assert (played.code, played.requests) == (code, [])


def test_a_refusal_names_its_reason_where_that_is_a_plain_word() -> None:
    messages = [
        by_browser(back(error="access_denied", error_description="missing_codex")).end,
        by_browser(back(error="server_error", error_description="\x1b[2J boo")).end,
        by_browser(back(error="\x1b[2J")).end,
    ]
    assert [getattr(end, "message", "") for end in messages] == [
        "ChatGPT did not grant the sign-in (access_denied, missing_codex). Nothing was changed.",
        "ChatGPT did not grant the sign-in (server_error). Nothing was changed.",
        "ChatGPT did not grant the sign-in (no reason given). Nothing was changed.",
    ]


def test_a_browser_is_sent_back_to_registered_addresses_alone() -> None:
    assert [(r.uri(r.port), r.listen) for r in REDIRECTS] == [
        ("http://localhost:1455/auth/callback", ("127.0.0.1", "::1")),
        ("http://localhost:1457/auth/callback", ("127.0.0.1", "::1")),
    ]


# -- by device code


def test_a_device_code_is_shown_looked_at_and_exchanged() -> None:
    played = by_device(INVITED, PENDING, reply(404), CONFIRMED, SOLD, CHECKED, USED)
    asked, *looks, exchange, _, _ = played.requests
    assert (asked.method, asked.url) == ("POST", "https://auth.openai.com/api/accounts/deviceauth/usercode")
    assert json.loads(asked.body) == {"client_id": "app_EMoamEEZ73f0CkXaXp7hrann"}
    shown = played.invitation
    assert (shown.url, shown.code, shown.expires_at) == ("https://auth.openai.com/codex/device", "ABCD-EFGH", at(900))
    assert "chatgpt.com, Settings, Security" in shown.needs
    assert {look.url for look in looks} == {"https://auth.openai.com/api/accounts/deviceauth/token"}
    assert json.loads(looks[2].body) == {"device_auth_id": "deviceauth_FAKESECRET", "user_code": "ABCD-EFGH"}
    assert played.pauses == [5.0, 5.0, 5.0]
    assert form_of(exchange) == {
        "grant_type": "authorization_code",
        "code": "ac_FAKESECRET",
        "redirect_uri": "https://auth.openai.com/deviceauth/callback",
        "client_id": "app_EMoamEEZ73f0CkXaXp7hrann",
        "code_verifier": "verifier-FAKESECRET",
    }
    assert played.signed_in.login.identity == "user-ann/ws-ann"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (None, "offline"),
        (reply(404), "device-flow-disabled"),
        (reply(429), "unavailable"),
        (reply(500), "unavailable"),
        (reply(400, {"error": {"code": "bad_client"}}), "refused"),
        (reply(200, b"<html>"), "unreadable"),
        (reply(200, {"device_auth_id": "x"}), "unreadable"),
        (reply(200, {"device_auth_id": 1, "user_code": "ABCD-EFGH"}), "unreadable"),
        (reply(200, {"device_auth_id": "x", "user_code": "\x1b[2J"}), "unreadable"),
    ],
)
def test_without_a_code_to_show_nobody_is_invited(answer: HttpReply | None, code: str) -> None:
    played = by_device(answer)
    assert (played.code, len(played.steps)) == (code, 1)


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        pytest.param([reply(400, {"error": {"code": "gone"}})], "refused", id="refused"),
        pytest.param([reply(200, {})], "unreadable", id="no code"),
        pytest.param([reply(200, {"authorization_code": "x"})], "unreadable", id="no verifier"),
        pytest.param(repeat(PENDING), "expired", id="never confirmed"),
        pytest.param(repeat(None), "offline", id="gone offline"),
        pytest.param(chain([PENDING, None, reply(503)], repeat(reply(429))), "expired", id="trouble to the end"),
    ],
)
def test_looks_that_come_to_nothing_end_it(answers: Any, code: str) -> None:
    assert play(device, chain([INVITED], answers), NOW).code == code


@pytest.mark.parametrize("interval", ["5", 5, None, "soon"])
def test_the_interval_is_read_however_it_is_written(interval: object) -> None:
    played = by_device(reply(200, {**CODE, "interval": interval}), reply(400))
    assert played.pauses == [5.0]


# -- the exchange


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ((None, None, None), "offline"),
        ((reply(500), reply(500), reply(429)), "unavailable"),
        ((reply(400, {"error": {"code": "invalid_grant"}}),), "refused"),
        ((reply(400, {"error": "invalid_grant"}),), "refused"),
        ((reply(200, b"[]"),), "unreadable"),
        ((reply(200, {**TOKENS, "access_token": None}),), "unreadable"),
        ((reply(200, {**TOKENS, "access_token": "has blanks"}),), "unreadable"),
        ((reply(200, {**TOKENS, "access_token": "opaque"}),), "unreadable"),
        ((reply(200, {**TOKENS, "access_token": access_token(user=None)}),), "unreadable"),
        ((reply(200, {**TOKENS, "access_token": access_token(workspace=None)}),), "unreadable"),
    ],
)
def test_a_code_that_buys_nothing_ends_it(answers: tuple[HttpReply | None, ...], code: str) -> None:
    played = by_browser(ALLOWED, *answers)
    assert played.code == code
    assert "FAKESECRET" not in repr(played.end) + repr(played.steps)


def test_a_short_loss_of_the_network_does_not_cost_the_sign_in() -> None:
    assert by_browser(ALLOWED, None, SOLD, CHECKED, USED).pauses == [1.0]


def test_who_it_is_may_stand_in_the_id_token_alone() -> None:
    who = {"chatgpt_user_id": "user-ann", "chatgpt_account_id": "ws-ann", "chatgpt_plan_type": "pro"}
    told = {**TOKENS, "access_token": "opaque-FAKESECRET", "id_token": jwt(**{"https://api.openai.com/auth": who})}
    login = by_browser(ALLOWED, reply(200, told), None, None).signed_in.login
    assert (login.identity, login.plan, login.name) == ("user-ann/ws-ann", "pro", "pro")
    assert login.credentials[0].expires_at == at(60)  # `expires_in`, since the token itself does not tell


# -- the check


def test_of_a_fedramp_workspace_its_own_edge_is_asked() -> None:
    told = {**TOKENS, "id_token": jwt(**{"https://api.openai.com/auth": {"chatgpt_account_is_fedramp": True}})}
    played = by_browser(ALLOWED, reply(200, told), None, None)
    for request in played.requests[1:]:
        assert dict(request.headers)["x-openai-fedramp"] == "true"
    assert played.signed_in.login.credentials[0].attributes["fedramp"] == "true"


def test_what_is_signed_in_is_placed_as_a_renewal_would_place_it() -> None:
    played = by_browser(ALLOWED, SOLD, CHECKED, USED)
    check, usage = played.requests[1:]
    assert [check.url, usage.url] == [f"https://chatgpt.com/backend-api/wham/{x}" for x in ("accounts/check", "usage")]
    for request in (check, usage):
        headers = {name.lower(): value for name, value in request.headers}
        assert headers["authorization"] == f"Bearer {ACCESS}"
        assert headers["chatgpt-account-id"] == "ws-ann"
    signed_in = played.signed_in
    login = signed_in.login
    assert (login.identity, login.issuer, login.name) == ("user-ann/ws-ann", "chatgpt.com", "ann.b")
    assert (login.plan, login.handle, login.shared) == ("business", None, False)
    (credential,) = login.credentials
    assert credential.kind is CredentialKind.CODEX_OAUTH
    assert (credential.token, credential.refresh_token) == (ACCESS, "rt_FAKESECRET-1")
    assert credential.expires_at == at(864_000)
    assert dict(credential.endpoints) == {"api": "https://us.chatgpt.com"}
    assert dict(credential.attributes) == {
        "account_id": "ws-ann",
        "user_id": "user-ann",
        "routing_override": "us",
        "located": "asked",
    }
    assert [(w.bucket, w.left, w.resets_at, w.source) for w in signed_in.windows] == [("primary", 0.6, at(60), "usage")]
    assert signed_in.doubts == ()
    assert CODEX.ready(credential, NOW)
    assert "FAKESECRET" not in repr(played)


@pytest.mark.parametrize(
    ("changes", "check", "usage", "doubts"),
    [
        pytest.param({}, None, USED, ["no answer"], id="no check"),
        pytest.param({}, reply(403), USED, ["HTTP 403"], id="check refused"),
        pytest.param({}, reply(200, {"accounts": []}), USED, ["not told"], id="check tells nothing"),
        pytest.param(
            {},
            reply(200, {"accounts": [{**ENTRY, "workspace_backend_origin": "https://evil.example"}]}),
            USED,
            ["not told"],
            id="check tells a foreign place",
        ),
        pytest.param({}, CHECKED, None, ["quota could not be read (no answer)"], id="no usage"),
        pytest.param(
            {},
            CHECKED,
            reply(402, {"detail": {"code": "deactivated_workspace"}}),
            ["quota could not be read (deactivated_workspace)"],
            id="usage refused",
        ),
        pytest.param({}, None, None, ["served", "quota"], id="nothing at all"),
        pytest.param({}, CHECKED, reply(200, {"rate_limit": None}), [], id="no windows are no doubt"),
        pytest.param({"refresh_token": None}, CHECKED, USED, ["no refresh token"], id="no refresh token"),
        pytest.param(
            {}, reply(200, {"accounts": [{**ENTRY, "is_deactivated": True}]}), USED, ["deactivated"], id="deactivated"
        ),
    ],
)
def test_a_check_that_fails_is_a_doubt_and_the_login_is_kept(
    changes: dict[str, Any], check: HttpReply | None, usage: HttpReply | None, doubts: list[str]
) -> None:
    signed_in = by_browser(ALLOWED, reply(200, TOKENS | changes), check, usage).signed_in
    assert len(signed_in.doubts) == len(doubts)
    assert all(part in doubt for part, doubt in zip(doubts, signed_in.doubts, strict=True))
    assert signed_in.login.identity == "user-ann/ws-ann"
    assert CODEX.ready(signed_in.login.credentials[0], NOW)


@pytest.mark.parametrize(
    ("check", "usage", "plan"),
    [(CHECKED, USED, "business"), (None, USED, "team"), (None, None, "plus"), (CHECKED, None, "business")],
)
def test_the_plan_is_the_one_of_who_knows_best(check: HttpReply | None, usage: HttpReply | None, plan: str) -> None:
    assert by_browser(ALLOWED, SOLD, check, usage).signed_in.login.plan == plan


@given(st.one_of(st.none(), st.builds(reply, st.integers(100, 599), st.binary())), st.binary())
def test_whatever_the_check_is_answered_the_login_is_kept(check: HttpReply | None, usage: bytes) -> None:
    assert by_browser(ALLOWED, SOLD, check, reply(200, usage)).signed_in.login.identity == "user-ann/ws-ann"


# -- where a sign-in may ask


def test_every_request_goes_to_a_host_of_the_issuer() -> None:
    asked = [
        *by_device(INVITED, CONFIRMED, SOLD, CHECKED, USED).requests,
        *by_browser(ALLOWED, SOLD, None, None).requests,
    ]
    assert {"/".join(r.url.split("/", 3)[:3]) for r in asked} == {"https://auth.openai.com", "https://chatgpt.com"}
    assert all(may_receive("/".join(r.url.split("/", 3)[:3])) for r in asked)


PIECES = ["https://", "http://", "chatgpt.com", "auth.openai.com", "evil.example", ".", "@", ":", "/", "\\", "#", "443"]


@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=6).map("".join)))
@example("https://auth.openai.com")
@example("https://auth.openai.com@evil.example")
@example("https://evil.example\\.chatgpt.com")
def test_it_may_ask_where_its_accounts_may(origin: str) -> None:
    assert may_receive(origin) == CODEX.may_receive(ACCOUNT, origin)
    if may_receive(origin):
        assert httpx.URL(origin).host == urlsplit(origin).hostname
