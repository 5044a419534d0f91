import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatpool.core.model import Account, Credential, CredentialKind, ProviderName
from seatpool.providers.copilot import COPILOT
from seatpool.providers.http import Headers, HttpReply
from seatpool.providers.sidecalls import NotTold, Usage
from tests.providers.copilot.copilot_material import (
    ACCOUNT,
    ANN_CT,
    ANN_GHO,
    ENDPOINTS,
    NOW,
    TENANT,
    at,
    github,
    minted,
    reply,
)
from tests.providers.copilot.test_copilot_quota import USER

EDITOR = (("editor-version", "vscode/1.120.0"), ("user-agent", "GitHubCopilotChat/0.66.0"))


def held(*credentials: Credential) -> dict[CredentialKind, Credential]:
    return {c.kind: c for c in credentials}


def test_quota_is_asked_for_with_the_accounts_own_login() -> None:
    asked = COPILOT.usage_request(ACCOUNT, held(github(), minted()), EDITOR, NOW)
    assert asked is not None
    assert (asked.method, asked.url) == ("GET", "https://api.github.com/copilot_internal/user")
    assert dict(asked.headers)["authorization"] == f"Bearer {ANN_GHO}"
    assert dict(asked.headers)["editor-version"] == "vscode/1.120.0"
    assert "FAKESECRET" not in repr(asked)


@pytest.mark.parametrize(
    ("account", "credentials"),
    [(ACCOUNT, []), (ACCOUNT, [minted()]), (Account(3, ProviderName.COPILOT, "x", "x", "evil.example"), [github()])],
)
def test_without_a_login_or_an_issuer_nobody_is_asked(account: Account, credentials: list[Credential]) -> None:
    assert COPILOT.usage_request(account, held(*credentials), (), NOW) is None


def test_the_record_tells_windows_and_plan() -> None:
    answer = reply(200, {**USER, "copilot_plan": "individual_pro"})
    told = COPILOT.read_usage(ACCOUNT, held(github()), answer, NOW)
    assert isinstance(told, Usage)
    assert {w.bucket: w.unlimited for w in told.windows} == {
        "chat": True,
        "completions": True,
        "premium_interactions": False,
    }
    assert (told.plan, told.credential) == ("individual_pro", None)


def test_an_account_that_is_flagged_is_told_so() -> None:
    body = {"error_details": {"notification_id": "spammy_user", "message": "x"}, "message": "no"}
    assert COPILOT.read_usage(ACCOUNT, held(github()), reply(403, body), NOW) == NotTold("spammy_user", revoked=True)
    late = reply(429, {}, {"retry-after": "120"})
    assert COPILOT.read_usage(ACCOUNT, held(github()), late, NOW) == NotTold("http-429", at(120))


# -- the list


@pytest.mark.parametrize(
    ("credentials", "host", "token"),
    [
        ([github(), minted()], "api.individual.githubcopilot.com", ANN_CT),
        ([github(endpoints=ENDPOINTS), minted(ttl_s=-1)], "api.individual.githubcopilot.com", ANN_GHO),
    ],
)
def test_the_list_is_asked_of_the_accounts_own_host(credentials: list[Credential], host: str, token: str) -> None:
    asked = COPILOT.models_request(ACCOUNT, held(*credentials), EDITOR, NOW)
    assert asked is not None
    assert (asked.method, asked.url) == ("GET", f"https://{host}/models")
    assert dict(asked.headers)["authorization"] == f"Bearer {token}"
    assert COPILOT.may_receive(ACCOUNT, f"https://{host}")


def test_a_login_that_has_no_known_host_asks_for_nothing() -> None:
    assert COPILOT.models_request(TENANT, held(github()), (), NOW) is None


def test_a_model_whose_terms_nobody_has_accepted_is_not_the_accounts() -> None:
    listed = {
        "data": [
            {"id": "a", "policy": {"state": "enabled"}},
            {"id": "b", "policy": {"state": "disabled"}},
            {"id": "c", "policy": {"state": "unconfigured"}},
            {"id": "d"},
            {"name": "nameless"},
            "nonsense",
        ]
    }
    told = COPILOT.read_models(reply(200, listed), NOW)
    assert not isinstance(told, NotTold)
    assert set(told) == {"a", "d"}


def test_a_model_is_included_where_its_entry_says_that_it_costs_nothing() -> None:
    listed = {
        "data": [
            {"id": "a", "billing": {"is_premium": False, "multiplier": 0}},
            {"id": "b", "billing": {"is_premium": True, "multiplier": 1}},
            {"id": "c", "billing": {"is_premium": True, "multiplier": 0}},
            {"id": "d", "billing": {"is_premium": False}},
            {"id": "e", "billing": {"token_prices": {}}},
            {"id": "f", "billing": None},
            {"id": "g"},
            # billed by the token: what once was included has a price, and a helper of the editor's may have none
            {"id": "h", "billing": {"is_premium": False, "multiplier": 0, "token_prices": _price(0, 200)}},
            {"id": "i", "billing": {"is_premium": False, "multiplier": 0, "token_prices": _price(25, 0)["default"]}},
            {"id": "j", "billing": {"is_premium": False, "multiplier": 0, "token_prices": _price(0, 0)}},
        ]
    }
    told = COPILOT.read_models(reply(200, listed), NOW)
    assert not isinstance(told, NotTold)
    assert COPILOT.included(told) == {"a", "c", "d", "j"}


def _price(came: int, went: int) -> dict[str, dict[str, int]]:
    return {"default": {"input_price": came, "output_price": went, "cache_price": 0}}


@pytest.mark.parametrize("content", [b"", b"[]", b"<html>", b'{"data": 7}'])
def test_what_is_no_list_is_said_so(content: bytes) -> None:
    assert COPILOT.read_models(reply(200, content), NOW) == NotTold("unreadable-models")


def test_a_refused_list_says_when_to_come_back() -> None:
    assert COPILOT.read_models(reply(429, b"", {"retry-after": "60"}), NOW) == NotTold("http-429", at(60))


# -- an editor's list with the others' models


@pytest.mark.parametrize(
    ("method", "host", "path", "expected"),
    [
        ("GET", "api.individual.githubcopilot.com", "/models", True),
        ("GET", "api.githubcopilot.com", "/models?x=1", True),
        ("GET", "copilot-api.octo.ghe.com", "/models", True),
        ("GET", "proxy.individual.githubcopilot.com", "/models", False),  # next-edit models: another kind of list
        ("POST", "api.githubcopilot.com", "/models", False),
        ("GET", "api.githubcopilot.com", "/models/gpt-x", False),
        ("GET", "api.githubcopilot.com", "/models/session", False),
        ("GET", "evil.example", "/models", False),
    ],
)
def test_which_request_asks_for_the_list(method: str, host: str, path: str, expected: bool) -> None:
    assert COPILOT.lists_models(method, host, path) is expected


@pytest.mark.parametrize(
    ("own", "others", "longer"),
    [
        (b'{"object":"x","data":[{"id":"a"}]}', {"b": b'{"id":"b"}'}, b'{"object":"x","data":[{"id":"a"},{"id":"b"}]}'),
        (b'{"data": [ ] , "x" : 1e2 }', {"b": b"B"}, b'{"data": [ B] , "x" : 1e2 }'),
        (b' {"data":[{"id" : "a"} ]}\n', {"a": b"A", "b": b"B", "c": b"C"}, b' {"data":[{"id" : "a"} ,B,C]}\n'),
        (b'{"data":[{"id":"a"}]}', {"a": b"A"}, None),
        (b'{"data":[{"id":"a"}]}', {}, None),
        (b'{"data":{"id":"a"}}', {"b": b"B"}, None),
        (b'{"data":[],"data":[]}', {"b": b"B"}, None),  # which of them would count?
        (b"[]", {"b": b"B"}, None),
        (b"", {"b": b"B"}, None),
    ],
)  # fmt: skip
def test_models_are_appended_and_every_byte_stays(own: bytes, others: dict[str, bytes], longer: bytes | None) -> None:
    assert COPILOT.add_models(own, others) == longer


_ENTRIES = st.lists(st.fixed_dictionaries({"id": st.sampled_from("abcdef"), "name": st.text(max_size=5)}), max_size=5)


@given(_ENTRIES, _ENTRIES, st.sampled_from([None, 2]), st.booleans())
def test_the_longer_list_is_the_union_by_id(
    own: list[Any], others: list[Any], indent: int | None, ascii_: bool
) -> None:
    content = json.dumps({"object": "list", "data": own, "more": [1]}, indent=indent, ensure_ascii=ascii_).encode()
    models = {entry["id"]: json.dumps(entry).encode() for entry in others}
    longer = COPILOT.add_models(content, models)
    added = [json.loads(raw) for name, raw in models.items() if name not in {entry["id"] for entry in own}]
    if not added:
        assert longer is None
    else:
        assert longer is not None
        assert json.loads(longer) == {"object": "list", "data": own + added, "more": [1]}


@given(st.binary(max_size=60))
def test_no_answer_makes_it_raise(content: bytes) -> None:
    answer = HttpReply(200, Headers(), content)
    COPILOT.read_models(answer, NOW)
    COPILOT.read_usage(ACCOUNT, held(github()), answer, NOW)
    COPILOT.add_models(content, {"b": b"B"})
