"""Loads the addon, sooner than an import alone would, and says so where mitmproxy lacks what it is made of."""

import gc

from mitmproxy import version

from seatpool.setup.code import MITMPROXY


def is_of_mitmproxy(error: ImportError | AttributeError) -> bool:
    """Whether what is missing is a name of mitmproxy's, or a module."""
    if isinstance(error, ImportError):
        where = error.name
    else:
        where = getattr(error.obj, "__module__", None) or getattr(error.obj, "__name__", None)
    return str(where).partition(".")[0] == "mitmproxy"


# What mitmproxy has loaded by now stays, and so does what is loaded here: to look through it meanwhile, for garbage, is
# a tenth of the time.
gc.freeze()
gc.disable()
try:
    from seatpool.proxy.addon import Pool
except (ImportError, AttributeError) as error:
    if not is_of_mitmproxy(error):
        raise
    raise ImportError(f"mitmproxy {version.VERSION} does not fit seatpool ({error}): install {MITMPROXY}") from None
finally:
    gc.freeze()
    gc.enable()

__all__ = ["Pool"]
