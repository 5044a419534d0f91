"""`python -m seatpool.proxy.seams`: which mitmproxy is here, and whether its inner parts are as they are relied on.

A program for `seatpool doctor`, which loads no mitmproxy itself.
"""

import json

from mitmproxy import version
from mitmproxy.addonmanager import AddonManager

from seatpool.proxy import dispatch, replay


def seams() -> dict[str, object]:
    """As JSON has it. `missing` keeps a proxy from starting; what is named in `aside` leaves things to mitmproxy."""
    code = getattr(AddonManager.trigger_event, "__code__", None)
    known = code is not None and code.co_names == dispatch.KNOWN_NAMES
    return {
        "mitmproxy": version.VERSION,
        "seams": len(replay.SEAMS) + 1,
        "missing": replay.missing_seams(),
        "aside": [] if known else ["the dispatch of hooks"],
    }


if __name__ == "__main__":
    print(json.dumps(seams()))  # noqa: T201 # a program for another program
