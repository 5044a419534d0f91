import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatpool.providers.codex import CODEX
from seatpool.providers.logins import ImportedLogin, NotALogin
from tests.providers.codex.codex_material import NOW_S, access_token, at, jwt

ID_TOKEN = jwt(email="Ann.B+x@Example.com")
TOKENS = {
    "id_token": ID_TOKEN,
    "access_token": access_token(chatgpt_plan_type="plus"),
    "refresh_token": "rt_FAKESECRET",
    "account_id": "ws-ann",
}
LOGIN = {
    "auth_mode": "chatgpt",
    "OPENAI_API_KEY": None,
    "tokens": TOKENS,
    "last_refresh": "2026-11-21T01:42:08.077953211Z",
}


def read(document: object, name: str = "auth.json") -> tuple[ImportedLogin, ...] | None:
    return CODEX.read_login(name, document if isinstance(document, bytes) else json.dumps(document).encode())


def one(document: object) -> ImportedLogin:
    found = read(document)
    assert found is not None
    (login,) = found
    return login


def without(key: str, **changes: Any) -> dict[str, Any]:
    return {**LOGIN, "tokens": {k: v for k, v in TOKENS.items() if k != key} | changes}


def test_the_real_file() -> None:
    login = one(LOGIN)
    assert (login.name, login.identity, login.issuer) == ("ann.b-x", "user-ann/ws-ann", "chatgpt.com")
    assert login.plan == "plus"
    (held,) = login.credentials
    assert (held.token, held.refresh_token) == (TOKENS["access_token"], "rt_FAKESECRET")
    assert held.expires_at == at(864_000)
    assert dict(held.attributes) == {"account_id": "ws-ann", "user_id": "user-ann"}
    assert dict(held.endpoints) == {}  # the first renewal asks where it is served
    assert "FAKESECRET" not in repr(login)


@pytest.mark.parametrize(
    "document",
    [
        {key: value for key, value in LOGIN.items() if key != "auth_mode"},  # older clients
        {"tokens": TOKENS},
        {**LOGIN, "OPENAI_API_KEY": "sk-FAKESECRET"},  # the mode decides
        without("account_id"),  # the token names it
    ],
)
def test_its_older_shapes(document: dict[str, Any]) -> None:
    assert one(document).identity == "user-ann/ws-ann"


def test_the_chosen_workspace_goes_before_the_tokens_own() -> None:
    assert one(without("account_id", account_id="ws-team")).identity == "user-ann/ws-team"


def test_an_access_token_alone_is_a_login_too() -> None:
    assert one(without("refresh_token")).credentials[0].refresh_token is None


def test_a_login_without_an_address_is_named_after_its_plan() -> None:
    assert one(without("id_token")).name == "plus"
    assert one(without("id_token", access_token=access_token())).name == "codex"


def test_a_plan_that_is_no_word_is_none() -> None:
    """Nobody has signed what stands in a file, and a terminal does what stands in a plan."""
    assert one(without("id_token", access_token=access_token(chatgpt_plan_type="plus\x1b]0;x\x07"))).plan is None


def test_a_fedramp_workspace_is_marked() -> None:
    login = one(without("", access_token=access_token(chatgpt_account_is_fedramp=True)))
    assert login.credentials[0].attributes["fedramp"] == "true"


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (b"", "is empty"),
        (b"  \n", "is empty"),
        (json.dumps(LOGIN).encode()[:-30], "truncated"),
        ({**LOGIN, "auth_mode": "apikey"}, "an API key"),
        ({"OPENAI_API_KEY": "sk-FAKESECRET"}, "an API key"),
        ({**LOGIN, "auth_mode": "agentIdentity"}, "an agent identity"),
        ({**LOGIN, "auth_mode": "FAKESECRET"}, "something unknown"),
        ({**LOGIN, "auth_mode": ["chatgpt"]}, "something unknown"),
        ({**LOGIN, "tokens": None}, "holds no tokens"),
        ({"auth_mode": "chatgpt"}, "holds no tokens"),
        (without("access_token"), "no access token"),
        (without("", access_token="FAKESECRET with a blank"), "no access token"),
        (without("", access_token="FAKESECRET-opaque"), "which person"),
        (without("account_id", access_token=access_token(workspace=None)), "which workspace"),
    ],
)
def test_a_broken_login_says_what_is_wrong_and_nothing_of_its_contents(document: object, says: str) -> None:
    with pytest.raises(NotALogin, match=says) as raised:
        read(document)
    assert "auth.json" in str(raised.value)
    assert "FAKESECRET" not in str(raised.value)


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        "tokens",
        {"http-basic": {"example.com": {"password": "FAKESECRET"}}},  # another program's auth.json
        {"github.com": {"user": "ann", "oauth_token": "gho_FAKESECRET"}},
        {"github-copilot": {"type": "oauth", "refresh": "gho_FAKESECRET"}},
        {"openai": {"type": "api", "key": "sk-FAKESECRET"}},
        b'{"github.com": {"oauth_tok',
        b"\x89PNG\r\n",
    ],
)
def test_a_file_of_somebody_else_is_none_of_ours(document: object) -> None:
    assert read(document, "apps.json") is None


def test_the_login_of_opencode() -> None:
    entry = {"type": "oauth", "refresh": "rt_FAKESECRET", "access": access_token(ttl_s=None), "expires": 0}
    login = one({"openai": {**entry, "expires": (NOW_S + 60) * 1000, "accountId": "ws-team"}, "other": {}})
    assert login.identity == "user-ann/ws-team"
    assert login.credentials[0].expires_at == at(60)
    assert one({"openai": entry}).credentials[0].expires_at is None  # 0 means unknown


def test_pi_keeps_its_own_beside_what_others_may_have() -> None:
    entry = {"type": "oauth", "refresh": "rt_FAKESECRET", "access": access_token(), "expires": 1, "accountId": "ws-ann"}
    login = one({"openai-codex": entry, "openai": {"type": "api_key", "key": "sk-FAKESECRET"}})
    assert (login.program, login.identity, login.shared) == ("pi", "user-ann/ws-ann", True)
    both = read({"openai": {**entry, "accountId": "ws-team"}, "openai-codex": entry})
    assert [(each.program, each.identity) for each in both or ()] == [
        ("opencode", "user-ann/ws-team"),
        ("pi", "user-ann/ws-ann"),
    ]


API_ALONE = {
    "type": "oauth",
    "access": "FAKESECRET-opaque",
    "refresh": "rt_FAKESECRET",
    "expires": 1,
    "clientId": "app_FAKESECRET",
    "scopes": ["openid", "offline_access", "chatgpt.tokens.use.direct"],
}
"""As pi 1.5 keeps its *Sign in with ChatGPT*: the tokens are another client's, and good for api.openai.com alone."""


@pytest.mark.parametrize("access", [API_ALONE["access"], access_token()])
def test_pis_login_for_the_api_is_left_alone(access: str) -> None:
    """Whatever its token tells: none of it serves Codex, and the one beside it does."""
    foreign = {**API_ALONE, "access": access}
    entry = {"type": "oauth", "refresh": "rt_FAKESECRET", "access": access_token(), "expires": 1, "accountId": "ws-ann"}
    assert one({"openai": foreign, "openai-codex": entry}).program == "pi"
    with pytest.raises(NotALogin, match="choose OpenAI Codex") as raised:
        read({"openai": foreign})
    assert "FAKESECRET" not in str(raised.value)


KEYS = ["tokens", "access_token", "openai", "openai-codex", "type", "access", "auth_mode"]
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYS), inner),
)


@given(st.binary(max_size=60) | ODD.map(lambda value: json.dumps(value).encode()))
def test_any_file_is_read_or_refused_in_words(content: bytes) -> None:
    try:
        found = CODEX.read_login("auth.json", content)
    except NotALogin:
        return
    assert found is None or found[0].credentials[0].token
