"""What a start understands of mitmdump's own arguments."""

from pathlib import Path

import pytest

from seatpool.cli.handed_on import HandedOn, read


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ((), HandedOn()),
        (("-q", "--mode", "transparent"), HandedOn()),
        (("--listen-port", "9000"), HandedOn(9000)),
        (("-p", "9000", "--listen-port=9001"), HandedOn(9001)),
        (("--set", "confdir=/here", "-p9000"), HandedOn(9000, Path("/here"))),
        (("--set=confdir=/with=sign",), HandedOn(None, Path("/with=sign"))),
        (("--set", "listen_port=9000"), HandedOn()),  # with us there is a --listen-port, which mitmdump prefers
        (("--listen-port", "many"), HandedOn()),
        (("--listen-port",), HandedOn()),
        (("--set",), HandedOn()),
    ],
)
def test_the_port_and_the_folder_are_found_and_what_is_wrong_is_left_to_mitmdump(
    arguments: tuple[str, ...], found: HandedOn
) -> None:
    assert read(arguments) == found
