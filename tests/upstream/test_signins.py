"""The fake issuers, asked directly over TLS on a free port."""

import json
import re
from asyncio import to_thread
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from html import unescape
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from seatpool.providers.codex import signin as codex_signin
from seatpool.providers.copilot import signin as copilot_signin
from seatpool.providers.http import Headers, HttpReply, HttpRequest
from seatpool.providers.signin import Callback, Clock, NotSignedIn, SignedIn, SignIn, Visit
from tests.harness import Network
from tests.upstream import (
    Certificates,
    Control,
    ControlServer,
    FakeAccount,
    Journal,
    Upstream,
    World,
    make_certificates,
)
from tests.upstream.codex_signin import CLIENT_ID, challenge_of
from tests.upstream.copilot_signin import GRANT_TYPE
from tests.upstream.tokens import MARKER, codex_refresh_token, github_token

FORM = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
JSON = {"content-type": "application/json"}
AUTH = "auth.openai.com"
EDITOR, CLI = "Iv1.b507a08c87ecfe98", "Ov23ctDVkRmgkPke0Mmm"
CALLBACK = "http://localhost:1455/auth/callback"
VERIFIER = "v" * 86
QUESTION = {
    "response_type": "code",
    "client_id": CLIENT_ID,
    "redirect_uri": CALLBACK,
    "scope": "openid offline_access",
    "code_challenge": challenge_of(VERIFIER),
    "code_challenge_method": "S256",
    "state": "state-1",
}


@dataclass
class Issuers:
    """Fakes that run in this process."""

    world: World
    journal: Journal
    network: Network

    async def ask(self, method: str, url: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Any:
        """Status, headers, and the body: parsed where it is JSON."""
        host, _, path = url.partition("/")
        async with await self.network.http2(host) as client:
            answer = await client.send(method, f"/{path}", headers or {}, body)
            status, text = await answer.head(), (await answer.body()).decode()
            told = json.loads(text) if "json" in answer.headers.get("content-type", "") else text
            return status, answer.headers, told

    async def form(self, url: str, **fields: str) -> Any:
        return await self.ask("POST", url, FORM, urlencode(fields).encode())

    async def json(self, url: str, **fields: str) -> Any:
        return await self.ask("POST", url, JSON, json.dumps(fields).encode())

    async def press(self, link: str, **changes: str) -> tuple[str, dict[str, str]]:
        """Open the authorize page and press a link: where that leads, and with which query."""
        _, _, html = await self.ask("GET", f"{AUTH}/oauth/authorize?{urlencode(QUESTION | changes)}")
        found = re.search(rf'<a id="{link}" href="([^"]*)"', html)
        assert found is not None
        status, headers, _ = await self.ask("GET", AUTH + unescape(found[1]))
        parts = urlsplit(headers["location"])
        assert status == 302
        return parts._replace(query="").geturl(), dict(parse_qsl(parts.query))

    async def buy(self, code: str, **changes: str) -> Any:
        fields = {"code": code, "redirect_uri": CALLBACK, "client_id": CLIENT_ID, "code_verifier": VERIFIER, **changes}
        return await self.form(f"{AUTH}/oauth/token", grant_type="authorization_code", **fields)

    async def look(self, host: str, code: str, **changes: str) -> Any:
        fields = {"client_id": EDITOR, "device_code": code, "grant_type": GRANT_TYPE, **changes}
        _, _, told = await self.form(f"{host}/login/oauth/access_token", **fields)
        return told


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
async def issuers(certificates: Certificates) -> AsyncIterator[Issuers]:
    accounts = [FakeAccount("alice", "codex"), FakeAccount("bob", "codex"), FakeAccount("carol", "copilot")]
    world, journal = World(accounts), Journal()
    server = await Upstream(world, journal).listen(certificates, "127.0.0.1", 0)
    yield Issuers(world, journal, Network(certificates.ca, direct=server.sockets[0].getsockname()))
    server.close()


# -- ChatGPT by browser


async def test_allow_leads_back_with_a_code_that_buys_tokens_once(issuers: Issuers) -> None:
    issuers.world.sign_in("bob", {})
    address, query = await issuers.press("allow")
    status, _, told = await issuers.buy(query["code"])
    again = await issuers.buy(query["code"])
    assert (address, query["state"]) == (CALLBACK, "state-1")
    assert (status, told["refresh_token"]) == (200, codex_refresh_token("bob", 1))
    assert (again[0], again[2]["error"]["code"]) == (400, "invalid_grant")
    assert [(e.route, e.account, e.answer) for e in issuers.journal.entries] == [
        ("authorize", None, "ok"),
        ("decide", "bob", "allow"),
        ("oauth-token", "bob", "ok"),
        ("oauth-token", "bob", "invalid_grant"),
    ]
    assert MARKER not in json.dumps([asdict(entry) for entry in issuers.journal.entries])


async def test_deny_leads_back_with_a_refusal(issuers: Issuers) -> None:
    _, query = await issuers.press("deny")
    assert query.pop("error_description")
    assert query == {"error": "access_denied", "state": "state-1"}


@pytest.mark.parametrize(
    "changes",
    [
        {"response_type": "token"},
        {"client_id": "app_other"},
        {"redirect_uri": "https://evil.example/auth/callback"},
        {"redirect_uri": "http://127.0.0.1.evil.example:1455/auth/callback"},
        {"code_challenge_method": "plain"},
        {"code_challenge": "short"},
        {"state": ""},
        {"scope": "openid"},
    ],
)
async def test_an_address_that_is_not_as_it_should_be_is_refused(issuers: Issuers, changes: dict[str, str]) -> None:
    status, headers, _ = await issuers.ask("GET", f"{AUTH}/oauth/authorize?{urlencode(QUESTION | changes)}")
    assert (status, "location" in headers) == (400, False)
    assert issuers.journal.entries[0].answer == f"wrong-{next(iter(changes))}"


@pytest.mark.parametrize(
    "changes",
    [{"code_verifier": "w" * 86}, {"redirect_uri": "http://127.0.0.1:1455/auth/callback"}, {"client_id": "app_other"}],
)
async def test_a_code_is_lost_to_who_does_not_fit_it(issuers: Issuers, changes: dict[str, str]) -> None:
    _, query = await issuers.press("allow")
    assert [(await issuers.buy(query["code"], **more))[0] for more in (changes, {})] == [400, 400]


async def test_signing_in_leaves_the_refresh_token_of_an_earlier_sign_in_as_it_was(issuers: Issuers) -> None:
    async def refresh(generation: int) -> str | None:
        old = codex_refresh_token("alice", generation)
        told = (await issuers.json(f"{AUTH}/oauth/token", grant_type="refresh_token", refresh_token=old))[2]
        new: str | None = told.get("refresh_token")
        return new

    _, query = await issuers.press("allow")
    await issuers.buy(query["code"])
    assert [await refresh(generation) for generation in (0, 1, 0, 1)] == [
        codex_refresh_token("alice", 2),
        codex_refresh_token("alice", 3),
        None,
        None,
    ]


# -- ChatGPT by device code


async def test_a_device_code_is_looked_at_until_the_person_has_confirmed(issuers: Issuers) -> None:
    issuers.world.sign_in("bob", {"pending": 2, "interval_s": 7})
    _, _, told = await issuers.json(f"{AUTH}/api/accounts/deviceauth/usercode", client_id=CLIENT_ID)
    assert told.pop("interval") == "7"  # a string, as the real one's
    looks = [await issuers.json(f"{AUTH}/api/accounts/deviceauth/token", **told) for _ in range(3)]
    granted = looks[2][2]
    assert [status for status, *_ in looks] == [403, 403, 200]
    assert granted["code_challenge"] == challenge_of(granted["code_verifier"])
    fields = {"code_verifier": granted["code_verifier"], "redirect_uri": f"https://{AUTH}/deviceauth/callback"}
    status, _, bought = await issuers.buy(granted["authorization_code"], **fields)
    assert (status, bought["refresh_token"]) == (200, codex_refresh_token("bob", 1))


async def test_without_device_codes_there_is_no_such_page(issuers: Issuers) -> None:
    issuers.world.sign_in("bob", {"disabled": True})
    assert (await issuers.json(f"{AUTH}/api/accounts/deviceauth/usercode", client_id=CLIENT_ID))[0] == 404


async def test_somebody_elses_device_code_is_unknown(issuers: Issuers) -> None:
    look = {"device_auth_id": "deviceauth_x", "user_code": "FAKE-0001"}
    assert (await issuers.json(f"{AUTH}/api/accounts/deviceauth/token", **look))[0] == 400


# -- GitHub


@pytest.mark.parametrize("host", ["github.com", "octo.ghe.com"])
@pytest.mark.parametrize(("app", "prefix"), [(EDITOR, "ghu"), (CLI, "gho")])
async def test_a_code_is_confirmed_after_a_while_and_good_once(
    issuers: Issuers, host: str, app: str, prefix: str
) -> None:
    issuers.world.sign_in("carol", {"slow_down": 1, "pending": 1, "interval_s": 3})
    _, _, told = await issuers.form(f"{host}/login/device/code", client_id=app, scope="read:user")
    code = told.pop("device_code")
    looks = [await issuers.look(host, code, client_id=app) for _ in range(4)]
    assert told.pop("user_code").startswith("FAKE-")
    assert told == {"verification_uri": f"https://{host}/login/device", "expires_in": 900, "interval": 3}
    assert [look.get("error") for look in looks] == [
        "slow_down",
        "authorization_pending",
        None,
        "incorrect_device_code",
    ]
    assert (looks[0]["interval"], looks[2]["access_token"]) == (8, github_token("carol", prefix))
    status, _, user = await issuers.ask(
        "GET", f"api.{host}/user", {"authorization": f"Bearer {github_token('carol', prefix)}"}
    )
    assert (status, user["login"], isinstance(user["id"], int)) == (200, "carol", True)


@pytest.mark.parametrize(
    ("person", "changes", "error"),
    [
        ({"decision": "deny"}, {}, "access_denied"),
        ({"decision": "expire"}, {}, "expired_token"),
        ({"decision": "never"}, {}, "authorization_pending"),
        ({}, {"client_id": "Iv1.other"}, "incorrect_client_credentials"),
        ({}, {"grant_type": "password"}, "unsupported_grant_type"),
        ({}, {"device_code": "x"}, "incorrect_device_code"),
    ],
)
async def test_refusals_come_with_status_200(
    issuers: Issuers, person: dict[str, Any], changes: dict[str, str], error: str
) -> None:
    issuers.world.sign_in("carol", person)
    _, _, told = await issuers.form("github.com/login/device/code", client_id=EDITOR)
    assert (await issuers.look("github.com", told["device_code"], **changes))["error"] == error
    assert issuers.journal.entries[1].status == 200


async def test_no_device_codes_are_given_out_where_that_is_switched_off(issuers: Issuers) -> None:
    issuers.world.sign_in("carol", {"disabled": True})
    _, _, told = await issuers.form("github.com/login/device/code", client_id=EDITOR)
    assert told["error"] == "device_flow_disabled"


async def test_who_asks_for_no_json_gets_a_form(issuers: Issuers) -> None:
    body = urlencode({"client_id": EDITOR}).encode()
    headers = {"content-type": FORM["content-type"]}
    _, _, told = await issuers.ask("POST", "github.com/login/device/code", headers, body)
    assert dict(parse_qsl(told))["user_code"].startswith("FAKE-")


# -- what they are for


async def go_through(issuers: Issuers, flow: SignIn) -> SignedIn | NotSignedIn:
    """Drive a sign-in of ours; whoever is sent to a page presses Allow."""
    sent: HttpReply | Callback | None = None
    while True:
        try:
            step = flow.send(sent)
        except StopIteration as stop:
            return cast("SignedIn | NotSignedIn", stop.value)
        sent = None
        if isinstance(step, HttpRequest):
            url = step.url.removeprefix("https://")
            status, headers, told = await issuers.ask(step.method, url, dict(step.headers), step.body)
            body = told if isinstance(told, str) else json.dumps(told)
            sent = HttpReply(status, Headers(headers.items()), body.encode())
        elif isinstance(step, Visit):
            sent = Callback((await issuers.press("allow", **dict(parse_qsl(urlsplit(step.url).query))))[1])


@pytest.mark.parametrize(
    ("flow", "plan", "buckets"),
    [
        pytest.param(partial(codex_signin.browser, CALLBACK), "plus", {"primary", "secondary"}, id="browser"),
        pytest.param(codex_signin.device, "plus", {"primary", "secondary"}, id="codex"),
        pytest.param(
            partial(copilot_signin.device, "github.com"),
            "individual_pro",
            {"chat", "completions", "premium_interactions"},
            id="copilot",
        ),
    ],
)
async def test_each_flow_of_ours_comes_through(
    issuers: Issuers, flow: Callable[[Clock], SignIn], plan: str, buckets: set[str]
) -> None:
    issuers.world.sign_in("bob", {"pending": 1})
    issuers.world.sign_in("carol", {"pending": 1, "slow_down": 1})
    ended = await go_through(issuers, flow(lambda: datetime.now(UTC)))
    assert isinstance(ended, SignedIn), ended
    assert (ended.login.plan, {window.bucket for window in ended.windows}) == (plan, buckets)
    assert ended.login.name == ("carol" if "github" in ended.login.issuer else "bob")
    assert ended.doubts == ()


async def test_a_person_who_takes_another_name_stays_the_same_account(issuers: Issuers) -> None:
    identities = []
    for name in ("carol", "caroline"):
        issuers.world.change("carol", {"login": name})
        ended = await go_through(issuers, copilot_signin.device("github.com", lambda: datetime.now(UTC)))
        assert isinstance(ended, SignedIn) and ended.login.handle == f"github.com/{name}"
        identities.append(ended.login.identity)
    assert identities[0] == identities[1]


# -- orders


async def test_who_signs_in_is_told_over_the_control_socket(
    issuers: Issuers, certificates: Certificates, tmp_path: Path
) -> None:
    server = await ControlServer(issuers.world, issuers.journal).listen(tmp_path / "control")
    control = Control(tmp_path / "control", certificates.ca)
    await to_thread(control.sign_in, "bob", pending=3)
    with pytest.raises(ValueError, match="nobody decides"):
        await to_thread(control.sign_in, "bob", decision="maybe")
    server.close()
    assert (issuers.world.person("codex").account, issuers.world.person("codex").pending) == ("bob", 3)
    assert issuers.world.person("copilot").account == "carol"
