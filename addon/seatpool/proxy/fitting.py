"""`python -m seatpool.proxy.fitting`: which mitmproxy is here, and whether its inner parts are as they are relied on.

A program for `seatpool doctor`, which loads no mitmproxy itself.
"""

import json

from mitmproxy import version

from seatpool.proxy.layers import seams
from seatpool.proxy.shortcuts import dispatch


def told() -> dict[str, object]:
    """As JSON has it. `missing` keeps a proxy from starting; what is named in `aside` leaves things to mitmproxy."""
    return {
        "mitmproxy": version.VERSION,
        "seams": len(seams.SEAMS) + 1,
        "missing": seams.missing_seams(),
        "aside": [] if dispatch.fits() else ["the dispatch of hooks"],
    }


if __name__ == "__main__":
    print(json.dumps(told()))  # noqa: T201 # a program for another program
