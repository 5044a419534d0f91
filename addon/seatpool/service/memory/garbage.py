"""How often Python looks for garbage, once what stays is in memory."""

import gc

COLLECTIONS = (350, 5, 10)
"""New objects until garbage is looked for among them, and how often that is done until older ones are looked through as
well. Python's own are 700, 10 and 10; a request leaves garbage with its body in it, and so half as much waits."""


def spare_what_stays() -> None:
    """What is in memory by now stays: with many accounts, looking through it again and again is what costs.

    What comes later is little, so looking through that often costs next to nothing and keeps the peaks low.
    """
    gc.collect()
    gc.freeze()
    gc.collect()  # else the next ones wait until there is a quarter of what was frozen
    gc.set_threshold(*COLLECTIONS)
