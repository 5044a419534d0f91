"""Rules through a real mitmdump: what an `only` rule binds reaches its accounts, or nobody."""

import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import ACCOUNTS, ALONE, CODEX_BODY, CODEX_PATH, EDITOR, Scene, cli_headers, codex_headers
from tests.e2e.test_codex import CREATE, spoken, turn
from tests.harness import HandshakeRefused, Lab, Mitmdump, WebSocketClient
from tests.harness.namespace import why_no_namespaces

Start = Callable[..., Scene]

RULES = """\
[[rule]]
name = "work code"
repository = "github.com/acme/*"
only = ["bob", "dave"]

[[rule]]
name = "slip"
repository = "github.com/slip/*"
only = ["wrok"]

[[rule]]
name = "elsewhere"
repository = "github.com/elsewhere/*"
only = ["carol"]

[[rule]]
name = "liked"
repository = "github.com/liked/*"
prefer = ["bob"]

[[rule]]
name = "special"
provider = "codex"
model = "special-*"
only = ["bob"]
"""


def at(remote: str, kind: str = "turn") -> str:
    """The turn metadata of a folder with this remote."""
    return json.dumps({"request_kind": kind, "workspaces": {"/w": {"associated_remote_urls": {"origin": remote}}}})


WORK, HOME = at("git@github.com:Acme/Widgets.git"), at("https://github.com/someone/else.git")
PREWARM = json.dumps({"request_kind": "prewarm"})


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    reason = why_no_namespaces()
    if reason is not None:
        pytest.skip(f"end-to-end tests need a namespace of their own: {reason}")
    folder = tmp_path_factory.mktemp("rules")
    rules = folder / "rules.toml"
    rules.write_text(RULES)
    with pytest.MonkeyPatch.context() as patch, Lab(folder) as lab:
        patch.setenv("SEATPOOL_KEYRING", "off")
        fakes = lab.upstream({"accounts": ACCOUNTS})
        options = {**ALONE, "pool_rules": str(rules)}
        with Mitmdump(folder / "proxy", lab=lab, upstream_ca=fakes.ca, options=options) as proxy:
            yield Scene(lab, fakes, proxy, folder)


@pytest.fixture
def ruled(office: Scene) -> Iterator[Scene]:
    """A proxy under the rules above."""
    office.reset()
    since = len(office.proxy.log)
    yield office
    assert not [line for line in office.proxy.log[since:] if "Traceback" in line or "crashed" in line]


@pytest.fixture
def talk(request: pytest.FixtureRequest) -> str:
    """A conversation of this test alone: what one told is remembered."""
    return "".join(c if c.isalnum() else "-" for c in request.node.name)[-100:]


async def ask(scene: Scene, told: str, conversation: str, **more: str) -> tuple[int, dict[str, Any]]:
    """Status of a request over HTTPS, and its error."""
    async with await scene.network.http2("chatgpt.com") as client:
        headers = codex_headers(conversation, x_codex_turn_metadata=told, **more)
        incoming = await client.send("POST", CODEX_PATH, headers, CODEX_BODY)
        body = await incoming.body()
        assert incoming.status is not None
        return incoming.status, json.loads(body)["error"] if incoming.status != 200 else {}


@asynccontextmanager
async def socket(scene: Scene, told: str, conversation: str) -> AsyncIterator[WebSocketClient]:
    headers = codex_headers(conversation, x_codex_turn_metadata=told)
    opened = await scene.network.websocket("chatgpt.com", CODEX_PATH, headers)
    try:
        yield opened
    finally:
        await opened.close()


async def handshake(scene: Scene, told: str, conversation: str) -> int:
    """How a handshake is refused."""
    with pytest.raises(HandshakeRefused) as refused:
        async with socket(scene, told, conversation):
            pass
    return refused.value.status


def message(told: str, **more: Any) -> dict[str, Any]:
    return {**CREATE, **more, "client_metadata": {"x-codex-turn-metadata": told}}


def away(frames: list[dict[str, Any]]) -> bool:
    """Whether the client was made to reconnect, and heard nothing else."""
    return [frame.get("error", {}).get("code") for frame in frames] == ["websocket_connection_limit_reached"]


async def test_work_code_is_kept_on_the_work_seat_and_nothing_else_is(ruled: Scene, talk: str) -> None:
    ruled.pool("alice", "bob")
    for number, told in enumerate((HOME, WORK, "")):
        assert (await ask(ruled, told, f"{talk}-{number}"))[0] == 200
    assert ruled.asked("responses") == ["alice", "bob", "alice"]


async def test_a_limited_seats_refusal_is_the_editors_to_see(ruled: Scene, talk: str) -> None:
    """Live first, then from memory; on a handshake the client is sent to ask over HTTPS."""
    ruled.pool("alice", "bob")
    ruled.fakes.behave("bob", {"kind": "usage_limit", "resets_in_s": 7200})
    for _ in range(2):
        status, error = await ask(ruled, WORK, talk)
        assert (status, error["type"]) == (429, "usage_limit_reached")
        assert abs(error["resets_at"] - time.time() - 7200) < 60
    assert await handshake(ruled, WORK, talk) == 426
    assert ruled.asked("responses") == ["bob"]


CANNOT = {
    "names-nobody": (("alice", "bob"), "slip", "wrok"),
    "no-account-at-all": ((), "acme", "bob, dave"),
    "another-providers-account": (("alice", "carol"), "elsewhere", "carol"),
}


@pytest.mark.parametrize("why", CANNOT)
async def test_where_none_of_its_accounts_can_serve_the_answer_names_the_rule(
    ruled: Scene, talk: str, why: str
) -> None:
    pooled, owner, only = CANNOT[why]
    ruled.pool(*pooled)
    told = at(f"git@github.com:{owner}/x")
    status, error = await ask(ruled, told, talk)
    assert status == 403
    assert f"allows only {only}; none of its accounts can serve this now" in error["message"]
    assert await handshake(ruled, told, talk) == 403
    assert ruled.asked("responses") == [], "neither another account nor the editor's own login was asked"
    assert (await ask(ruled, HOME, f"{talk}-2"))[0] == 200


async def test_a_paused_seat_serves_nothing_and_nobody_stands_in(ruled: Scene, talk: str) -> None:
    ruled.pool("alice", "bob")
    with ruled.store as store:
        store.set_paused("bob", True, datetime.now(UTC))
    ruled.proxy.wait_last_log("action=pool", "codex=1 ")
    assert (await ask(ruled, WORK, talk))[0] == 403
    assert ruled.asked("responses") == []


async def test_a_login_that_the_pool_cannot_replace_is_not_let_through(ruled: Scene, talk: str) -> None:
    ruled.pool("alice", "bob")
    status, error = await ask(ruled, WORK, talk, authorization="Bearer sk-FAKESECRET-key")
    assert (status, 'the rule "work code"' in error["message"]) == (403, True)
    assert ruled.fakes.journal(route="responses") == []


@pytest.mark.parametrize(("owner", "dave"), [("acme", "dave"), ("someone", "carol")])
async def test_the_copilot_clis_repository_counts(ruled: Scene, talk: str, owner: str, dave: str) -> None:
    ruled.pool("carol", "dave")
    chat = b'{"model":"gpt-4.1","messages":[{"role":"user","content":"hi"}]}'
    told = {"x_github_repository_nwo": f"{owner}/widgets", "x_github_repository_host": "github.com"}
    headers = cli_headers(x_client_session_id=talk, **told)
    async with await ruled.network.http2("api.individual.githubcopilot.com") as client:
        incoming = await client.send("POST", "/chat/completions", headers, chat)
        await incoming.body()
    assert incoming.status == 200
    assert ruled.asked("chat-completions") == [dave]


# -- sockets


async def test_a_prewarming_handshake_waits_for_its_turn_which_says_where_it_works(ruled: Scene, talk: str) -> None:
    ruled.pool("alice", "bob")
    assert await handshake(ruled, PREWARM, talk) == 403
    async with socket(ruled, WORK, talk) as opened:
        assert spoken(await turn(opened, message(WORK))).startswith("bob0 ")
    async with socket(ruled, PREWARM, talk) as opened:
        assert spoken(await turn(opened, message(WORK))).startswith("bob0 "), "by now it is known where it works"
    assert ruled.asked("responses") == ["bob", "bob"]


async def test_a_turn_that_moves_to_work_code_leaves_its_socket_before_a_word_is_sent(ruled: Scene, talk: str) -> None:
    ruled.pool("alice", "bob")
    async with socket(ruled, HOME, talk) as opened:
        assert spoken(await turn(opened, message(HOME))).startswith("alice0 ")
        assert away(await turn(opened, message(WORK)))
    async with socket(ruled, HOME, talk) as opened:
        assert spoken(await turn(opened, message(WORK))).startswith("bob0 ")
        assert spoken(await turn(opened, message(HOME))).startswith("bob0 "), "no rule is about that"
    entries = ruled.fakes.journal(route="responses")
    told = [(e["account"], [t["metadata"] for t in e["turns"]]) for e in entries]
    assert told == [("alice", [HOME]), ("bob", [WORK, HOME])]


async def test_a_turn_that_moves_to_work_code_leaves_the_editors_own_socket(ruled: Scene, talk: str) -> None:
    async with socket(ruled, HOME, talk) as opened:
        assert spoken(await turn(opened, message(HOME))).startswith(f"{EDITOR}0 ")
        assert away(await turn(opened, message(WORK)))
    assert await handshake(ruled, HOME, talk) == 403
    assert [len(e["turns"]) for e in ruled.fakes.journal(route="responses")] == [1]


async def test_a_model_that_is_chosen_within_a_socket_is_heeded(ruled: Scene, talk: str) -> None:
    ruled.pool("alice", "bob")
    special = {**CREATE, "model": "special-1"}
    async with socket(ruled, HOME, talk) as opened:
        assert spoken(await turn(opened)).startswith("alice0 ")
        assert away(await turn(opened, special))
    async with socket(ruled, HOME, talk) as opened:
        assert spoken(await turn(opened, special)).startswith("bob0 ")


async def test_a_limit_within_a_socket_moves_nobody_out_of_the_rule(ruled: Scene, talk: str) -> None:
    ruled.pool("alice", "bob")
    ruled.fakes.behave("bob", {"kind": "usage_limit", "on": ["frame"]})
    async with socket(ruled, WORK, talk) as opened:
        frame = (await turn(opened, message(WORK)))[-1]
    assert frame["error"]["type"] == "usage_limit_reached", "delivered as it came: nobody else may serve"
    assert ruled.asked("responses") == ["bob"]


async def test_a_preferred_account_takes_a_conversation_over_where_it_begins(ruled: Scene, talk: str) -> None:
    ruled.pool("alice", "bob")
    liked = at("git@github.com:liked/x")
    async with socket(ruled, "{}", talk) as opened:
        assert away(await turn(opened, message(liked)))
    ruled.fakes.behave("bob", {"kind": "usage_limit"})
    async with socket(ruled, "{}", talk) as opened:
        assert spoken(await turn(opened, message(liked))).startswith("alice0 "), "a preference stands in nobody's way"


# -- the editor's own account, and a pool that cannot be had


ONLY = '[[rule]]\nname = "work code"\nrepository = "github.com/acme/*"\nonly = [{}]\n'


async def test_the_editors_own_account_serves_only_where_the_rule_names_it(
    start: Start, tmp_path: Path, talk: str
) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(ONLY.format('"bob"'))
    scene = start("alice", "bob", pool_rules=str(path), pool_learn="true")
    scene.fakes.behave("bob", {"kind": "usage_limit"})
    assert [(await ask(scene, WORK, talk))[0] for _ in range(2)] == [429, 429]
    assert scene.asked("responses") == ["bob"]
    with scene.store as store:
        own = next(account.name for account in store.accounts() if account.learnt)
    since = len(scene.proxy.log)
    path.write_text(ONLY.format(f'"{own}"'))
    scene.proxy.wait_log("action=rules .*rules=1", since=since)
    assert (await ask(scene, WORK, talk))[0] == 200
    scene.fakes.behave(EDITOR, {"kind": "usage_limit"})
    assert [(await ask(scene, WORK, talk))[0] for _ in range(2)] == [429, 429]
    assert scene.asked("responses") == ["bob", EDITOR, EDITOR]


async def test_while_the_database_is_away_the_rules_still_bind(start: Start, tmp_path: Path, talk: str) -> None:
    """And they are read from the user's configuration directory where no other file is named."""
    place = tmp_path / "xdg" / "seatpool"
    place.mkdir(parents=True)
    (place / "rules.toml").write_text(RULES)
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"no database at all, but long enough to look like a file" * 100)
    scene = start(pool_db=str(broken), env={"XDG_CONFIG_HOME": str(tmp_path / "xdg")})
    status, error = await ask(scene, WORK, talk)
    assert (status, 'the rule "work code" (rules.toml:1)' in error["message"]) == (503, True)
    assert scene.asked("responses") == []
    assert (await ask(scene, HOME, f"{talk}-2"))[0] == 200
    assert scene.asked("responses") == [EDITOR]


# -- the file


async def test_an_edit_counts_within_seconds_and_a_mistake_leaves_the_last_good_rules(
    start: Start, tmp_path: Path, talk: str
) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(ONLY.format('"bob"'))
    scene = start("alice", "bob", pool_rules=str(path))
    path.write_text('[[rule]]\nname = "slip"\n\nonyl = ["alice"]\n')
    kept = scene.proxy.wait_log("action=rules-kept")
    assert f"reason={path}:1: " in kept.string
    await ask(scene, WORK, f"{talk}-1")
    since = len(scene.proxy.log)
    path.write_text(ONLY.format('"alice"'))
    scene.proxy.wait_log("action=rules .*rules=1", since=since)
    await ask(scene, WORK, f"{talk}-2")
    assert scene.asked("responses") == ["bob", "alice"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[rule]]\nonly = "a"\nonyl = "bob"\n', r"rules\.toml:3: .*unknown key"),
        ("[[rule", r"rules\.toml:1: not TOML"),
        (None, r"rules\.toml: No such file"),
    ],
    ids=["a slip", "no TOML", "no file"],
)
def test_a_proxy_does_not_start_under_rules_that_it_cannot_read(
    start: Start, tmp_path: Path, text: str | None, said: str
) -> None:
    path = tmp_path / "rules.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(RuntimeError, match=said):
        start(pool_rules=str(path))
