"""`python -m seatpool.proxy.fitting`: which mitmproxy is here, and whether its inner parts are as they are relied on.

A program for `seatpool doctor`, which loads no mitmproxy itself. It loads what a proxy does, and fails as that fails.
"""

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType

from mitmproxy import version

from seatpool.proxy import loading  # noqa: F401 # says in one line what of mitmproxy is missing
from seatpool.proxy.layers import seams
from seatpool.proxy.shortcuts import TAKEN, dispatch

SHORTCUTS: Mapping[str, Callable[[], bool]] = MappingProxyType({**TAKEN, "dispatch": dispatch.fits})
"""Whether each can be had. This process serves nobody, so all may be taken."""


def told() -> dict[str, object]:
    """As JSON has it. `missing` keeps a proxy from starting; what is named in `aside` leaves things to mitmproxy."""
    return {
        "mitmproxy": version.VERSION,
        "seams": len(seams.SEAMS) + len(SHORTCUTS),
        "missing": seams.missing_seams(),
        "aside": sorted(name for name, fits in SHORTCUTS.items() if not fits()),
    }


if __name__ == "__main__":
    print(json.dumps(told()))  # noqa: T201 # a program for another program
