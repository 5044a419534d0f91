"""For `mitmdump -s`: sets the clock of this process by an hour, forward at SIGUSR1 and back at SIGUSR2."""

import asyncio
import signal
from datetime import UTC, datetime, timedelta

from freezegun import freeze_time

HOUR = timedelta(hours=1)


class SetClock:
    """Whatever asks for the wall clock's time gets another one; the system's own elapsed time goes on."""

    def __init__(self) -> None:
        self._by = timedelta()
        self._frozen = None

    def running(self) -> None:
        """Listen to signals."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, self._set, HOUR)
        loop.add_signal_handler(signal.SIGUSR2, self._set, -HOUR)

    def _set(self, by: timedelta) -> None:
        if self._frozen is not None:
            self._frozen.stop()
        self._by += by
        self._frozen = freeze_time(datetime.now(UTC) + self._by, tick=True, real_asyncio=True)
        self._frozen.start()


addons = [SetClock()]
