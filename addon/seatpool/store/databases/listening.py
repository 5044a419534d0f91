"""Hears what PostgreSQL notifies of: that another process, on whatever machine, has committed a change.

A connection of its own in a thread of its own, so that neither requests nor transactions wait for it. While it is lost
nothing is heard and `hearing` says so; it is made anew soon, then less often. Behind a pooler nothing is ever heard.
"""

import logging
import random
import selectors
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from seatpool.store.databases.backend import CHANNEL

logger = logging.getLogger(__name__)

KEPT_ALIVE = "SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3"
"""For the server to notice within seconds that a machine is gone; it keeps a place for each connection until then."""

FIRST_S, LONGEST_S = 0.1, 5.0
"""Between two tries to connect."""


class Listener:
    """An `Ear`."""

    def __init__(self, arguments: Sequence[Any], named: Mapping[str, Any], wake: Callable[[], None]) -> None:
        """`wake` is called in the listener's thread: with all that is heard, and when there is a connection again."""
        self._arguments = arguments
        self._named = named
        self._wake = wake
        self.hearing = False
        self._over = threading.Event()
        self._bell, self._button = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="seatpool listener", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Hear no more."""
        if not self._over.is_set():
            self._button.send(b"!")  # before the thread knows that it is over, and closes this
            self._over.set()
            self._thread.join(timeout=5)

    def _run(self) -> None:
        import psycopg

        pause = FIRST_S
        while not self._over.is_set():
            try:
                with psycopg.connect(*self._arguments, **{**self._named, "autocommit": True}) as connection:
                    if not is_direct(connection):
                        logger.info("action=not-hearing reason=pooler")
                        connection.close()
                        self._over.wait()
                        continue
                    connection.execute(f"{KEPT_ALIVE}; LISTEN {CHANNEL}")
                    pause = FIRST_S
                    self.hearing = True
                    self._wake()
                    self._hear(connection)
            except (psycopg.Error, OSError) as error:
                if self.hearing:
                    logger.info("action=not-hearing reason=%s", type(error).__name__)
            finally:
                self.hearing = False
            if self._over.is_set():
                break
            self._wake()  # so that somebody looks, and sees that he has to go on looking
            self._over.wait(pause * random.uniform(0.5, 1.5))  # noqa: S311 # so that not all come at once
            pause = min(pause * 2, LONGEST_S)
        self._bell.close()
        self._button.close()

    def _hear(self, connection: Any) -> None:
        server = connection.pgconn
        with selectors.DefaultSelector() as ready:  # `select` takes no file above the thousandth
            ready.register(server.socket, selectors.EVENT_READ)
            ready.register(self._bell, selectors.EVENT_READ)
            while ready.select() and not self._over.is_set():
                server.consume_input()
                heard = False
                while server.notifies() is not None:
                    heard = True
                if heard:
                    self._wake()


def is_direct(connection: Any) -> bool:
    """Whether the server's own process is at the other end.

    A pooler (PgBouncer, and those after its model) lends one out for a transaction, and what is notified later goes to
    nobody. It tells a number of its own for the process, by which to cancel.
    """
    (own,) = connection.execute("SELECT pg_backend_pid()").fetchone()
    return bool(own == connection.info.backend_pid)
