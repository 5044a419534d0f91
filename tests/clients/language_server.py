"""The real Copilot language server, driven as an editor drives it."""

import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.clients.conftest import Desk
from tests.clients.stdio import Message, Rpc
from tests.upstream import tokens

ARGV = ("copilot-language-server", "--stdio")
DOCUMENT = "def add(a, b):\n    "
_ANSWERS = {"workspace/configuration": lambda params: [{} for _ in params["items"]]}


@dataclass
class Chat:
    """An answer in a chat, with the times of its parts."""

    parts: list[tuple[float, str]]
    """Time and text."""
    error: str | None

    @property
    def text(self) -> str:
        """The answer."""
        return "".join(text for _, text in self.parts)


def signed_in(desk: Desk, home: Path, name: str) -> dict[str, str]:
    """The environment of a language server whose user is signed in."""
    return desk.environment(home, GH_COPILOT_TOKEN=tokens.github_token(name, "gho"), GH_COPILOT_USER=name)


class LanguageServer:
    """A running language server with one document open, once it says that it is in that state."""

    def __init__(self, process: "subprocess.Popen[bytes]", work: Path, state: str = "Normal") -> None:
        self.rpc = Rpc(process, headers=True, answers=_ANSWERS)
        self._uri = (work / "sum.py").as_uri()
        self._version = 0
        options = {
            "editorInfo": {"name": "Neovim", "version": "0.11.0"},
            "editorPluginInfo": {"name": "copilot.lua", "version": "2.0.0"},
        }
        folders = [{"uri": work.as_uri(), "name": "work"}]
        capabilities = {"workspace": {"workspaceFolders": True, "configuration": False}, "window": {}}
        asked = {"processId": None, "workspaceFolders": folders, "capabilities": capabilities}
        self.rpc.request("initialize", {**asked, "initializationOptions": options})
        self.rpc.notify("initialized", {})
        self.rpc.notify("workspace/didChangeConfiguration", {"settings": {}})
        document = {"uri": self._uri, "languageId": "python", "version": 0, "text": DOCUMENT}
        self.rpc.notify("textDocument/didOpen", {"textDocument": document})
        begun = self.rpc.wait(lambda m: m.method == "didChangeStatus" and m.params.get("kind") == state, what=state)
        self.says = begun.params.get("message", "")
        """What the editor showed with that state."""

    @property
    def states(self) -> set[str]:
        """Every state that the editor was told to show."""
        return {m.params["kind"] for m in self.rpc.messages if m.method == "didChangeStatus"}

    def complete(self, typed: str = "") -> list[str]:
        """Type something and ask for ghost text behind it."""
        self._version += 1
        text = DOCUMENT + typed
        document = {"uri": self._uri, "version": self._version}
        self.rpc.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [{"text": text}]})
        position = {"line": 1, "character": len(text.splitlines()[1])}
        context = {"triggerKind": 1}
        formatting = {"tabSize": 4, "insertSpaces": True}
        asked = {"textDocument": document, "position": position, "context": context, "formattingOptions": formatting}
        found = self.rpc.request("textDocument/inlineCompletion", asked)
        return [item["insertText"] for item in found["items"]]

    def chat(self, text: str, model: str) -> Chat:
        """Begin a conversation and wait for the answer."""
        token, since = str(uuid.uuid4()), len(self.rpc.messages)
        asked = {"workDoneToken": token, "turns": [{"request": text}], "model": model, "source": "panel"}
        self.rpc.request("conversation/create", {**asked, "capabilities": {"skills": []}}, timeout_s=40)
        ended = self.rpc.wait(lambda m: _kind(m, token) == "end", since=since, what="end of the answer")
        heard = [m for m in self.rpc.messages[since:] if _kind(m, token) == "report"]
        parts = [(m.at, reply) for m in heard if (reply := _reply(m.params["value"]))]
        error = ended.params["value"].get("error")
        return Chat(parts, error and error.get("message"))


def _kind(message: Message, token: str) -> str | None:
    ours = message.method == "$/progress" and message.params.get("token") == token
    return message.params["value"].get("kind") if ours else None


def _reply(value: dict[str, Any]) -> str:
    rounds = value.get("editAgentRounds") or []
    return str(value.get("reply") or "".join(each.get("reply") or "" for each in rounds))
