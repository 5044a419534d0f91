"""What mitmdump loads: `mitmdump -s addon/pool.py`."""

from seatpool.proxy.loading import Pool

addons = [Pool()]
