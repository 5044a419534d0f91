import json
from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from seatpool.core.model import Credential, CredentialKind
from seatpool.providers.codex import CODEX
from seatpool.providers.codex.tokens import read_claims
from seatpool.providers.http import HttpReply, HttpRequest
from seatpool.providers.sidecalls import Keep, RenewalNeed, RenewalRefused, Renewed, Reread, Why
from tests.providers.codex.codex_material import ACCOUNT, NOW, access_token, at, credential, jwt, reply

KIND = CredentialKind.CODEX_OAUTH
NEW = access_token(ttl_s=900_000)
TOKENS = {"id_token": "x", "access_token": NEW, "refresh_token": "rt_FAKESECRET-2", "expires_in": 60}
ENTRY = {
    "id": "ws-ann",
    "structure": "workspace",
    "plan_type": "business",
    "is_fedramp_compliant_workspace": False,
    "workspace_backend_origin": "https://us.chatgpt.com",
    "account_routing_override": "us",
}


def drive(
    held: Credential | None, *replies: HttpReply | None, refused: bool = False, **more: Any
) -> tuple[list[HttpRequest | Keep], Renewed | RenewalRefused]:
    """Play a renewal through; returns what it yielded and how it ended."""
    why = Why.REFUSED if refused else Why.MISSING
    need = RenewalNeed(ACCOUNT, KIND, {} if held is None else {KIND: held}, why=why, **more)
    renewal = CODEX.renew(need, lambda: NOW)
    answers = iter(replies)
    steps: list[HttpRequest | Keep] = []
    sent: HttpReply | None = None
    try:
        while True:
            steps.append(renewal.send(sent))
            sent = None if isinstance(steps[-1], Keep) else next(answers)
    except StopIteration as stop:
        assert next(answers, "none left") == "none left"
        return steps, stop.value


def renewed(result: Renewed | RenewalRefused) -> Credential:
    assert isinstance(result, Renewed)
    return result.credential


def headers_of(step: HttpRequest | Keep) -> Mapping[str, str]:
    assert isinstance(step, HttpRequest)
    return {name.lower(): value for name, value in step.headers}


def test_the_rotated_credential_is_kept_before_anything_else_is_asked() -> None:
    steps, result = drive(credential(ttl_s=-1, origin=None), reply(200, TOKENS), reply(200, {"accounts": [ENTRY]}))
    token_call, keep, check_call = steps
    assert isinstance(token_call, HttpRequest)
    assert (token_call.method, token_call.url) == ("POST", "https://auth.openai.com/oauth/token")
    assert json.loads(token_call.body) == {
        "client_id": "app_EMoamEEZ73f0CkXaXp7hrann",
        "grant_type": "refresh_token",
        "refresh_reason": "proactive_expiry",
        "refresh_token": "rt_FAKESECRET-1",
    }
    assert isinstance(keep, Keep)
    assert (keep.credential.token, keep.credential.refresh_token) == (NEW, "rt_FAKESECRET-2")
    assert keep.credential.expires_at == at(900_000)  # the token's own `exp` goes before `expires_in`
    assert isinstance(check_call, HttpRequest)
    assert (check_call.method, check_call.url) == ("GET", "https://chatgpt.com/backend-api/wham/accounts/check")
    assert headers_of(check_call)["authorization"] == f"Bearer {NEW}"
    assert headers_of(check_call)["chatgpt-account-id"] == "ws-ann"
    final = renewed(result)
    assert dict(final.endpoints) == {"api": "https://us.chatgpt.com"}
    assert dict(final.attributes) == {
        "account_id": "ws-ann",
        "user_id": "user-ann",
        "routing_override": "us",
        "located": "asked",
    }
    assert isinstance(result, Renewed) and result.plan == "business"


def test_a_refused_token_is_refreshed_however_long_it_would_last() -> None:
    steps, _ = drive(credential(), reply(200, TOKENS), reply(200, {"accounts": [ENTRY]}), refused=True)
    assert isinstance(steps[0], HttpRequest)
    assert json.loads(steps[0].body)["refresh_reason"] == "unauthorized_recovery"


def test_only_the_place_is_asked_for_where_only_the_place_is_missing() -> None:
    steps, result = drive(credential(origin=None), reply(200, {"accounts": [ENTRY]}))
    assert [type(s) for s in steps] == [HttpRequest]
    assert CODEX.ready(renewed(result), NOW)


def test_side_calls_carry_the_editors_own_names_once_they_are_known() -> None:
    names = (("user-agent", "codex_vscode/1"), ("originator", "codex_vscode"))
    answers = (reply(200, TOKENS), reply(200, {"accounts": [ENTRY]}))
    steps, _ = drive(credential(ttl_s=-1), *answers, client_headers=names)
    for step in (steps[0], steps[2]):
        assert {"user-agent", "originator"} <= headers_of(step).keys()
        assert headers_of(step)["user-agent"] == "codex_vscode/1"
    steps, _ = drive(credential(ttl_s=-1), *answers)
    assert headers_of(steps[0])["originator"] == "codex_exec"


def entry(**changes: object) -> object:
    return {"accounts": [{**ENTRY, **changes}]}


UNHELPFUL = {
    "unreachable": None,
    "401": reply(401, {"detail": "no"}),
    "500": reply(500, b"<html>"),
    "not JSON": reply(200, b"<html>"),
    "a list": reply(200, []),
    "no entry": reply(200, {"accounts": []}),
    "another's entry": reply(200, entry(id="ws-bob")),
    "entries of no shape": reply(200, {"accounts": [1, None, []]}),
    "two of one id": reply(200, {"accounts": [ENTRY, ENTRY]}),
    "no origin": reply(200, entry(workspace_backend_origin=None)),
    "no override": reply(200, entry(account_routing_override=None)),
    "an unknown override": reply(200, entry(account_routing_override="mars")),
    "a foreign origin": reply(200, entry(workspace_backend_origin="https://evil.example")),
    "an origin in disguise": reply(200, entry(workspace_backend_origin="https://chatgpt.com@evil.example")),
    "an origin without TLS": reply(200, entry(workspace_backend_origin="http://chatgpt.com")),
    "the issuer's sign-in": reply(200, entry(workspace_backend_origin="https://auth.openai.com")),
    "a letter that lowers to ASCII": reply(200, entry(workspace_backend_origin="https://\u212a.chatgpt.com")),
}


@pytest.mark.parametrize("answer", UNHELPFUL.values(), ids=UNHELPFUL.keys())
def test_a_place_that_cannot_be_learnt_never_fails_the_renewal(answer: HttpReply | None) -> None:
    _, result = drive(credential(ttl_s=-1, origin=None), reply(200, TOKENS), answer)
    final = renewed(result)
    assert dict(final.endpoints) == {"api": "https://chatgpt.com"}
    assert final.attributes["located"] == "assumed"
    assert "routing_override" not in final.attributes


def test_a_place_known_before_outlives_a_failing_check() -> None:
    held = credential(ttl_s=-1, origin="https://us.chatgpt.com", routing_override="us")
    _, result = drive(held, reply(200, TOKENS), reply(503))
    assert dict(renewed(result).endpoints) == {"api": "https://us.chatgpt.com"}
    assert renewed(result).attributes["routing_override"] == "us"
    assert renewed(result).attributes["located"] == "kept"


@pytest.mark.parametrize(
    ("origin", "override", "fedramp", "expected"),
    [
        ("NO_CONSTRAINT", "NO_CONSTRAINT", False, ("https://chatgpt.com", None, None)),
        ("https://chatgpt.com/", "NO_CONSTRAINT", False, ("https://chatgpt.com", None, None)),
        ("https://US.chatgpt.com", "us_cr", False, ("https://us.chatgpt.com", "us_cr", None)),
        ("https://gov.chatgpt.com", "us", True, ("https://gov.chatgpt.com", "us", "true")),
    ],
)
def test_places(origin: str, override: str, fedramp: bool, expected: tuple[str, str | None, str | None]) -> None:
    """The header values follow the target account, and what it lost since goes away."""
    held = credential(routing_override="us", fedramp="true")
    answer = entry(
        workspace_backend_origin=origin,
        account_routing_override=override,
        is_fedramp_compliant_workspace=fedramp,
    )
    _, result = drive(held, reply(200, answer))
    final = renewed(result)
    known = final.attributes
    assert (final.endpoints["api"], known.get("routing_override"), known.get("fedramp")) == expected


def test_the_tokens_own_fedramp_claim_counts_as_well() -> None:
    fedramp = access_token(chatgpt_account_is_fedramp=True)
    _, result = drive(credential(ttl_s=-1), reply(200, {**TOKENS, "access_token": fedramp}), reply(200, entry()))
    assert renewed(result).attributes["fedramp"] == "true"


@pytest.mark.parametrize(
    ("status", "body", "headers", "expected"),
    [
        # codex.md 4: the code stands in `error.code`, in `error` or on top.
        (401, {"error": {"code": "refresh_token_reused"}}, {}, RenewalRefused("refresh_token_reused", True)),
        (400, {"error": "refresh_token_expired"}, {}, RenewalRefused("refresh_token_expired", True)),
        (400, {"code": "refresh_token_invalidated"}, {}, RenewalRefused("refresh_token_invalidated", True)),
        # openai/codex issue 23647: "Your session has ended. Please log in again."
        (400, {"error": {"code": "app_session_terminated"}}, {}, RenewalRefused("app_session_terminated", True)),
        (400, {"error": {"code": "app_session_expired"}}, {}, RenewalRefused("app_session_expired", True)),
        (400, {"error": {"code": "invalid_refresh_token"}}, {}, RenewalRefused("invalid_refresh_token", True)),
        (400, {"error": "invalid_grant", "error_description": "..."}, {}, RenewalRefused("invalid_grant", True)),
        (401, {"error": {"code": "brand_new"}}, {}, RenewalRefused("refresh-unauthorized", True)),
        (
            401,
            {"error": {"code": "account_deactivated"}},
            {},
            RenewalRefused("account_deactivated", True, revoked=True),
        ),
        (401, b"", {}, RenewalRefused("refresh-unauthorized", True)),
        (400, {"error": {"code": "brand_new"}}, {}, RenewalRefused("refresh-http-400", False)),
        (403, b"<html>Just a moment", {}, RenewalRefused("refresh-http-403", False)),
        (429, b"", {"retry_after": "30"}, RenewalRefused("refresh-http-429", False, at(30))),
        (503, b"", {}, RenewalRefused("refresh-http-503", False)),
        (200, b"<html>", {}, RenewalRefused("malformed-reply", False)),
        (200, {"access_token": ["x"], "refresh_token": 7}, {}, RenewalRefused("malformed-reply", False)),
    ],
)
def test_refusals(status: int, body: object, headers: dict[str, str], expected: RenewalRefused) -> None:
    steps, result = drive(credential(ttl_s=-1), reply(status, body, **headers))
    assert result == expected
    # A refresh token that was refused for good is dropped, so that nothing can send it again.
    kept = [step.credential for step in steps if isinstance(step, Keep)]
    assert [c.refresh_token for c in kept] == ([None] if expected.durable else [])
    assert len(steps) == 1 + len(kept)


# -- a login that another program renews

OWNED = {"owner": "/home/ann/.codex/auth.json"}


def owned(ttl_s: float = -1) -> Credential:
    held = credential(ttl_s=ttl_s, refresh=None)
    return replace(held, attributes={**held.attributes, **OWNED})


def stored(access: str, account_id: str = "ws-ann") -> bytes:
    tokens = {"id_token": jwt(), "access_token": access, "refresh_token": "rt_FAKESECRET-9", "account_id": account_id}
    return json.dumps({"auth_mode": "chatgpt", "tokens": tokens}).encode()


def follow(held: Credential, content: bytes | None, *replies: HttpReply | None, why: Why = Why.MISSING) -> Any:
    renewal = CODEX.renew(RenewalNeed(ACCOUNT, KIND, {KIND: held}, why=why), lambda: NOW)
    answers = iter(replies)
    steps: list[object] = []
    said: HttpReply | bytes | None = None
    try:
        while True:
            steps.append(renewal.send(said))
            said = content if isinstance(steps[-1], Reread) else None
            if isinstance(steps[-1], HttpRequest):
                said = next(answers)
    except StopIteration as stop:
        return steps, stop.value


@pytest.mark.parametrize("why", list(Why))
def test_a_shared_login_is_read_again_and_never_refreshed(why: Why) -> None:
    steps, result = follow(owned(), stored(NEW), reply(200, {"accounts": [ENTRY]}), why=why)
    reread, keep, check = steps
    assert reread == Reread("/home/ann/.codex/auth.json")
    assert isinstance(keep, Keep)
    assert (keep.credential.token, keep.credential.refresh_token) == (NEW, None)
    assert keep.credential.attributes["owner"] == "/home/ann/.codex/auth.json"
    assert check.url.endswith("/accounts/check")
    assert renewed(result).token == NEW


OLD = owned().token


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "owner-signed-out"),  # the file is gone
        (b"", "owner-signed-out"),
        (b"{", "owner-signed-out"),
        (b'{"OPENAI_API_KEY": "sk-FAKESECRET"}', "owner-signed-out"),
        (stored(access_token("user-bob")), "owner-signed-out"),  # somebody else is signed in there now
        (stored(NEW, "ws-team"), "owner-signed-out"),  # or in another workspace
        (stored(OLD), "owner-has-not-renewed"),
        (stored(access_token(ttl_s=-5)), "owner-has-not-renewed"),
    ],
)
def test_a_shared_login_waits_for_its_owner(content: bytes | None, code: str) -> None:
    steps, result = follow(owned(), content)
    assert [type(step) for step in steps] == [Reread]
    assert result == RenewalRefused(code, durable=False, retry_at=at(60))


@pytest.mark.parametrize("why", list(Why))
def test_a_shared_login_that_upstream_refuses_and_its_file_has_no_more_was_revoked(why: Why) -> None:
    _, result = follow(owned(), stored(access_token("user-bob")), why=why)
    over = why is Why.REFUSED
    assert result == RenewalRefused("owner-signed-out", durable=over, retry_at=at(60), doubtful=over)
    _, sleeps = follow(owned(), stored(OLD), why=why)
    assert sleeps == RenewalRefused("owner-has-not-renewed", durable=False, retry_at=at(60))


def test_an_early_renewal_refreshes_although_the_token_is_good() -> None:
    held = credential(ttl_s=300)
    renewal = CODEX.renew(RenewalNeed(ACCOUNT, KIND, {KIND: held}, why=Why.EARLY), lambda: NOW)
    call = renewal.send(None)
    assert isinstance(call, HttpRequest)
    assert json.loads(call.body)["refresh_reason"] == "proactive_expiry"


def test_early_nothing_is_lost_by_having_no_refresh_token() -> None:
    held = credential(ttl_s=300, refresh=None)
    steps, result = follow(held, None, why=Why.EARLY)
    assert (steps, result) == ([], RenewalRefused("no-refresh-token", durable=False))


def test_a_dead_refresh_token_is_dropped_and_the_reason_is_told_again_without_asking() -> None:
    steps, first = drive(credential(ttl_s=-1), reply(401, {"error": {"code": "refresh_token_reused"}}))
    assert isinstance(steps[1], Keep) and steps[1].credential.refresh_token is None
    assert drive(steps[1].credential) == ([], first)
    assert first == RenewalRefused("refresh_token_reused", durable=True)


def test_an_unanswered_token_call_is_tried_again_later() -> None:
    _, result = drive(credential(ttl_s=-1), None)
    assert result == RenewalRefused("no-answer", durable=False)


@pytest.mark.parametrize("refused", [False, True])
def test_an_access_token_alone_cannot_be_renewed(refused: bool) -> None:
    held = credential(ttl_s=864_000 if refused else -1, refresh=None)
    assert drive(held, refused=refused) == ([], RenewalRefused("no-refresh-token", durable=True))


def test_nothing_held_is_nothing_to_renew() -> None:
    assert drive(None) == ([], RenewalRefused("no-credential", durable=True))


def test_a_reply_without_rotation_keeps_the_old_refresh_token() -> None:
    steps, _ = drive(credential(ttl_s=-1), reply(200, {"access_token": NEW}), reply(200, entry()))
    assert isinstance(steps[1], Keep) and steps[1].credential.refresh_token == "rt_FAKESECRET-1"


def test_a_rotation_without_access_token_is_kept_and_then_tried_again() -> None:
    steps, result = drive(credential(ttl_s=-1), reply(200, {"refresh_token": "rt_FAKESECRET-2"}))
    assert isinstance(steps[1], Keep) and steps[1].credential.refresh_token == "rt_FAKESECRET-2"
    assert result == RenewalRefused("no-access-token", durable=False)


def test_an_opaque_access_token_expires_as_the_reply_says() -> None:
    tokens = {"access_token": "FAKESECRET-opaque", "expires_in": 3600}
    steps, _ = drive(credential(ttl_s=-1), reply(200, tokens), reply(200, entry()))
    assert isinstance(steps[1], Keep) and steps[1].credential.expires_at == at(3600)


def test_nothing_of_a_renewal_shows_a_token() -> None:
    answers = (reply(200, TOKENS), reply(200, entry()))
    assert "FAKESECRET" not in repr((answers, drive(credential(ttl_s=-1), *answers)))


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c", "a.!!.c", "\u00e9.\u00e9.\u00e9", jwt(exp="x"), jwt(exp=1e300)])
def test_a_token_that_is_none_claims_nothing(token: str) -> None:
    claims = read_claims(token)
    assert (claims.expires_at, claims.user_id, claims.account_id) == (None, None, None)
