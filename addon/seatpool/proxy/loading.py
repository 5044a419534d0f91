"""Loads the addon, sooner than an import alone would."""

import gc

# What mitmproxy has loaded by now stays, and so does what is loaded here: to look through it meanwhile, for garbage, is
# a tenth of the time.
gc.freeze()
gc.disable()
try:
    from seatpool.proxy.addon import Pool
finally:
    gc.freeze()
    gc.enable()

__all__ = ["Pool"]
