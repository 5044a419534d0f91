"""One lab for all end-to-end tests: fakes, a real mitmdump with the pool, and an editor that is not in it."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from seatpool.core.model import Cooldown
from seatpool.store import Store
from tests.harness import Lab, Mitmdump, Network
from tests.harness.namespace import why_no_namespaces
from tests.harness.signing_in import sign_in
from tests.upstream import Control, codex_login, copilot_login, tokens
from tests.upstream.logins import codex_auth

EDITOR = "editor"
CODEX_PATH = "/backend-api/codex/responses"
CODEX_BODY = json.dumps({"model": "gpt-x", "input": [], "stream": True}).encode()

ACCOUNTS: dict[str, dict[str, Any]] = {
    EDITOR: {"provider": "codex"},
    "alice": {"provider": "codex"},
    "bob": {"provider": "codex"},
    "carol": {"provider": "copilot", "plan": "individual"},
    "dave": {"provider": "copilot", "plan": "business"},
    "emma": {"provider": "copilot", "plan": "individual"},
}
"""Codex: alice and bob are pooled. Copilot: carol and dave are; emma is the editor's own."""


ALONE = {"pool_learn": "false", "pool_strategy": "priority", "pool_usage_poll": "false"}
"""The editor's own account stays out of the pool, and the others are asked in the order in which a test names them.

Asked for its usage, an account that the fakes limit says that it has some left, and is then tried.
"""


def codex_headers(conversation: str = "talk", who: str = EDITOR, **more: str) -> dict[str, str]:
    """What the editor's own Codex would send."""
    auth = codex_auth(who)["tokens"]
    return {
        "authorization": f"Bearer {auth['access_token']}",
        "chatgpt-account-id": auth["account_id"],
        "user-agent": "codex_exec/0.169.0",
        "session-id": conversation,
        "content-type": "application/json",
        "accept": "text/event-stream",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }


def cli_headers(**more: str) -> dict[str, str]:
    """What the Copilot CLI of the editor's owner would send."""
    return {
        "authorization": f"Bearer {tokens.github_token('emma', 'gho')}",
        "copilot-integration-id": "copilot-developer-cli",
        "editor-version": "copilot/1.0.102",
        "user-agent": "copilot/1.0.102",
        "x-initiator": "user",
        "content-type": "application/json",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }


@dataclass
class Scene:
    """A lab with fakes and a proxy, and what is needed to look behind it."""

    lab: Lab
    fakes: Control
    proxy: Mitmdump
    folder: Path

    @property
    def network(self) -> Network:
        """The way of an editor: through the proxy, trusting its CA."""
        return Network(self.proxy.ca, self.proxy.address, self.lab.connect)

    @property
    def store(self) -> Store:
        """The pool's database, opened beside the proxy."""
        return Store.open(str(self.proxy.database))

    def pool(self, *names: str, expires_in_s: float = 864000) -> None:
        """Put accounts into the pool, the first to be asked first. `expires_in_s` is for Codex access tokens."""
        with self.store as store:
            for priority, name in enumerate(names):
                sign_in(store, self._login(name, expires_in_s), name)
                store.set_priority(name, priority)
        self._heard(names)

    def _heard(self, names: tuple[str, ...]) -> None:
        """Wait until a running proxy knows exactly these accounts."""
        if self.proxy.running:
            counts = [sum(ACCOUNTS[name]["provider"] == kind for name in names) for kind in ("codex", "copilot")]
            self.proxy.wait_last_log(r"action=(?:pool|start) ", r"codex={} copilot={}$".format(*counts))

    def _login(self, name: str, expires_in_s: float) -> Path:
        folder = self.folder / "logins" / name
        if ACCOUNTS[name]["provider"] == "codex":
            return codex_login(folder, name, expires_in_s=expires_in_s)
        return copilot_login(folder, name, prefix="gho")

    def cooldowns(self) -> dict[str, Cooldown]:
        """Live cooldowns by account name."""
        with self.store as store:
            names = {a.id: a.name for a in store.accounts()}
            return {names[c.account_id]: c for c in store.cooldowns(datetime.now(UTC))}

    def asked(self, route: str) -> list[str]:
        """Who was asked on a route, in order."""
        return [entry["account"] for entry in self.fakes.journal(route=route)]

    def reset(self) -> None:
        """Everything as at the start: nobody is limited, the journal is empty, nobody is in the pool."""
        for name in (*ACCOUNTS, "*"):
            self.fakes.behave(name)
        for name in ACCOUNTS:
            self.fakes.change(name, revoked=False, revoked_below=0, generation=0)
        with self.store as store:
            for account in store.accounts():
                store.remove(account.name)
        self._heard(())
        self.fakes.clear()


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    reason = why_no_namespaces()
    if reason is not None:
        pytest.skip(f"end-to-end tests need a namespace of their own: {reason}")
    folder = tmp_path_factory.mktemp("e2e")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEATPOOL_KEYRING", "off")
        with Lab(folder) as lab:
            fakes = lab.upstream({"accounts": ACCOUNTS})
            flows = folder / "flows"
            arguments = ("-w", str(flows))
            with Mitmdump(folder / "proxy", lab=lab, upstream_ca=fakes.ca, arguments=arguments, options=ALONE) as proxy:
                yield Scene(lab, fakes, proxy, folder)


@pytest.fixture
def scene(stage: Scene) -> Iterator[Scene]:
    stage.reset()
    since = len(stage.proxy.log)
    yield stage
    assert not [line for line in stage.proxy.log[since:] if "Traceback" in line or "crashed" in line]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Scene]]:
    """For tests that need a proxy of their own, with other options or another fate."""
    reason = why_no_namespaces()
    if reason is not None:
        pytest.skip(f"end-to-end tests need a namespace of their own: {reason}")
    with pytest.MonkeyPatch.context() as patch, Lab(tmp_path) as lab:
        patch.setenv("SEATPOOL_KEYRING", "off")
        fakes = lab.upstream({"accounts": ACCOUNTS})
        proxies: list[Mitmdump] = []

        def start(
            *pooled: str,
            arguments: tuple[str, ...] = (),
            env: Mapping[str, str] | None = None,
            program: str = "mitmdump",
            **options: str,
        ) -> Scene:
            folder = tmp_path / f"proxy-{len(proxies)}"
            more: dict[str, Any] = {
                "options": {**ALONE, **options},
                "arguments": arguments,
                "env": env,
                "program": program,
            }
            proxy = Mitmdump(folder, lab=lab, upstream_ca=fakes.ca, **more)
            scene = Scene(lab, fakes, proxy, tmp_path)
            proxy.folder.mkdir()
            scene.pool(*pooled)
            proxies.append(proxy)
            proxy.start()
            return scene

        yield start
        for proxy in proxies:
            proxy.stop()
