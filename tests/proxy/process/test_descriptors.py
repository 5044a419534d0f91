"""How many files a proxy asks the system for."""

from typing import Any

import pytest

from seatpool.proxy.process.descriptors import allow_many

resource: Any = pytest.importorskip("resource")
UNLIMITED = resource.RLIM_INFINITY
MACOS = 10_240


@pytest.mark.parametrize(
    ("soft", "hard", "asked"),
    [
        (1024, 524_288, [65_536]),
        (256, 1000, [1000]),
        (256, UNLIMITED, [65_536]),
        (1000, 1000, []),
        (100_000, 524_288, []),
        (UNLIMITED, UNLIMITED, []),
    ],
)
def test_as_many_as_may_be_and_no_more_than_are_ever_needed(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, asked: list[int]
) -> None:
    assert asks(monkeypatch, (soft, hard)) == asked


def test_where_the_system_takes_less_than_it_says_that_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asks(monkeypatch, (256, UNLIMITED), takes=MACOS) == [65_536, MACOS]
    assert asks(monkeypatch, (256, UNLIMITED), takes=100) == [65_536, MACOS], "it goes on with what it has"


def asks(monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], takes: int = 1 << 20) -> list[int]:
    """What is asked of a system with these limits."""
    asked = []

    def setrlimit(_: int, wanted: tuple[int, int]) -> None:
        asked.append(wanted[0])
        assert wanted[1] == limits[1], "what nobody may take back is left alone"
        if wanted[0] > takes:
            raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", setrlimit)
    allow_many()
    return asked
