"""The operating system's keyring. `keyring` is loaded only when it is asked.

One that is locked may ask its person in a window, and waits as long as they do: for ever, where nobody sees it. Whoever
asks waits for half a minute at most, and not again for a question that is still open. Once a person has said no they
are let alone for a while: it would be one more window.
"""

import threading
import time
from collections.abc import Callable
from functools import partial

from seatpool.beside import Beside

SERVICE = "seatpool"
_LEAST_PRIORITY = 1.0
"""Backends below are stand-ins: plain text files, or none at all (keyring's own rule for `recommended`)."""

PATIENCE_S = 30.0
"""For a person to type the password of their keyring."""
ASKED_S = 1.0
"""A refusal that takes longer was a person's."""
REFUSED_S = 300.0
"""How long that is heeded."""

_turn = threading.Lock()
_asked: dict[str, Beside[str | None]] = {}
"""What each key was asked for with last."""


def get(key_id: str) -> str | None:
    """None where it is not there, or not to be had."""
    with _turn:
        question = _asked.get(key_id)
        if question is None or _is_over(question):
            question = _asked[key_id] = _begun(partial(_get, key_id))
    return _answer(question)


def put(key_id: str, key: str) -> bool:
    """Whether the keyring is a real one and gave back what it was told."""
    return _answer(_begun(partial(_put, key_id, key))) == key


def delete(key_id: str) -> bool:
    """Whether it is gone; else it stays, and is safe there."""
    return _answer(_begun(partial(_delete, key_id))) is not None


def _begun(ask: Callable[[], str | None]) -> Beside[str | None]:
    return Beside(ask, "keyring")


def _answer(question: Beside[str | None]) -> str | None:
    try:
        return question.got(question.begun_s + PATIENCE_S - time.monotonic())
    except Exception:  # noqa: BLE001 # backends raise what their system libraries raise; any of it means: not to be had
        return None


def _is_over(question: Beside[str | None]) -> bool:
    """Whether it may be asked anew."""
    if question.is_alive():
        return False
    refused = question.error is not None and question.ended_s - question.begun_s > ASKED_S
    return not refused or time.monotonic() > question.ended_s + REFUSED_S


def _get(key_id: str) -> str | None:
    import keyring

    return keyring.get_password(SERVICE, key_id)


def _put(key_id: str, key: str) -> str | None:
    import keyring

    if keyring.get_keyring().priority < _LEAST_PRIORITY:
        return None
    keyring.set_password(SERVICE, key_id, key)
    return keyring.get_password(SERVICE, key_id)


def _delete(key_id: str) -> str:
    import keyring

    keyring.delete_password(SERVICE, key_id)
    return key_id
