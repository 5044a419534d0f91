"""The real Codex: one turn by `codex exec`, or a conversation by `codex app-server`."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.clients.conftest import Desk
from tests.clients.stdio import Message, Rpc
from tests.e2e.conftest import EDITOR
from tests.upstream import codex_login


@dataclass
class Turn:
    """What an editor was told while its turn ran."""

    status: str
    deltas: list[tuple[float, str]]
    """Time and text."""
    errors: list[dict[str, Any]]
    """Also those that it was told to expect an end of."""
    items: list[dict[str, Any]] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The answer."""
        return "".join(text for _, text in self.deltas)


def signed_in(desk: Desk, home: Path) -> dict[str, str]:
    """The environment of a Codex whose user is signed in with an account of their own."""
    codex_login(home / ".codex", EDITOR)
    return desk.environment(home, CODEX_HOME=str(home / ".codex"), TZ="UTC")


def execute(desk: Desk, home: Path, prompt: str = "say hi") -> tuple[int, list[dict[str, Any]]]:
    """`codex exec --json`: its exit code and its events."""
    argv = ["codex", "exec", "--skip-git-repo-check", "--json", prompt]
    ran = desk.lab.run(argv, env=signed_in(desk, home), cwd=home / "work", timeout_s=40, stdin="")
    return ran.returncode, [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]


def said(events: list[dict[str, Any]]) -> list[str]:
    """The messages among the events of `codex exec`."""
    items = [event["item"] for event in events if event["type"] == "item.completed"]
    return [item["text"] for item in items if item["type"] == "agent_message"]


def errors(events: list[dict[str, Any]]) -> list[str]:
    """What `codex exec` complained of, reconnects included."""
    return [event["message"] for event in events if event["type"] == "error"]


class AppServer:
    """A running `codex app-server` with one thread."""

    def __init__(self, process: "subprocess.Popen[bytes]", work: Path) -> None:
        self._rpc = Rpc(process)
        self._rpc.request("initialize", {"clientInfo": {"name": "tests", "version": "1"}})
        self._rpc.notify("initialized", {})
        settings = {"cwd": str(work), "approvalPolicy": "never", "sandbox": "danger-full-access"}
        self._thread: str = self._rpc.request("thread/start", settings)["thread"]["id"]

    def turn(self, text: str = "say hi", timeout_s: float = 40, meanwhile: Callable[[], None] | None = None) -> Turn:
        """Say something and wait until the turn is over. `meanwhile` is called when the first words have come."""
        since = len(self._rpc.messages)
        self._rpc.begin("turn/start", {"threadId": self._thread, "input": [{"type": "text", "text": text}]})
        if meanwhile is not None:
            self._rpc.wait(lambda m: m.method == "item/agentMessage/delta", timeout_s, since=since, what="first words")
            meanwhile()
        ended = self._rpc.wait(lambda m: m.method == "turn/completed", timeout_s, since=since, what="end of the turn")
        came = self._rpc.messages[since:]
        return Turn(
            status=ended.params["turn"]["status"],
            deltas=[(m.at, m.params["delta"]) for m in _of(came, "item/agentMessage/delta")],
            errors=[m.params["error"] for m in _of(came, "error")],
            items=[m.params["item"] for m in _of(came, "item/completed")],
        )

    def told(self, method: str) -> list[dict[str, Any]]:
        """What came with each notification of that name so far."""
        return [message.params for message in _of(self._rpc.messages, method)]

    def account_limits(self) -> dict[str, Any]:
        """What the client shows of its account's limits when it is asked: it looks them up."""
        found: dict[str, Any] = self._rpc.request("account/rateLimits/read", {})
        return found


def _of(messages: list[Message], method: str) -> list[Message]:
    return [message for message in messages if message.method == method]
