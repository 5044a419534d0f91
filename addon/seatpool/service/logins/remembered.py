"""What is remembered of tokens without keeping them, the newest of it."""

from collections import OrderedDict
from hashlib import blake2b


def digest(token: str) -> bytes:
    """By this a token is known again."""
    return blake2b(token.encode(), digest_size=16).digest()


def remember[K, V](known: OrderedDict[K, V], key: K, value: V, limit: int) -> None:
    """Note it as the newest; of more than `limit` the oldest are forgotten."""
    known[key] = value
    known.move_to_end(key)
    while len(known) > limit:
        known.popitem(last=False)
