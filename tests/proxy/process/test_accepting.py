"""A proxy goes on listening where asyncio's loop of Windows would not."""

import asyncio
from asyncio.proactor_events import BaseProactorEventLoop
from collections.abc import Iterator
from typing import Any

import pytest

from seatpool.proxy.process import accepting

ERROR_NETNAME_DELETED = 64


class Proactor:
    """Accepts as Windows does: a client that has left already ends in an error."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.gone = 0
        """How many of the next ones have."""

    def accept(self, listener: Any) -> asyncio.Future[Any]:
        if not self.gone:
            return self._loop.create_task(self._loop.sock_accept(listener))
        self.gone -= 1
        failed = self._loop.create_future()
        failed.set_exception(OSError(ERROR_NETNAME_DELETED, "The specified network name is no longer available"))
        return failed

    def _stop_serving(self, listener: Any) -> None:
        """Before it is closed."""
        self._loop.remove_reader(listener)


class Loop(asyncio.SelectorEventLoop):
    """Serves with the code of CPython's that serves on Windows, and does everything else as here."""

    def __init__(self) -> None:
        super().__init__()
        self._proactor = Proactor(self)
        self._accept_futures: dict[int, asyncio.Future[Any]] = {}

    _start_serving = BaseProactorEventLoop._start_serving  # type: ignore[attr-defined] # what is tested
    _stop_serving = BaseProactorEventLoop._stop_serving  # type: ignore[attr-defined] # what is tested


@pytest.fixture(params=[None, asyncio.eager_task_factory], ids=["plain", "mitmproxy"])
def loop(request: pytest.FixtureRequest) -> Iterator[Loop]:
    with asyncio.Runner(loop_factory=Loop) as runner:
        made = runner.get_loop()
        assert isinstance(made, Loop)
        made.set_task_factory(request.param)
        yield made


async def _greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"hello")
    writer.close()


async def _greeted(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(5):
            return await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize("before", [0, 1, 3], ids=["the first", "the second", "a later"])
def test_who_comes_after_clients_that_were_gone_is_let_in(loop: Loop, before: int) -> None:
    async def played() -> list[bytes]:
        accepting.go_on(loop)
        accepting.go_on(loop)  # as often as the addon is loaded
        if before == 0:
            loop._proactor.gone = 2
        server = await asyncio.start_server(_greet, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            heard = []
            for number in range(5):
                if number == before - 1:
                    loop._proactor.gone = 2
                heard.append(await _greeted(port))
            return heard

    assert loop.run_until_complete(played()) == [b"hello"] * 5


def test_a_server_that_is_closed_accepts_nobody_any_more(loop: Loop) -> None:
    async def played() -> int:
        accepting.go_on(loop)
        server = await asyncio.start_server(_greet, "127.0.0.1", 0)
        port: int = server.sockets[0].getsockname()[1]
        assert await _greeted(port) == b"hello"
        server.close()
        await server.wait_closed()
        with pytest.raises(OSError, match="onnect"):
            await _greeted(port)
        return len(asyncio.all_tasks(loop))

    assert loop.run_until_complete(played()) == 1


async def test_other_loops_are_left_as_they_are() -> None:
    before = dict(vars(asyncio.get_running_loop()))
    accepting.go_on(asyncio.get_running_loop())
    assert vars(asyncio.get_running_loop()) == before
