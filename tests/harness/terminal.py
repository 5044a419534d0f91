"""Keys that a person presses at a program's terminal."""

import signal

import pexpect

AGAIN_S = 2
PRESSES = 10


def interrupt(program: pexpect.spawn) -> None:  # type: ignore[type-arg]
    """Ctrl-C, until the program has ended. Python can miss one as it begins to read; a person presses again."""
    for _ in range(PRESSES):
        program.kill(signal.SIGINT)
        if program.expect([pexpect.EOF, pexpect.TIMEOUT], timeout=AGAIN_S) == 0:
            return
    raise AssertionError(f"it goes on: {program.before!r}")
