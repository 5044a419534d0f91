"""Two real proxies on one database: one renewal between them, whatever happens to one of them."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from seatpool.core.model import Credential, CredentialKind
from tests.e2e.conftest import ACCOUNTS, CODEX_BODY, CODEX_PATH, Scene, codex_headers
from tests.e2e.test_copilot import CHAT, HOST, editor_headers
from tests.harness import REPOSITORY, BrokenOff, Incoming, Lab, Mitmdump
from tests.harness.marks import needs_namespaces
from tests.harness.remains import leaks
from tests.upstream.tokens import MARKER, codex_refresh_token, copilot_token

pytestmark = needs_namespaces

EACH = 20
"""Requests through each of the two at once."""
LONG_AGO = -3600.0
SLOW_MS = 800
"""Of a token endpoint: all requests are there by then."""


Answer = tuple[Incoming, bytes]


@dataclass(frozen=True)
class Pair:
    """The two, seen from in front and from behind."""

    one: Scene
    two: Scene

    def pool(self, *names: str, expires_in_s: float = 864000) -> None:
        """Put accounts into the pool; both know them when this returns."""
        self.one.pool(*names, expires_in_s=expires_in_s)
        self.two._heard(names)

    def held(self, name: str) -> dict[CredentialKind, Credential]:
        """What is stored for an account that is in good order."""
        with self.one.store as store:
            account = store.account(name)
            assert account.disabled is None
            return store.credentials(account.id)

    def shows(self) -> list[str]:
        """Where a token can be seen of all that the two have left: files, logs and what `status` tells."""
        command = [sys.executable, "-m", "seatpool.cli", "--db", str(self.one.proxy.database), "status", "--json"]
        path = {"PYTHONPATH": str(REPOSITORY / "addon")}
        told = subprocess.run(command, env={**os.environ, **path}, capture_output=True, text=True, check=True)
        assert {row["name"] for row in json.loads(told.stdout)["accounts"]}
        spoken = {"status": [told.stdout, told.stderr], "log": self.one.proxy.log + self.two.proxy.log}
        return leaks(self.one.folder) + [
            name for name, lines in spoken.items() if any(MARKER in line for line in lines)
        ]


@contextmanager
def two_proxies(
    folder: Path, *pooled: str, expires_in_s: float = LONG_AGO, in_turn: bool = True, **options: str
) -> Iterator[Pair]:
    """On one database, beside each other; both write all flows into a file.

    `pooled` are equals, unless they are not `in_turn`, and their logins are to be renewed: see `expires_in_s`.
    """
    with pytest.MonkeyPatch.context() as patch, Lab(folder) as lab:
        patch.setenv("SEATPOOL_KEYRING", "off")
        fakes = lab.upstream({"accounts": ACCOUNTS})
        scenes = []
        for number in range(2):
            proxy = Mitmdump(
                folder / f"proxy-{number}",
                lab=lab,
                upstream_ca=fakes.ca,
                options={"pool_db": str(folder / "pool.db"), "pool_learn": "false", **options},
                arguments=("-w", str(folder / f"flows-{number}")),
            )
            proxy.port, proxy.database = 8080 + number, folder / "pool.db"
            scenes.append(Scene(lab, fakes, proxy, folder))
        scenes[0].pool(*pooled, expires_in_s=expires_in_s)
        with scenes[0].store as store:
            for name in pooled if in_turn else ():
                store.set_priority(name, 0)
        with scenes[0].proxy, scenes[1].proxy:
            yield Pair(*scenes)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with two_proxies(tmp_path_factory.mktemp("two")) as pair:
        yield pair


@pytest.fixture
def pair(running: Pair) -> Pair:
    running.one.reset()
    running.two._heard(())
    return running


async def codex(scene: Scene, name: str, count: int = EACH) -> list[Answer]:
    """So many turns at once: half of them on one HTTP/2 connection, the others on a connection each."""
    network, host = scene.network, "chatgpt.com"
    clients = [await network.http2(host), *[await network.http1(host) for _ in range(count // 2)]]
    turns = [clients[0] if number % 2 else clients[number // 2 + 1] for number in range(count)]
    return await send_all(turns, CODEX_PATH, [codex_headers(f"{name}-{number}") for number in range(count)], CODEX_BODY)


async def copilot(scene: Scene, name: str, count: int = EACH) -> list[Answer]:
    """As `codex`, for a Copilot editor."""
    clients = [await scene.network.http2(HOST) for _ in range(min(count, 2))]
    turns = [clients[number % 2] for number in range(count)]
    return await send_all(turns, "/chat/completions", [editor_headers()] * count, CHAT)


async def send_all(turns: list[Any], path: str, headers: list[dict[str, str]], body: bytes) -> list[Answer]:
    """All at once; returns when every answer is complete, and hangs up."""
    try:
        sent = [await client.send("POST", path, each, body) for client, each in zip(turns, headers, strict=True)]
        bodies = await asyncio.gather(*(incoming.body() for incoming in sent))
    finally:
        await asyncio.gather(*(client.close() for client in set(turns)))
    return list(zip(sent, bodies, strict=True))


def assert_streamed(answers: list[Answer], name: str) -> None:
    """Every one is a whole stream of events from this account."""
    assert [incoming.status for incoming, _ in answers] == [200] * len(answers)
    assert all(body.startswith((b"event: ", b"data: ")) for _, body in answers)
    assert all(f"{name}{delta} ".encode() in body for _, body in answers for delta in range(3))


@pytest.mark.parametrize("refused", [False, True], ids=["expired", "refused by the upstream"])
async def test_forty_requests_through_two_proxies_renew_a_login_once_and_nobody_sees_a_401(
    pair: Pair, refused: bool
) -> None:
    fakes = pair.one.fakes
    pair.pool("alice", expires_in_s=864000 if refused else LONG_AGO)
    fakes.change("alice", revoked_below=1)
    fakes.behave("alice", {"route": "oauth-token", "delay_ms": SLOW_MS})
    one, two = await asyncio.gather(codex(pair.one, "one"), codex(pair.two, "two"))
    assert_streamed(one + two, "alice")
    (renewal,) = fakes.journal(route="oauth-token")
    assert (renewal["account"], renewal["generation"], renewal["status"]) == ("alice", 0, 200)
    turns = fakes.journal(route="responses")
    good = [turn for turn in turns if turn["status"] == 200]
    assert {(turn["account"], turn["generation"]) for turn in good} == {("alice", 1)}, "both use the new one"
    assert len(good) == 2 * EACH
    # Those that came late find the new token there; what comes from both must have been refused all the same.
    assert EACH < len(turns) - len(good) <= 2 * EACH if refused else len(turns) == len(good)
    stored = pair.held("alice")[CredentialKind.CODEX_OAUTH]
    assert stored.refresh_token == codex_refresh_token("alice", 1)
    assert pair.one.cooldowns() == {}
    assert pair.shows() == []


@pytest.mark.parametrize("held", ["none", "expired", "refused"])
async def test_forty_requests_through_two_proxies_exchange_a_copilot_token_once(pair: Pair, held: str) -> None:
    fakes = pair.one.fakes
    pair.pool("carol")
    if held != "none":
        hold_dead_token(pair, "carol", known=held == "expired")
    fakes.change("carol", minted=0)
    fakes.behave("carol", {"route": "token", "delay_ms": SLOW_MS})
    one, two = await asyncio.gather(copilot(pair.one, "one"), copilot(pair.two, "two"))
    assert_streamed(one + two, "carol")
    (exchange,) = fakes.journal(route="token")
    assert (exchange["account"], exchange["status"]) == ("carol", 200)
    turns = fakes.journal(route="chat-completions")
    good = [turn for turn in turns if turn["status"] == 200]
    assert {(turn["account"], turn["kind"], turn["generation"]) for turn in good} == {("carol", "copilot", 1)}
    assert len(good) == 2 * EACH
    assert EACH < len(turns) - len(good) <= 2 * EACH if held == "refused" else len(turns) == len(good)
    assert CredentialKind.COPILOT_TOKEN in pair.held("carol")
    assert pair.one.cooldowns() == {}
    assert pair.shows() == []


def hold_dead_token(pair: Pair, name: str, *, known: bool) -> None:
    """A Copilot token that the upstream takes no more, whether or not we can know."""
    past, now = time.time() + LONG_AGO, datetime.now(UTC)
    endpoints = {"api": f"https://{HOST}"}
    expires_at = datetime.fromtimestamp(past, UTC) if known else now + timedelta(minutes=25)
    dead = Credential(
        CredentialKind.COPILOT_TOKEN,
        copilot_token(name, "individual", past),
        expires_at=expires_at,
        endpoints=endpoints,
    )
    with pair.one.store as store:
        store.save_credential(store.account(name).id, dead, now=now)


@pytest.mark.parametrize(
    "answer",
    [
        {"kind": "rate_limited", "retry_after": 60},
        {"kind": "unauthorized", "code": "refresh_token_invalidated"},
    ],
    ids=["in passing", "for good"],
)
async def test_a_renewal_that_is_refused_is_not_asked_for_again_by_the_other_proxy(
    pair: Pair, answer: dict[str, Any]
) -> None:
    fakes = pair.one.fakes
    pair.pool("alice", "bob", expires_in_s=LONG_AGO)
    fakes.behave("alice", {"route": "oauth-token", "delay_ms": SLOW_MS, **answer})
    one, two = await asyncio.gather(codex(pair.one, "one"), codex(pair.two, "two"))
    assert_streamed(one + two, "bob")
    # Requests that find no place on alice ask for bob's token meanwhile, so neither is always first.
    assert sorted(entry["account"] for entry in fakes.journal(route="oauth-token")) == ["alice", "bob"]


async def test_when_one_proxy_is_killed_in_its_renewals_the_other_goes_on_as_soon_as_the_leases_end(
    tmp_path: Path,
) -> None:
    """One refresh token was rotated and is lost, another one was not, and an exchange can be made again."""
    with two_proxies(tmp_path, "alice", "bob", "carol") as pair:
        fakes = pair.one.fakes
        fakes.behave("alice", {"route": "oauth-token", "delay_ms": 60_000, "first": 1})
        fakes.behave("bob", {"route": "oauth-token", "kind": "hang", "first": 1})
        fakes.behave("carol", {"route": "token", "delay_ms": 60_000, "first": 1})
        waiting = [
            asyncio.create_task(given_up(work)) for work in (codex(pair.one, "one", 2), copilot(pair.one, "one", 1))
        ]
        for route, count in (("oauth-token", 2), ("token", 1)):
            await asyncio.to_thread(fakes.wait, count, route=route)
        pair.one.proxy.kill()
        assert await asyncio.gather(*waiting) == [True, True]
        answers, others = await asyncio.gather(codex(pair.two, "two", 2), copilot(pair.two, "two", 1))
        assert_streamed(answers, "bob")
        assert_streamed(others, "carol")
        assert presented(pair, "alice") == [(0, None), (0, 401)]
        assert presented(pair, "bob") == [(0, None), (0, 200)]
        assert len(fakes.journal(route="token")) == 2
        with pair.two.store as store:
            disabled = {account.name: account.disabled for account in store.accounts()}
        assert disabled == {"alice": "renewal-refresh_token_reused", "bob": None, "carol": None}
        fakes.change("bob", revoked_below=2)
        assert_streamed(await codex(pair.two, "later", 2), "bob")
        assert presented(pair, "bob")[2:] == [(1, 200)], "the rotated one is what is used from then on"
        assert presented(pair, "alice")[2:] == [], "a dead refresh token is not sent again"
        assert pair.shows() == []


async def given_up(work: Any) -> bool:
    """Whether the answers were broken off."""
    try:
        await work
    except (BrokenOff, OSError):
        return True
    return False


def presented(pair: Pair, name: str) -> list[tuple[int, int | None]]:
    """Generations of the refresh tokens that came, and how each was answered."""
    entries = pair.one.fakes.journal(route="oauth-token", account=name)
    return [(entry["generation"], entry["status"]) for entry in entries]
