import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatpool.core.model import Account, Credential, CredentialKind, ProviderName
from seatpool.providers.copilot import COPILOT, renew
from seatpool.providers.http import Headers, HttpReply, HttpRequest
from seatpool.providers.sidecalls import OWNER, Keep, RenewalNeed, RenewalRefused, Renewed, Reread
from tests.providers.copilot.copilot_material import (
    ACCOUNT,
    ANN_CT,
    ANN_GHO,
    ENDPOINTS,
    NOW,
    NOW_S,
    TENANT,
    at,
    github,
    minted,
    reply,
)

CT, OAUTH, SESSION = (
    CredentialKind.COPILOT_TOKEN,
    CredentialKind.GITHUB_OAUTH,
    CredentialKind.COPILOT_SESSION,
)
EDITOR = (("editor-version", "vscode/1.120.0"), ("user-agent", "GitHubCopilotChat/0.66.0"))


def drive(
    kind: CredentialKind,
    answer: HttpReply | None,
    *held: Credential,
    account: Account = ACCOUNT,
    client: tuple[tuple[str, str], ...] = EDITOR,
) -> tuple[HttpRequest | None, Renewed | RenewalRefused]:
    """Drive a renewal by hand: its one request, and what it makes of the answer."""
    need = RenewalNeed(account, kind, {c.kind: c for c in held or (github(),)}, client)
    steps = COPILOT.renew(need, lambda: NOW)
    try:
        asked = next(steps)
    except StopIteration as stop:
        return None, stop.value
    assert isinstance(asked, HttpRequest)
    with pytest.raises(StopIteration) as stopped:
        steps.send(answer)
    return asked, stopped.value.value


def envelope(**changes: Any) -> dict[str, Any]:
    return {"token": ANN_CT, "expires_at": NOW_S + 1800, "refresh_in": 1500, "endpoints": ENDPOINTS, **changes}


def exchanged(answer: HttpReply, **settings: Any) -> RenewalRefused | Renewed:
    return drive(CT, answer, **settings)[1]


def credential(result: Renewed | RenewalRefused) -> Credential:
    assert isinstance(result, Renewed), result
    return result.credential


# -- the exchange: request


def test_the_exchange_is_asked_as_the_editor_asks_it() -> None:
    asked, _ = drive(CT, reply(200, envelope()))
    assert asked is not None
    assert (asked.method, asked.url, asked.body) == ("GET", "https://api.github.com/copilot_internal/v2/token", b"")
    assert dict(asked.headers) == {
        "authorization": f"token {ANN_GHO}",
        "accept": "application/json",
        "editor-version": "vscode/1.120.0",
        "user-agent": "GitHubCopilotChat/0.66.0",
        "x-github-api-version": "2025-04-01",
    }
    assert "FAKESECRET" not in repr(asked)


def test_before_any_editor_was_seen_a_constant_stands_in() -> None:
    asked, _ = drive(CT, reply(200, envelope()), client=())
    assert asked is not None
    assert {"editor-version", "editor-plugin-version", "user-agent", "copilot-integration-id"} <= dict(
        asked.headers
    ).keys()


@pytest.mark.parametrize("kind", [CT, OAUTH, SESSION])
@pytest.mark.parametrize("account", [ACCOUNT, TENANT], ids=["github", "tenant"])
def test_every_side_call_goes_to_a_host_of_the_issuer(kind: CredentialKind, account: Account) -> None:
    hosts = {ACCOUNT: ENDPOINTS, TENANT: {"api": "https://copilot-api.octo.ghe.com"}}[account]
    asked, _ = drive(kind, reply(500), github(), minted(endpoints=hosts), account=account)
    assert asked is not None
    assert COPILOT.may_receive(account, "/".join(asked.url.split("/", 3)[:3]))


@pytest.mark.parametrize("kind", [CT, OAUTH, SESSION])
def test_an_unknown_issuer_is_never_sent_anything(kind: CredentialKind) -> None:
    account = Account(3, ProviderName.COPILOT, "x", "x", "evil.example")
    held = minted(endpoints={"api": "https://api.evil.example"})
    assert drive(kind, None, github(), held, account=account) == (None, RenewalRefused("unknown-issuer", durable=True))


def test_without_a_github_token_only_the_kind_is_lost() -> None:
    assert drive(CT, None, minted()) == (None, RenewalRefused("no-github-token", durable=False, kind_only=True))
    assert drive(CredentialKind.CODEX_OAUTH, None)[1] == RenewalRefused(
        "not-a-copilot-kind", durable=False, kind_only=True
    )


def test_the_editors_own_names_are_kept_and_nobody_elses() -> None:
    seen = Headers(
        [("Editor-Version", "vscode/1"), ("VScode-MachineId", "m"), ("X-Request-Id", "r"), ("User-Agent", "u")]
    )
    assert COPILOT.client_headers(seen) == (("editor-version", "vscode/1"), ("user-agent", "u"))
    assert COPILOT.client_headers(Headers([("user-agent", "curl")])) == ()


# -- the exchange: answer


def test_a_token_is_kept_with_the_endpoints_of_its_own_answer() -> None:
    found = credential(exchanged(reply(200, envelope())))
    assert (found.kind, found.token, found.endpoints, found.attributes) == (CT, ANN_CT, ENDPOINTS, {})
    assert COPILOT.ready(found, NOW)


@pytest.mark.parametrize(
    ("changes", "date", "life_s"),
    [
        ({}, None, 1560),  # refresh_in 1500 + 60, below the server's 1800
        ({"expires_at": NOW_S + 900}, None, 900),  # bounded by the server's end
        # Our clock is an hour fast: by its own clock the server gave 30 minutes, and 1500 + 60 s stand.
        ({"expires_at": NOW_S - 1800}, "Sat, 21 Nov 2026 09:00:00 GMT", 1560),
        # The server's clock is an hour fast and gave ten minutes.
        ({"expires_at": NOW_S + 4200}, "Sat, 21 Nov 2026 11:00:00 GMT", 600),
        ({"expires_at": NOW_S - 5}, None, 1560),  # no Date to tell whose clock is wrong: as the clients reckon
        ({"expires_at": None}, None, 1560),
        ({"refresh_in": 1500.0}, None, 1560),
    ],
)
def test_a_token_lives_as_the_clients_reckon(changes: dict[str, Any], date: str | None, life_s: int) -> None:
    found = credential(exchanged(reply(200, envelope(**changes), {"date": date} if date else {})))
    assert found.expires_at == at(life_s)


def test_a_token_about_to_expire_is_not_handed_out() -> None:
    result = exchanged(reply(200, envelope(expires_at=NOW_S + 12, refresh_in=5)))
    assert result == RenewalRefused("short-lived-token", durable=False, retry_at=at(60))


@pytest.mark.parametrize(
    ("stated", "endpoints", "replaced"),
    [
        ({"api": "https://API.business.githubcopilot.com/"}, "https://api.business.githubcopilot.com", None),
        ({"api": "https://evil.example"}, "https://api.githubcopilot.com", "api"),
        ({"api": "http://api.githubcopilot.com"}, "https://api.githubcopilot.com", "api"),
        ({"api": "https://api.githubcopilot.com@evil.example"}, "https://api.githubcopilot.com", "api"),
        ({"api": None}, "https://api.githubcopilot.com", "api"),
        ({}, "https://api.githubcopilot.com", None),
        (None, "https://api.githubcopilot.com", None),
    ],
)
def test_a_foreign_endpoint_is_replaced_and_noted(stated: object, endpoints: str, replaced: str | None) -> None:
    found = credential(exchanged(reply(200, envelope(endpoints=stated))))
    assert found.endpoints == {"api": endpoints, "proxy": "https://copilot-proxy.githubusercontent.com"}
    assert found.attributes.get("endpoints_replaced") == replaced


def test_a_tenants_token_stays_in_the_tenant() -> None:
    found = credential(exchanged(reply(200, envelope()), account=TENANT))
    assert found.endpoints == {"api": "https://copilot-api.octo.ghe.com", "proxy": "https://copilot-proxy.octo.ghe.com"}
    assert found.attributes == {"endpoints_replaced": "api,proxy"}


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", envelope(token=""), envelope(token="a\r\nb"), envelope(token=None),
     envelope(refresh_in=None), envelope(refresh_in=0), envelope(refresh_in="x"), envelope(refresh_in=1e12)],
)  # fmt: skip
def test_an_answer_that_is_no_token_is_a_passing_failure(body: object) -> None:
    assert exchanged(reply(200, body)) == RenewalRefused("unreadable-token", durable=False)


def details(notification: str) -> dict[str, Any]:
    return {
        "error_details": {"url": "https://support.github.com", "message": "x", "notification_id": notification},
        "message": "Resource not accessible by integration",
    }


RESET = str(NOW_S + 300)
INVALID = RenewalRefused("github-token-invalid", durable=True, retry_at=at(300), doubtful=True)


# copilot.md 2.4
@pytest.mark.parametrize(
    ("status", "body", "headers", "refused"),
    [
        (401, {"message": "Bad credentials"}, {}, INVALID),
        *((403, details(n), {}, RenewalRefused(n, durable=True, revoked=True)) for n in (
            "spammy_user", "access_revoked", "programmatic_token_generation", "no_copilot_access", "not_signed_up",
            "subscription_ended", "billing_locked")),
        (403, details("server_error"), {}, RenewalRefused("server_error", durable=False)),
        (403, {"error_details": {"message": "x"}}, {}, RenewalRefused("no-access", durable=True, revoked=True)),
        (403, {"message": "Resource not accessible by integration"}, {},
         RenewalRefused("not-an-editor-token", durable=False, kind_only=True)),
        (403, {"message": "Resource not accessible by personal access token"}, {},
         RenewalRefused("not-an-editor-token", durable=False, kind_only=True)),
        (403, {"message": "API rate limit exceeded for user"}, {"x-ratelimit-reset": RESET},
         RenewalRefused("rate-limited", durable=False, retry_at=at(300))),
        (403, "firewall", {}, RenewalRefused("forbidden", durable=False)),
        (404, {"message": "Not Found"}, {}, RenewalRefused("not-an-editor-token", durable=False, kind_only=True)),
        (429, "", {}, RenewalRefused("rate-limited", durable=False)),
        (429, "", {"retry-after": "30"}, RenewalRefused("rate-limited", durable=False, retry_at=at(30))),
        # capped at 15 min = 900 s
        (429, "", {"retry-after": "7200"}, RenewalRefused("rate-limited", durable=False, retry_at=at(900))),
        (429, "", {"x-ratelimit-reset": RESET}, RenewalRefused("rate-limited", durable=False, retry_at=at(300))),
        (500, "", {}, RenewalRefused("http-500", durable=False)),
        (503, "", {"retry-after": "5"}, RenewalRefused("http-503", durable=False, retry_at=at(5))),
        (302, "", {}, RenewalRefused("http-302", durable=False)),
    ],
)  # fmt: skip
def test_every_refusal_of_the_exchange(status: int, body: object, headers: dict[str, str], refused: object) -> None:
    assert exchanged(reply(status, body, headers)) == refused


# -- the account's own record


USER = {
    "login": "ann",
    "copilot_plan": "individual_pro",
    "endpoints": ENDPOINTS,
    "quota_reset_date": "2026-12-01",
    "quota_snapshots": {"premium_interactions": {"entitlement": 300, "percent_remaining": 42.0}},
}


def test_a_github_token_learns_its_endpoints_plan_and_quota() -> None:
    asked, result = drive(OAUTH, reply(200, USER), github(generation=3, attributes={"app": "Iv1.x"}))
    assert asked is not None
    assert asked.url == "https://api.github.com/copilot_internal/user"
    assert dict(asked.headers)["authorization"] == f"Bearer {ANN_GHO}"
    assert isinstance(result, Renewed)
    assert result.credential == github(generation=3, attributes={"app": "Iv1.x"}, endpoints=ENDPOINTS)
    assert result.plan == "individual_pro"
    assert [(w.bucket, w.left, w.resets_at) for w in result.windows] == [
        ("premium_interactions", 0.42, datetime(2026, 12, 1, tzinfo=UTC))
    ]


@pytest.mark.parametrize(
    ("status", "body", "refused"),
    [
        (401, "", INVALID),
        (403, details("spammy_user"), RenewalRefused("spammy_user", durable=True, revoked=True)),
        (403, details("no_copilot_access"), RenewalRefused("http-403", durable=False)),
        (404, "", RenewalRefused("http-404", durable=False)),
        (500, "", RenewalRefused("http-500", durable=False)),
        (200, "[]", RenewalRefused("unreadable-user", durable=False)),
    ],
)
def test_every_refusal_of_the_record(status: int, body: object, refused: object) -> None:
    assert drive(OAUTH, reply(status, body))[1] == refused


# -- auto mode's session


def test_a_session_is_opened_with_the_accounts_copilot_token() -> None:
    answer = reply(200, {"session_token": "FAKESECRET-s", "expires_at": NOW_S + 3600, "selected_model": "gpt-x"})
    asked, result = drive(SESSION, answer, github(endpoints=ENDPOINTS), minted())
    assert asked is not None
    assert (asked.method, asked.url) == ("POST", f"{ENDPOINTS['api']}/models/session")
    assert json.loads(asked.body) == {"auto_mode": {"model_hints": ["auto"]}}
    sent = dict(asked.headers)
    assert (sent["authorization"], sent["content-type"]) == (f"Bearer {ANN_CT}", "application/json")
    found = credential(result)
    assert (found.kind, found.token, found.expires_at) == (SESSION, "FAKESECRET-s", at(3600))


def test_a_session_is_opened_with_the_github_token_where_there_is_no_live_copilot_token() -> None:
    asked, _ = drive(SESSION, reply(500), github(endpoints=ENDPOINTS), minted(ttl_s=-1))
    assert asked is not None and dict(asked.headers)["authorization"] == f"Bearer {ANN_GHO}"


def test_a_session_that_names_no_end_is_good_for_half_an_hour() -> None:
    assert credential(drive(SESSION, reply(200, {"session_token": "FAKESECRET-s"}), minted())[1]).expires_at == at(1800)


@pytest.mark.parametrize(
    ("held", "answer", "code"),
    [
        (github(), None, "no-bearer"),
        (minted(endpoints={"api": "https://evil.example"}), None, "no-bearer"),
        (minted(), None, "unanswered"),
        (minted(), reply(401), "http-401"),
        (minted(), reply(404), "http-404"),
        (minted(), reply(500), "http-500"),
        (minted(), reply(200, "{}"), "unreadable-session"),
        (minted(), reply(200, {"session_token": "a\nb"}), "unreadable-session"),
    ],
)
def test_any_refusal_of_a_session_costs_the_session_alone(
    held: Credential, answer: HttpReply | None, code: str
) -> None:
    assert drive(SESSION, answer, held)[1] == RenewalRefused(code, durable=False, kind_only=True)


# -- a login whose program has got another one since


@pytest.mark.parametrize(
    ("status", "user", "stored", "steps"),
    [
        (401, "ann", "gho_FAKESECRETnew", [HttpRequest, Reread, Keep, HttpRequest]),
        (401, "ann", ANN_GHO, [HttpRequest, Reread]),  # the very one that is over
        (401, "ann", None, [HttpRequest, Reread]),
        (401, "bob", "gho_FAKESECRETnew", [HttpRequest, Reread]),  # somebody else is signed in there now
        (401, None, "gho_FAKESECRETnew", [HttpRequest, Reread]),
        (403, "ann", "gho_FAKESECRETnew", [HttpRequest]),  # it is good for something else
        (500, "ann", "gho_FAKESECRETnew", [HttpRequest]),
    ],
)
def test_where_a_login_is_over_another_one_of_the_same_person_in_its_file_is_tried_once(
    status: int, user: str | None, stored: str | None, steps: list[type]
) -> None:
    content = json.dumps({"github.com:Iv1.b507a08c87ecfe98": {"user": user, "oauth_token": stored}}).encode()
    owner = "/home/ann/.config/github-copilot/apps.json"
    need = RenewalNeed(ACCOUNT, CT, {OAUTH: github(attributes={OWNER: owner})}, EDITOR)
    renewal, asked, answer, result = COPILOT.renew(need, lambda: NOW), list[object](), None, None
    while result is None:
        try:
            asked.append(renewal.send(answer))
        except StopIteration as stop:
            result = stop.value
        answer = {HttpRequest: reply(status), Reread: content}.get(type(asked[-1]))
    assert [type(step) for step in asked] == steps
    assert isinstance(result, RenewalRefused) and asked[1:2] in ([], [Reread(owner)])
    kept = [step.credential.token for step in asked if isinstance(step, Keep)]
    assert kept == ([stored] if Keep in steps else [])


def test_a_login_that_is_over_is_told_as_such_where_what_reads_its_file_was_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is loaded then, from the files of another version maybe."""
    monkeypatch.setitem(sys.modules, "seatpool.providers.copilot.login", None)
    owner = "/home/ann/.config/github-copilot/apps.json"
    renewal = COPILOT.renew(RenewalNeed(ACCOUNT, CT, {OAUTH: github(attributes={OWNER: owner})}, EDITOR), lambda: NOW)
    assert isinstance(next(renewal), HttpRequest) and renewal.send(reply(401)) == Reread(owner)
    with pytest.raises(StopIteration) as told:
        renewal.send(b"{}")
    assert isinstance(told.value.value, RenewalRefused)


# -- anything


def bodies() -> Iterator[dict[str, Any]]:
    yield envelope()
    yield USER
    yield {"session_token": "FAKESECRET-s", "expires_at": NOW_S}


_ANY = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.lists(st.integers())


@given(
    st.sampled_from([CT, OAUTH, SESSION]),
    st.integers(200, 599),
    st.binary(max_size=60)
    | st.dictionaries(
        st.sampled_from(
            [
                "token",
                "expires_at",
                "refresh_in",
                "endpoints",
                "error_details",
                "message",
                "copilot_plan",
                "quota_snapshots",
                "session_token",
            ]
        ),
        _ANY,
    ),
    st.dictionaries(st.sampled_from(["retry-after", "x-ratelimit-reset", "date"]), st.text(max_size=20)),
)
def test_no_answer_makes_it_raise(kind: CredentialKind, status: int, body: object, headers: dict[str, str]) -> None:
    _, result = drive(kind, reply(status, body, headers), github(), minted())
    if isinstance(result, RenewalRefused) and result.retry_at is not None:
        assert NOW < result.retry_at <= NOW + renew.LONGEST_WAIT
    if isinstance(result, Renewed) and result.credential.expires_at is not None:
        assert result.credential.expires_at - NOW < timedelta(days=41)


@given(st.sampled_from(list(bodies())), st.sampled_from(["token", "expires_at", "refresh_in", "endpoints"]), _ANY)
def test_no_single_wrong_field_makes_it_raise(body: dict[str, Any], field: str, value: object) -> None:
    for kind in (CT, OAUTH, SESSION):
        drive(kind, reply(200, {**body, field: value}), github(), minted())
