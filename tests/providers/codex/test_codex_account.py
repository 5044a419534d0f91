import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from seatpool.core.model import CredentialKind
from seatpool.providers.codex import CODEX
from seatpool.providers.http import Headers, HttpReply
from seatpool.providers.sidecalls import NotTold, Usage
from tests.providers.codex.codex_material import ACCOUNT, NOW, SOCKET_FACTS, access_token, at, credential

KIND = CredentialKind.CODEX_OAUTH
EDITOR = (("user-agent", "codex_vscode/0.170.1 (Debian 12.0.0; x86_64) unknown"), ("originator", "codex_vscode"))


def reply(status: int, body: object, **headers: str) -> HttpReply:
    fields = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return HttpReply(status, Headers(fields), body if isinstance(body, bytes) else json.dumps(body).encode())


def test_quota_is_asked_for_as_the_editor_asks_for_its_own() -> None:
    asked = CODEX.usage_request(ACCOUNT, {KIND: credential()}, EDITOR, NOW)
    assert asked is not None
    assert (asked.method, asked.url) == ("GET", "https://chatgpt.com/backend-api/wham/usage")
    assert dict(asked.headers) == {
        "Authorization": f"Bearer {credential().token}",
        "ChatGPT-Account-Id": "ws-ann",
        **dict(EDITOR),
    }
    assert "FAKESECRET" not in repr(asked)


@pytest.mark.parametrize(
    "held",
    [credential(fedramp="true"), replace(credential(), token=access_token(chatgpt_account_is_fedramp=True))],
    ids=["known", "as the token says"],
)
def test_of_a_fedramp_workspace_its_own_edge_is_asked(held: Any) -> None:
    for asked in (
        CODEX.usage_request(ACCOUNT, {KIND: held}, EDITOR, NOW),
        CODEX.models_request(ACCOUNT, {KIND: held}, EDITOR, NOW),
    ):
        assert asked is not None
        assert dict(asked.headers)["x-openai-fedramp"] == "true"


@pytest.mark.parametrize(
    ("agent", "version"),
    [
        ("codex_exec/0.169.0", "0.169.0"),
        (EDITOR[0][1], "0.170.1"),
        ("Codex Desktop/0.171.0 (Mac OS 15)", "0.171.0"),
        ("opencode/1.0.5", "0.169.0"),  # not a version of Codex
        ("codex_exec/0.1?x=1", "0.169.0"),
        ("", "0.169.0"),
    ],
)
def test_the_model_list_is_that_of_the_editors_own_version(agent: str, version: str) -> None:
    asked = CODEX.models_request(ACCOUNT, {KIND: credential()}, (("user-agent", agent),), NOW)
    assert asked is not None
    assert asked.url == f"https://chatgpt.com/backend-api/codex/models?client_version={version}"


def test_before_any_editor_was_seen_a_constant_stands_in() -> None:
    for asked in (
        CODEX.usage_request(ACCOUNT, {KIND: credential()}, (), NOW),
        CODEX.models_request(ACCOUNT, {KIND: credential()}, (), NOW),
    ):
        assert asked is not None
        assert dict(asked.headers)["user-agent"] == "codex_exec/0.169.0"


@pytest.mark.parametrize("held", [{}, {KIND: credential(ttl_s=10)}], ids=["nothing", "about to expire"])
def test_without_a_good_token_nobody_is_asked(held: dict[CredentialKind, Any]) -> None:
    assert CODEX.usage_request(ACCOUNT, held, (), NOW) is None
    assert CODEX.models_request(ACCOUNT, held, (), NOW) is None


USAGE = {
    "account_id": "ws-1",
    "plan_type": "pro",
    "rate_limit": {"primary_window": {"used_percent": 33, "limit_window_seconds": 18000, "reset_after_seconds": 60}},
    "additional_rate_limits": [
        {
            "metered_feature": "codex_bengalfox",
            "rate_limit": {"limit_reached": True, "primary_window": {"used_percent": 99, "reset_after_seconds": 60}},
        }
    ],
}


@pytest.mark.parametrize(
    ("method", "path", "login", "whose"),
    [
        ("GET", "/backend-api/wham/usage", access_token(), "user-ann/ws-ann"),
        ("GET", "/backend-api/wham/usage", access_token(ttl_s=-1), None),
        ("GET", "/backend-api/wham/usage", "sk-FAKESECRET", None),
        ("POST", "/backend-api/wham/usage", access_token(), None),
        ("GET", "/backend-api/wham/rate-limit-reset-credits", access_token(), None),
    ],
)
def test_an_editor_that_looks_up_its_own_usage_is_known_by_its_login(
    method: str, path: str, login: str, whose: str | None
) -> None:
    assert CODEX.looks_up(method, path, Headers([("authorization", f"Bearer {login}")]), NOW) == whose


def test_usage_tells_windows_and_plan() -> None:
    told = CODEX.read_usage(ACCOUNT, {KIND: credential()}, reply(200, USAGE), NOW)
    assert isinstance(told, Usage)
    assert {w.bucket: w.left for w in told.windows} == {"primary": pytest.approx(0.67), "codex_bengalfox/primary": 0.0}
    assert (told.plan, told.credential) == ("pro", None)


NO_CREDITS = {"has_credits": False, "unlimited": False, "overage_limit_reached": False, "balance": "0"}
BOUGHT = {**NO_CREDITS, "has_credits": True, "balance": "489.25"}


@pytest.mark.parametrize(
    ("more", "funded"),
    [
        ({}, False),
        ({"credits": None}, False),
        ({"credits": NO_CREDITS}, False),
        ({"credits": BOUGHT}, True),
        ({"credits": {**BOUGHT, "balance": "0"}}, False),
        ({"credits": {**BOUGHT, "balance": None}}, True),  # a workspace's (Halloweedev/usagepal issue 27)
        ({"credits": {**NO_CREDITS, "unlimited": True, "balance": None}}, True),
        ({"credits": {**BOUGHT, "overage_limit_reached": True}}, False),
        ({"credits": BOUGHT, "spend_control": {"reached": True}}, False),
        ({"credits": BOUGHT, "spend_control": {"reached": False}}, True),
    ],
)
def test_usage_tells_whether_credits_serve_on(more: dict[str, Any], funded: bool) -> None:
    told = CODEX.read_usage(ACCOUNT, {KIND: credential()}, reply(200, {**USAGE, **more}), NOW)
    assert isinstance(told, Usage)
    assert told.funded is funded


@pytest.mark.parametrize(
    ("known", "workspace", "stated", "learnt"),
    [
        (False, None, "ws-1", "ws-1"),
        (True, None, "ws-1", None),  # the login was made for another one, and keeps it
        (False, "ws-ann", "ws-1", None),  # the token says so itself
        (False, None, None, None),
        (False, None, "ws 1\r\nx: y", None),  # no header can be made of it
    ],
)
def test_an_unknown_workspace_is_learnt_from_the_payload(
    known: bool, workspace: str | None, stated: str | None, learnt: str | None
) -> None:
    held = replace(
        credential(),
        token=access_token(workspace=workspace),
        attributes={"account_id": "ws-ann"} if known else {"user_id": "user-ann"},
    )
    told = CODEX.read_usage(ACCOUNT, {KIND: held}, reply(200, {**USAGE, "account_id": stated}), NOW)
    assert isinstance(told, Usage)
    expected = replace(held, attributes={"user_id": "user-ann", "account_id": learnt}) if learnt else None
    assert told.credential == expected


def test_a_models_entry_is_kept_under_the_name_that_requests_use() -> None:
    content = b'{"models": [{"slug":"gpt-x", "visibility":"hide"}, {"slug":""}, {}, 7, {"slug":"gpt-y"}]}'
    assert CODEX.read_models(reply(200, content), NOW) == {
        "gpt-x": b'{"slug":"gpt-x", "visibility":"hide"}',
        "gpt-y": b'{"slug":"gpt-y"}',
    }


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (reply(429, {}, retry_after="90"), NotTold("http-429", at(90))),
        (reply(503, b"", retry_after="Wed, 01 Apr 2026 12:10:00 GMT"), NotTold("http-503", at(600))),
        (reply(401, {}), NotTold("http-401")),
        (reply(401, {"error": {"code": "account_deactivated"}}), NotTold("account_deactivated", revoked=True)),
        (reply(402, {"detail": {"code": "deactivated_workspace"}}), NotTold("deactivated_workspace", revoked=True)),
        (reply(401, {"error": {"code": "token_expired"}}), NotTold("http-401")),
        (reply(404, b""), NotTold("http-404")),
    ],
)
def test_any_other_answer_is_none_and_says_when_to_come_back(answer: HttpReply, told: NotTold) -> None:
    assert CODEX.read_usage(ACCOUNT, {KIND: credential()}, answer, NOW) == told
    assert CODEX.read_models(answer, NOW) == told


def test_what_cannot_be_read_is_said_so() -> None:
    for content in (b"", b"[]", b"<html>", b'{"models": 7}'):
        assert isinstance(CODEX.read_models(reply(200, content), NOW), NotTold)
    assert CODEX.read_usage(ACCOUNT, {}, reply(200, b"<html>"), NOW) == NotTold("unreadable-usage")


@given(st.binary(max_size=60))
def test_no_answer_makes_it_raise(content: bytes) -> None:
    CODEX.read_models(reply(200, content), NOW)
    CODEX.read_usage(ACCOUNT, {KIND: credential()}, reply(200, content), NOW)


# -- which limit served a request


@pytest.mark.parametrize(
    ("stated", "buckets"),
    [
        (None, None),
        ("codex", ()),
        ("Codex", ()),
        ("codex_bengalfox", ("codex_bengalfox/primary", "codex_bengalfox/secondary")),
        ("codex-bengalfox", ("codex_bengalfox/primary", "codex_bengalfox/secondary")),
        ("premium", ("premium/primary", "premium/secondary")),  # without windows of that name it excludes nobody
        ("", None),
        ("a b", None),
        ("x" * 65, None),
    ],
)
def test_an_answer_names_the_limit_that_it_drew_on(stated: str | None, buckets: tuple[str, ...] | None) -> None:
    assert CODEX.draws(Headers([("X-Codex-Active-Limit", stated)] if stated is not None else [])) == buckets


def test_a_frame_names_it_in_its_headers() -> None:
    frame = {"type": "error", "status": 429, "headers": {"X-Codex-Active-Limit": "codex_bengalfox"}, "error": {}}
    found = CODEX.read_frame(SOCKET_FACTS, json.dumps(frame).encode(), NOW)
    assert found.draws == ("codex_bengalfox/primary", "codex_bengalfox/secondary")
