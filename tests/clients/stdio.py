"""JSON-RPC over the pipes of a process, with the time at which each message came."""

import json
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO, Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """What the process said, and when (Unix time)."""

    at: float
    body: Json

    @property
    def method(self) -> str:
        """Of a notification or a request; empty for an answer."""
        return str(self.body.get("method", ""))

    @property
    def params(self) -> Json:
        """What came with it."""
        found: Json = self.body.get("params") or {}
        return found


class RpcError(Exception):
    """The process answered a request with an error."""


class Rpc:
    """The other end of a JSON-RPC process.

    `headers`: each message has a `Content-Length`, as in LSP; otherwise each is a line. `answers` holds what the
    requests that the process makes of us are answered with, by method; every other one gets null.
    """

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        *,
        headers: bool = False,
        answers: Mapping[str, Callable[[Json], Any]] | None = None,
    ) -> None:
        self.messages: list[Message] = []
        self._process = process
        self._headers = headers
        self._answers = dict(answers or {})
        self._number = 0
        self._ended = False
        self._news = threading.Condition()
        self._writing = threading.Lock()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def request(self, method: str, params: Json, timeout_s: float = 30) -> Any:
        """Ask and wait for the answer. `RpcError` when it is an error, `AssertionError` when none comes."""
        number = self.begin(method, params)
        answer = self.wait(lambda m: not m.method and m.body.get("id") == number, timeout_s, what=f"answer to {method}")
        if "error" in answer.body:
            raise RpcError(f"{method}: {answer.body['error']}")
        return answer.body.get("result")

    def begin(self, method: str, params: Json) -> int:
        """Ask without waiting; returns the id of the request."""
        self._number += 1
        self._send({"id": self._number, "method": method, "params": params})
        return self._number

    def notify(self, method: str, params: Json) -> None:
        """Tell the process something."""
        self._send({"method": method, "params": params})

    def wait(
        self, wanted: Callable[[Message], bool], timeout_s: float = 30, *, since: int = 0, what: str = "message"
    ) -> Message:
        """The first message after the first `since` ones that is wanted."""

        def found() -> Message | None:
            return next((message for message in self.messages[since:] if wanted(message)), None)

        with self._news:
            self._news.wait_for(lambda: found() or self._ended, timeout_s)
            if message := found():
                return message
        came = [message.method or "answer" for message in self.messages[since:]]
        raise AssertionError(f"no {what} within {timeout_s} s; came: {came}")

    def _send(self, body: Json) -> None:
        raw = json.dumps({"jsonrpc": "2.0", **body}).encode()
        stream = self._process.stdin
        assert stream is not None
        with self._writing:
            stream.write(b"Content-Length: %d\r\n\r\n%s" % (len(raw), raw) if self._headers else raw + b"\n")
            stream.flush()

    def _read(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        try:
            while (raw := self._next(stream)) is not None:
                self._take(json.loads(raw))
        except (OSError, ValueError):
            pass  # ended in the middle of a message
        with self._news:
            self._ended = True
            self._news.notify_all()

    def _next(self, stream: IO[bytes]) -> bytes | None:
        if not self._headers:
            return stream.readline() or None
        length = None
        while line := stream.readline().strip():
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        return None if length is None else stream.read(length)

    def _take(self, body: Json) -> None:
        message = Message(time.time(), body)
        if message.method and "id" in body:
            answer = self._answers.get(message.method)
            self._send({"id": body["id"], "result": answer(message.params) if answer else None})
        with self._news:
            self.messages.append(message)
            self._news.notify_all()
