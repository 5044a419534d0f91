"""What mitmdump loads: `mitmdump -s addon/pool.py`."""

from seatpool.proxy.addon import Pool

addons = [Pool()]
