"""What mitmdump loads: `mitmdump -s addon/pool.py`."""

import gc

# Whatever is loaded by now stays. Looking through it for garbage while more is loaded takes a tenth of a start.
gc.freeze()

from seatpool.proxy.addon import Pool  # noqa: E402 # after what it is to be spared

gc.freeze()

addons = [Pool()]
