"""Control of a running fake over a Unix socket: one line of JSON there, one line of JSON back.

A Unix socket crosses network namespaces, so a test outside of a `Lab` drives a fake inside of it.
"""

import asyncio
import json
import socket
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.upstream.journal import Journal
from tests.upstream.world import ANYBODY, Behaviour, World


class ControlServer:
    """The side of the fake."""

    def __init__(self, world: World, journal: Journal) -> None:
        self._world = world
        self._journal = journal

    async def listen(self, path: Path) -> asyncio.Server:
        """Start to take orders."""
        return await asyncio.start_unix_server(self._serve, path, limit=1 << 22)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await reader.readline()
            answer = await self._obey(json.loads(line))
        except (ValueError, KeyError, TypeError, TimeoutError) as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        writer.write(json.dumps(answer).encode() + b"\n")
        writer.close()

    async def _obey(self, order: dict[str, Any]) -> Any:
        match order.pop("op"):
            case "journal":
                return self._journal.select(order["match"])
            case "wait":
                async with asyncio.timeout(order["timeout_s"]):
                    return await self._journal.wait(order["match"], order["count"])
            case "behave":
                self._world.behave(order["account"], order["behaviours"])
            case "change":
                self._world.change(order["account"], order["fields"])
            case "sign_in":
                self._world.sign_in(order["account"], order["fields"])
            case "clear":
                self._journal.entries.clear()
            case unknown:
                raise ValueError(f"no such order: {unknown}")
        return None


class Control:
    """The side of the test."""

    def __init__(self, path: Path, ca: Path) -> None:
        self._path = path
        self.ca = ca
        """The CA that a client has to trust."""

    def journal(self, **match: Any) -> list[dict[str, Any]]:
        """Requests so far, those under way included; `match` as in `journal.matches`."""
        found: list[dict[str, Any]] = self._order(op="journal", match=match)
        return found

    def wait(self, count: int = 1, timeout_s: float = 10, **match: Any) -> list[dict[str, Any]]:
        """Wait until at least `count` requests match. `AssertionError`, with what there was, when they do not."""
        try:
            found: list[dict[str, Any]] = self._order(op="wait", match=match, count=count, timeout_s=timeout_s)
        except TimeoutError:
            seen = [(entry["account"], entry["route"], entry["answer"]) for entry in self.journal()]
            raise AssertionError(f"not {count} requests with {match} within {timeout_s} s: {seen}") from None
        return found

    def behave(self, account: str = ANYBODY, *behaviours: Behaviour | Mapping[str, Any]) -> None:
        """Replace the behaviours of an account, or of everybody. None at all: everything goes well."""
        plain = [asdict(each) if isinstance(each, Behaviour) else dict(each) for each in behaviours]
        self._order(op="behave", account=account, behaviours=plain)

    def change(self, account: str, **fields: Any) -> None:
        """Set fields of a `FakeAccount`, such as `quota`, `revoked` or `token_life_s`."""
        self._order(op="change", account=account, fields=fields)

    def sign_in(self, account: str, **fields: Any) -> None:
        """Say who signs in from now on, and what they decide: fields of `signins.Person`."""
        self._order(op="sign_in", account=account, fields=fields)

    def clear(self) -> None:
        """Forget the journal so far."""
        self._order(op="clear")

    def _order(self, **order: Any) -> Any:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self._path))
            connection.sendall(json.dumps(order).encode() + b"\n")
            with connection.makefile() as answers:
                answer = json.loads(answers.readline())
        if isinstance(answer, dict) and "error" in answer:
            if answer["error"].startswith("TimeoutError"):
                raise TimeoutError
            raise ValueError(answer["error"])
        return answer
