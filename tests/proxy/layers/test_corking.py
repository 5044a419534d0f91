"""Whatever is joined, every peer gets the same bytes in the same order, and everything else stays where it was."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from mitmproxy.connection import Connection, Server
from mitmproxy.proxy import commands

from seatpool.proxy.layers.corking import RECORD, Uncork, corked
from tests.proxy.driver import Peer
from tests.proxy.layers.test_replay import Stage

PEERS = (Server(address=("a", 443)), Server(address=("b", 443)))
SENDS = st.builds(commands.SendData, st.sampled_from(PEERS), st.sampled_from([b"a", b"bc", b"", b"x" * RECORD]))
OTHERS = st.builds(commands.Log, st.just("between"), st.just(10)) | st.builds(
    commands.CloseConnection, st.sampled_from(PEERS)
)


def told(follows: Sequence[commands.Command]) -> list[object]:
    """Everything but where one piece ends and the next begins."""
    found: list[object] = []
    for command in follows:
        if not isinstance(command, commands.SendData):
            found.append(id(command))
        elif found and isinstance(found[-1], list) and found[-1][0] is command.connection:
            found[-1][1] += command.data
        else:
            found.append([command.connection, command.data])
    return found


def small_for(command: commands.Command) -> Connection | None:
    small = isinstance(command, commands.SendData) and len(command.data) < RECORD
    return command.connection if small and isinstance(command, commands.SendData) else None


@given(st.lists(SENDS | OTHERS, max_size=12))
def test_the_same_bytes_leave_in_as_few_pieces_as_there_are_moments(follows: list[commands.Command]) -> None:
    joined = list(corked(follows))
    assert told(joined) == told(follows)
    apart = [command for command in follows if small_for(command) is None]
    assert [id(command) for command in joined if not isinstance(command, commands.SendData)] == [
        id(command) for command in apart if not isinstance(command, commands.SendData)
    ]
    runs = 1 + sum(small_for(one) is None or small_for(one) is not small_for(next_) for one, next_ in pairwise(follows))
    assert len(joined) == (runs if follows else 0)


def test_what_was_sent_so_far_leaves_where_somebody_says_so() -> None:
    pieces = [commands.SendData(PEERS[0], data) for data in (b"a", b"b", b"c")]
    joined = list(corked([*pieces[:2], Uncork(), pieces[2], Uncork()]))
    assert [command.data for command in joined if isinstance(command, commands.SendData)] == [b"ab", b"c"]
    assert len(joined) == 2, "mitmproxy knows no such command"


def test_a_request_and_its_answer_leave_in_one_piece_each() -> None:
    stage = Stage()
    stage.ask()
    stage.answer(1, 429)  # and both connections have begun
    pieces: list[Peer] = []
    for peer in (stage.upstream, stage.client):
        stage.driver.sinks[peer.connection] = _noting(stage.driver.sinks[peer.connection], peer, pieces)
    stage.ask(3)
    assert pieces == [stage.upstream]
    stage.answer(3, 429)
    assert pieces == [stage.upstream, stage.client]
    assert stage.client.bodies == {1: b"{}", 3: b"{}"}


def _noting(sink: Callable[[bytes], None], peer: Peer, pieces: list[Peer]) -> Callable[[bytes], None]:
    def receive(data: bytes) -> None:
        pieces.append(peer)
        sink(data)

    return receive
