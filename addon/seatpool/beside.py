"""Work that may never end, such as a question to a keyring whose person is away, or to a disk that does not answer."""

import threading
import time
from collections.abc import Callable


class NotYet(Exception):
    """It goes on."""


class Beside[T](threading.Thread):
    """Begun at once, in a thread that nobody waits for at the end of the process."""

    def __init__(self, work: Callable[[], T], name: str) -> None:
        super().__init__(name=f"seatpool {name}", daemon=True)
        self._work = work
        self._result: T
        self.error: Exception | None = None
        self.begun_s = self.ended_s = time.monotonic()
        self.start()

    def run(self) -> None:
        """For `threading`."""
        try:
            self._result = self._work()
        except Exception as error:  # noqa: BLE001 # whoever asks for the result is told
            self.error = error
        self.ended_s = time.monotonic()

    def got(self, within_s: float) -> T:
        """What it gives. Raises what it raises, and `NotYet` where that takes longer."""
        self.join(max(0.0, within_s))
        if self.is_alive():
            raise NotYet
        if self.error is not None:
            raise self.error
        return self._result
