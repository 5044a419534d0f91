"""What leaves for one peer at the same moment leaves in one piece.

mitmproxy sends the head of a message, its body and each frame of HTTP/2 by themselves: a system call each, and towards
the client a TLS record each, of which the peer wakes up for the first to find out that there is more. Nobody waits
here: what is joined follows from one event. Who has more to do than to send says `Uncork` between.
"""

from collections.abc import Iterable
from itertools import groupby

from mitmproxy.connection import Connection
from mitmproxy.proxy import commands, layer

RECORD = 16 * 1024
"""Bytes: larger pieces fill TLS records of their own, and are not worth a copy."""


class Uncork(commands.Command):
    """What was sent so far leaves now, before whatever else follows from the event."""


def corked(follows: Iterable[commands.Command]) -> layer.CommandGenerator[None]:
    """What follows from an event, with the neighbours among the pieces joined that go to the same peer.

    For a layer that waits for nothing by itself, so that no command is replied to.
    """
    for peer, group in groupby(follows, _small_for):
        if peer is None:
            yield from (command for command in group if type(command) is not Uncork)
            continue
        pieces: list[bytes] = [piece.data for piece in group]  # type: ignore[attr-defined] # see `_small_for`
        yield commands.SendData(peer, pieces[0] if len(pieces) == 1 else b"".join(pieces))


def _small_for(command: commands.Command) -> Connection | None:
    """Whom it sends a small piece to, if it does."""
    return command.connection if type(command) is commands.SendData and len(command.data) < RECORD else None
