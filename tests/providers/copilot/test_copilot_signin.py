from itertools import chain, repeat
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from seatpool.core.model import Credential, CredentialKind
from seatpool.providers.copilot import COPILOT
from seatpool.providers.copilot.signin import APPS, CLI, EDITOR, App, device, identify, issuer_of, may_receive
from seatpool.providers.http import HttpReply, HttpRequest
from tests.providers.copilot.copilot_material import ANN_GHO, ENDPOINTS, NOW, at, reply
from tests.providers.signing import Answer, Played, play

CODE = {
    "device_code": "FAKESECRET-device",
    "user_code": "WDJB-MJHT",
    "verification_uri": "https://github.com/login/device",
    "expires_in": 900,
    "interval": 5,
}
INVITED = reply(200, CODE)
PENDING = reply(200, {"error": "authorization_pending"})
CONFIRMED = reply(200, {"access_token": ANN_GHO, "token_type": "bearer", "scope": ""})
PERSON = reply(200, {"login": "Ann-B", "id": 4711, "type": "User"})
RECORD = {
    "login": "Ann-B",
    "copilot_plan": "individual_pro",
    "endpoints": ENDPOINTS,
    "quota_snapshots": {"premium_interactions": {"entitlement": 300, "percent_remaining": 25.0, "has_quota": True}},
}
SEAT = reply(200, RECORD)


def by_device(*answers: Answer, host: str = "github.com", app: App = EDITOR) -> Played:
    return play(lambda now: device(host, now, app), answers, NOW)


def identified(*answers: Answer, issuer: str = "github.com", app: str | None = EDITOR.client_id) -> Played:
    return play(lambda now: identify(ANN_GHO, issuer, app, now), answers, NOW)


def form_of(request: HttpRequest) -> dict[str, str]:
    headers = dict(request.headers)
    assert (headers["content-type"], headers["accept"]) == ("application/x-www-form-urlencoded", "application/json")
    return dict(parse_qsl(request.body.decode()))


def the_credential(played: Played) -> Credential:
    (credential,) = played.signed_in.login.credentials
    return credential


# -- by device code


@pytest.mark.parametrize("app", APPS.values(), ids=APPS)
@pytest.mark.parametrize(
    ("host", "issuer", "page"),
    [
        ("github.com", "github.com", "https://github.com/login/device"),
        ("https://Octo.GHE.com/", "octo.ghe.com", "https://octo.ghe.com/login/device"),
    ],
)
def test_a_code_is_shown_and_looked_at_until_it_is_confirmed(host: str, issuer: str, page: str, app: App) -> None:
    answers = (reply(200, {**CODE, "verification_uri": page}), PENDING, PENDING, CONFIRMED, PERSON, SEAT)
    played = by_device(*answers, host=host, app=app)
    asked, *looks, _, _ = played.requests
    assert [r.url for r in played.requests] == [
        f"https://{issuer}/login/device/code",
        *[f"https://{issuer}/login/oauth/access_token"] * 3,
        f"https://api.{issuer}/user",
        f"https://api.{issuer}/copilot_internal/user",
    ]
    assert form_of(asked) == {"client_id": app.client_id, "scope": app.scope}
    assert form_of(looks[0]) == {
        "client_id": app.client_id,
        "device_code": "FAKESECRET-device",
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
    }
    shown = played.invitation
    assert (shown.url, shown.code, shown.expires_at) == (page, "WDJB-MJHT", at(900))
    assert played.pauses == [5.0, 5.0, 5.0]
    assert the_credential(played).attributes["app"] == app.client_id
    assert "FAKESECRET" not in repr(played)


def test_the_apps_are_those_whose_tokens_serve_editors_and_the_cli() -> None:
    assert (EDITOR.client_id, EDITOR.scope) == ("Iv1.b507a08c87ecfe98", "read:user")
    assert (CLI.client_id, CLI.scope) == ("Ov23ctDVkRmgkPke0Mmm", "read:user read:org repo gist")


@pytest.mark.parametrize(
    "host", ["", "gitlab.com", "api.github.com", "a.b.ghe.com", "ghe.com", "github.com@evil", "x y"]
)
def test_a_host_that_signs_nobody_in_is_not_asked(host: str) -> None:
    played = by_device(host=host)
    assert (played.code, played.steps, issuer_of(host)) == ("bad-host", [], None)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (None, "offline"),
        (reply(503), "unavailable"),
        (reply(429), "unavailable"),
        (reply(404, {"error": "Not Found"}), "refused"),
        (reply(200, {"error": "device_flow_disabled"}), "device-flow-disabled"),
        (reply(200, {"error": "incorrect_client_credentials"}), "refused"),
        (reply(200, b"device_code=x&user_code=WDJB-MJHT"), "unreadable"),
        (reply(200, {**CODE, "device_code": ""}), "unreadable"),
        (reply(200, {**CODE, "user_code": "\x1b[2J"}), "unreadable"),
    ],
)
def test_without_a_code_to_show_nobody_is_invited(answer: HttpReply | None, code: str) -> None:
    played = by_device(answer)
    assert (played.code, len(played.steps)) == (code, 1)


@pytest.mark.parametrize(
    ("changes", "url", "life_s"),
    [
        ({}, "https://github.com/login/device", 900),
        ({"verification_uri": "https://github.com/login/device/select_account"}, None, 900),
        ({"verification_uri": "https://evil.example/login/device"}, "https://github.com/login/device", 900),
        ({"verification_uri": "https://github.com.evil.example/"}, "https://github.com/login/device", 900),
        ({"verification_uri": "https://github.com/\x1b[2J"}, "https://github.com/login/device", 900),
        ({"verification_uri": None}, "https://github.com/login/device", 900),
        ({"expires_in": 20}, "https://github.com/login/device", 20),
        ({"expires_in": 1e12}, "https://github.com/login/device", 3600),
        ({"expires_in": "never"}, "https://github.com/login/device", 900),
        ({"expires_in": -1}, "https://github.com/login/device", 900),
    ],
)
def test_the_person_is_sent_to_the_issuers_own_page_for_as_long_as_it_says(
    changes: dict[str, Any], url: str | None, life_s: float
) -> None:
    shown = by_device(reply(200, {**CODE, **changes}), reply(200, {"error": "access_denied"})).invitation
    assert (shown.url, shown.expires_at) == (url or changes["verification_uri"], at(life_s))


@pytest.mark.parametrize(
    ("told", "code", "said"),
    [
        ({"error": "expired_token"}, "expired", "Time is up"),
        ({"error": "token_expired"}, "expired", "Time is up"),
        ({"error": "access_denied"}, "denied", "declined"),
        ({"error": "device_flow_disabled"}, "device-flow-disabled", "no device codes"),
        ({"error": "incorrect_device_code"}, "refused", "(incorrect_device_code)"),
        ({"error": "incorrect_client_credentials"}, "refused", "(incorrect_client_credentials)"),
        ({"error": "unsupported_grant_type"}, "refused", "(unsupported_grant_type)"),
        ({"error": "\x1b[2J"}, "refused", "(HTTP 200)"),
        ({"error": 7}, "refused", "(HTTP 200)"),
        ({}, "unreadable", "not understood"),
        ({"access_token": "gho_ with blanks"}, "unreadable", "not understood"),
    ],
)
def test_each_refusal_comes_with_status_200_and_ends_in_one_line(told: dict[str, Any], code: str, said: str) -> None:
    played = by_device(INVITED, PENDING, reply(200, told))
    assert played.code == code
    message = getattr(played.end, "message", "")
    assert said in message and "\n" not in message and "\x1b" not in message


@pytest.mark.parametrize(
    ("answers", "pauses"),
    [
        ([{"error": "slow_down"}, {"error": "authorization_pending"}], [5, 10, 10]),
        ([{"error": "slow_down", "interval": 12}, {"error": "slow_down", "interval": "17"}], [5, 12, 17]),
        ([{"error": "slow_down", "interval": "soon"}], [5, 10]),
    ],
)
def test_slow_down_goes_on_slower(answers: list[dict[str, Any]], pauses: list[float]) -> None:
    played = by_device(INVITED, *(reply(200, told) for told in answers), CONFIRMED, PERSON, SEAT)
    assert (played.pauses, played.signed_in.login.identity) == (pauses, "github.com/4711")


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        pytest.param(repeat(PENDING), "expired", id="never confirmed"),
        pytest.param(repeat(None), "offline", id="gone offline"),
        pytest.param(chain([None, reply(502), PENDING], repeat(reply(429))), "expired", id="trouble to the end"),
        pytest.param([reply(404)], "refused", id="another status"),
    ],
)
def test_looks_that_come_to_nothing_end_it(answers: Any, code: str) -> None:
    assert play(lambda now: device("github.com", now), chain([INVITED], answers), NOW).code == code


# -- whose a token is


@pytest.mark.parametrize(
    ("issuer", "name"), [("github.com", "Ann-B"), ("octo.ghe.com", "Ann-B-octo")], ids=["github", "tenant"]
)
def test_a_person_is_known_by_number_and_named_by_login(issuer: str, name: str) -> None:
    login = identified(PERSON, SEAT, issuer=issuer).signed_in.login
    assert (login.identity, login.handle, login.issuer) == (f"{issuer}/4711", f"{issuer}/ann-b", issuer)
    assert (login.name, login.plan) == (name, "individual_pro")


def test_the_seat_comes_along_with_its_endpoints_and_quota() -> None:
    played = identified(PERSON, SEAT)
    credential = the_credential(played)
    assert (credential.kind, credential.token) == (CredentialKind.GITHUB_OAUTH, ANN_GHO)
    assert dict(credential.attributes) == {"app": EDITOR.client_id}
    assert dict(credential.endpoints) == ENDPOINTS
    assert [(w.bucket, w.left, w.source) for w in played.signed_in.windows] == [("premium_interactions", 0.25, "usage")]
    assert played.signed_in.doubts == ()
    assert COPILOT.ready(credential, NOW)


def test_an_app_that_is_not_known_is_left_out() -> None:
    assert dict(the_credential(identified(PERSON, SEAT, app=None)).attributes) == {}


def test_the_question_carries_the_token_and_little_else() -> None:
    asked = identified(PERSON, SEAT).requests[0]
    assert (asked.method, asked.url) == ("GET", "https://api.github.com/user")
    headers = dict(asked.headers)
    assert headers.pop("user-agent").startswith("GithubCopilot/")
    assert headers == {"authorization": f"Bearer {ANN_GHO}", "accept": "application/json"}


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ((reply(401),), "refused"),
        ((reply(403),), "refused"),
        ((None, None, None), "offline"),
        ((reply(500), reply(500), reply(500)), "unavailable"),
        ((reply(200, b"<html>"),), "unreadable"),
        ((reply(200, {"login": "ann"}),), "unreadable"),
        ((reply(200, {"login": "ann", "id": "4711"}),), "unreadable"),
        ((reply(200, {"login": "ann", "id": True}),), "unreadable"),
        ((reply(200, {"login": "ann", "id": 0}),), "unreadable"),
        ((reply(200, {"login": "", "id": 1}),), "unreadable"),
        ((reply(200, {"login": "an n\x1b", "id": 1}),), "unreadable"),
    ],
)
def test_a_token_whose_owner_is_not_told_is_no_login(answers: tuple[HttpReply | None, ...], code: str) -> None:
    played = identified(*answers)
    assert played.code == code
    assert "FAKESECRET" not in repr(played)


@pytest.mark.parametrize("issuer", ["evil.example", "api.github.com", "github.com.evil.example", ""])
def test_an_unknown_issuer_is_never_sent_a_token(issuer: str) -> None:
    played = identified(issuer=issuer)
    assert (played.code, played.steps) == ("bad-host", [])


NO_SEAT = "github.com gives Ann-B no access to Copilot ({}): it serves nothing until it has a seat."
UNREAD = "Its plan and quota could not be read ({})."


@pytest.mark.parametrize(
    ("answer", "doubt"),
    [
        (reply(404), NO_SEAT.format("http-404")),
        (reply(403), NO_SEAT.format("http-403")),
        (reply(403, {"error_details": {"notification_id": "spammy_user"}}), NO_SEAT.format("spammy_user")),
        (reply(200, {"login": "Ann-B", "can_signup_for_limited": True}), NO_SEAT.format("no plan")),
        (reply(403, {"message": "API rate limit exceeded for user"}), UNREAD.format("http-403")),
        (reply(401), UNREAD.format("github-token-invalid")),
        (reply(500), UNREAD.format("http-500")),
        (reply(200, b"[]"), UNREAD.format("unreadable-user")),
        (None, UNREAD.format("unanswered")),
    ],
)
def test_a_seat_that_is_missing_is_a_doubt_and_the_login_is_kept(answer: HttpReply | None, doubt: str) -> None:
    signed_in = identified(PERSON, answer).signed_in
    assert signed_in.doubts == (doubt,)
    assert (signed_in.login.identity, signed_in.login.plan) == ("github.com/4711", None)
    assert signed_in.login.credentials[0].token == ANN_GHO


def test_a_record_that_could_not_be_read_leaves_the_endpoints_to_be_asked_for() -> None:
    assert not COPILOT.ready(the_credential(identified(PERSON, reply(500))), NOW)


# -- where a sign-in may ask


@pytest.mark.parametrize("host", ["github.com", "octo.ghe.com"])
def test_every_request_goes_to_a_host_of_the_issuer(host: str) -> None:
    asked = by_device(INVITED, CONFIRMED, PERSON, SEAT, host=host).requests
    origins = {"/".join(request.url.split("/", 3)[:3]) for request in asked}
    assert origins == {f"https://{host}", f"https://api.{host}"}
    assert all(may_receive(origin) for origin in origins)


PIECES = ["https://", "http://", "api.", "github.com", "octo", ".ghe.com", "evil", ".", "@", ":", "/", "\\", "#", "443"]


@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=7).map("".join)))
@example("https://api.octo.ghe.com")
@example("https://github.com@evil.ghe.com")
@example("https://evil\\.ghe.com")
def test_what_it_may_ask_is_an_issuer_to_every_parser(origin: str) -> None:
    if not may_receive(origin):
        return
    parts = urlsplit(origin)
    assert parts.scheme == "https" and parts.username is None
    assert parts.path == parts.query == parts.fragment == ""
    assert issuer_of((parts.hostname or "").removeprefix("api.")) is not None


@pytest.mark.parametrize(
    "origin",
    [
        "http://github.com",
        "https://gist.github.com",
        "https://api.githubcopilot.com",
        "https://api.api.github.com",
        "https://a.octo.ghe.com",
        "https://github.com/",
        "https://GitHub.com",
        "https://github.com.evil.example",
        "https://ghe.com",
    ],
)
def test_no_other_origin_may_be_asked(origin: str) -> None:
    assert not may_receive(origin)
