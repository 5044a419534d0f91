import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatpool.core.model import CredentialKind
from seatpool.providers.copilot import COPILOT
from seatpool.providers.logins import ImportedLogin, NotALogin

PLUGIN = "Iv1.b507a08c87ecfe98"
CLI = "Ov23ctDVkRmgkPke0Mmm"
OPENCODE = "Ov23li8tweQw6odWQebz"


def entry(user: str = "Ann", token: str = "ghu_FAKESECRETann", **more: object) -> dict[str, object]:
    return {"user": user, "oauth_token": token, **more}


APPS = {f"github.com:{PLUGIN}": entry(githubAppId=PLUGIN)}
BOM = b"\xef\xbb\xbf"


def read(document: object, name: str = "apps.json") -> tuple[ImportedLogin, ...]:
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    found = COPILOT.read_login(name, content)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "document", "app"),
    [
        ("apps.json", APPS, PLUGIN),
        ("apps.json", {f"github.com:{PLUGIN}": entry()}, PLUGIN),  # the id stands in the key as well
        ("hosts.json", {"github.com": entry()}, None),
        ("copy-of-apps.txt", APPS, PLUGIN),  # told by content, not by name
        ("apps.json", BOM + json.dumps(APPS).encode(), PLUGIN),
    ],
)
def test_a_plugins_file_holds_a_login(name: str, document: object, app: str | None) -> None:
    (login,) = read(document, name)
    assert (login.name, login.identity, login.issuer) == ("Ann", "github.com/ann", "github.com")
    assert (login.handle, login.shared, login.note) == ("github.com/ann", False, "")
    (credential,) = login.credentials
    assert (credential.kind, credential.token) == (CredentialKind.GITHUB_OAUTH, "ghu_FAKESECRETann")
    assert (credential.endpoints, credential.attributes.get("app")) == ({}, app)
    assert "FAKESECRET" not in repr(login)


@pytest.mark.parametrize("key", ["octo.ghe.com", f"octo.ghe.com:{PLUGIN}", "https://octo.ghe.com"])
def test_a_tenants_login_is_the_tenants(key: str) -> None:
    (login,) = read({key: entry()})
    assert (login.name, login.identity, login.issuer) == ("Ann-octo", "octo.ghe.com/ann", "octo.ghe.com")


def test_several_people_are_several_logins() -> None:
    document = {
        "github.com": entry(),
        "octo.ghe.com": entry("Ann", "gho_FAKESECRETocto"),
        f"github.com:{CLI}": entry("Bob"),
    }
    assert [login.identity for login in read(document)] == ["github.com/ann", "octo.ghe.com/ann", "github.com/bob"]


@pytest.mark.parametrize("keys", [(CLI, PLUGIN), (PLUGIN, CLI)])
def test_of_one_persons_logins_the_one_that_can_be_exchanged_is_taken(keys: tuple[str, str]) -> None:
    (login,) = read({f"github.com:{app}": entry(token=f"gho_FAKESECRET{app[:3]}") for app in keys})
    assert login.credentials[0].token == "gho_FAKESECRETIv1"


def test_a_bad_entry_does_not_hide_a_good_one() -> None:
    document = {f"github.com:{CLI}": entry("Bob", "ghp_FAKESECRET"), **APPS}
    assert [login.identity for login in read(document)] == ["github.com/ann"]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("apps.json", b"", "empty"),
        ("hosts.json", b" \n", "empty"),
        ("apps.json", b"{}", "nobody is signed in"),
        ("apps.json", json.dumps(APPS).encode()[:-9], "not complete JSON"),
        ("x", json.dumps(APPS).encode()[:-9], "not complete JSON"),
        ("apps.json", json.dumps({"github.com": entry(token="")}).encode(), "no token"),
        ("apps.json", json.dumps({"github.com": {"user": "ann"}}).encode(), "no token"),
        ("apps.json", json.dumps({"github.com": entry(token="ghp_FAKESECRET0")}).encode(), "classic personal access"),
        ("apps.json", json.dumps({"github.com": entry(token="ghs_FAKESECRET0")}).encode(), "not a GitHub token"),
        ("apps.json", json.dumps({"github.com": entry(token="gho_FAKESECRET\r\nx: y")}).encode(), "not a GitHub token"),
        ("apps.json", json.dumps({"github.com": entry("a/../b")}).encode(), "whose token"),
    ],
)
def test_a_broken_login_says_what_is_wrong_and_nothing_it_holds(name: str, content: bytes, reason: str) -> None:
    with pytest.raises(NotALogin, match=reason) as caught:
        COPILOT.read_login(name, content)
    assert "FAKESECRET" not in str(caught.value) and str(caught.value).startswith(name)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("auth.json", b'{"tokens":{"access_token":"FAKESECRET","account_id":"x"}}'),  # Codex's own
        ("auth.json", b""),
        ("hosts.json", b'{"example.com":{"user":"ann","oauth_token":"gho_FAKESECRET"}}'),
        ("hosts.yml", b"example.com:\n    user: ann\n    oauth_token: gho_FAKESECRET\n"),
        ("compose.yml", b"services:\n  github.com:\n    user: ann\n"),
        ("package.json", b'{"name":"x","version":"1"}'),
        ("x", b"[]"),
        ("x", b"7"),
        ("x", b"\x00\xff\xfe"),
        ("x", b'{"github.com": ["ann"]}'),
    ],
)
def test_a_foreign_file_is_not_ours(name: str, content: bytes) -> None:
    assert COPILOT.read_login(name, content) is None


@pytest.mark.parametrize(
    ("entry", "program", "app", "editors"),
    [
        ({"refresh": "gho_FAKESECRET", "access": "gho_FAKESECRET", "expires": 0}, "opencode", OPENCODE, False),
        ({"refresh": "ghu_FAKESECRET", "access": "tid=FAKESECRET;exp=1", "expires": 1}, "pi", PLUGIN, True),
        ({"refresh": "ghu_FAKESECRET", "access": "", "expires": 0}, "opencode", PLUGIN, True),  # of a year ago
    ],
)
def test_opencodes_and_pis_entry_serves_what_its_apps_tokens_can(
    entry: dict[str, object], program: str, app: str, editors: bool
) -> None:
    (login,) = read({"github-copilot": {"type": "oauth", "enterpriseUrl": "octo.ghe.com", **entry}}, "auth.json")
    assert (login.program, login.issuer, login.note == "") == (program, "octo.ghe.com", editors)
    assert login.credentials[0].token == entry["refresh"] and login.credentials[0].attributes["app"] == app


def test_an_entry_without_a_user_has_to_be_asked_about() -> None:
    (login,) = read({"github.com": {"oauth_token": "gho_FAKESECRET"}})
    assert (login.identity, login.handle, login.issuer) == (None, None, "github.com")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.just("gho_FAKESECRET"),
    lambda inner: st.dictionaries(
        st.sampled_from(["github.com", "octo.ghe.com:app", "user", "oauth_token", "githubAppId"]), inner, max_size=4
    ),
    max_leaves=8,
)


def told(name: str, document: object) -> str | tuple[ImportedLogin, ...] | None:
    try:
        return COPILOT.read_login(name, json.dumps(document).encode())
    except NotALogin as error:
        return str(error)


@given(st.sampled_from(["apps.json", "x"]), _JSON)
def test_any_document_is_a_login_or_not_or_told_to_be_broken(name: str, document: object) -> None:
    found = told(name, document)
    if isinstance(found, tuple):
        assert {login.credentials[0].token for login in found} == {"gho_FAKESECRET"}
    else:
        assert "FAKESECRET" not in (found or "")
