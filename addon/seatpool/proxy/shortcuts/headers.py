"""A header is looked for once over the fields as they stand.

mitmproxy's headers are a mapping for any kind of key: each look asks a method for the form of each name, through two
more, and what is not there costs an exception on the way. A small request takes thirty looks, most of them mitmproxy's.

It puts three methods of one class in the place of the general ones, and stands aside where those are not as expected.
"""

import logging
from collections.abc import Callable, Mapping
from functools import wraps
from types import FunctionType, MappingProxyType
from typing import Any

from mitmproxy.coretypes.multidict import _MultiDict
from mitmproxy.http import Headers

logger = logging.getLogger(__name__)

TEXT = "utf-8", "surrogateescape"
"""How names and values become text, and back."""

KNOWN_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "get_all": ("_always_bytes", "super", "get_all", "_native"),
        "_kconv": ("lower",),
        "_reduce_values": ("join",),
    }
)
"""Everything that the class's own methods refer to, in order."""
INHERITED: Mapping[str, object] = MappingProxyType(
    {"get": Mapping.get, "__contains__": Mapping.__contains__, "__getitem__": _MultiDict.__getitem__}
)
"""What it has in terms of these."""


def install() -> bool:
    """Give `Headers` its own, once. False, with nothing done, where it is not as expected."""
    if Headers.get_all is get_all:
        return True
    if not fits(Headers):
        logger.info("action=plain-headers reason=unknown-headers")
        return False
    for name, method in METHODS.items():
        setattr(Headers, name, method)
    return True


def fits(headers: type) -> bool:
    """Whether it is mitmproxy's class as it is known."""
    own = ((getattr(headers, name, None), names) for name, names in KNOWN_NAMES.items())
    return all(getattr(headers, name, None) is method for name, method in INHERITED.items()) and all(
        isinstance(method, FunctionType) and method.__code__.co_names == names for method, names in own
    )


@wraps(Headers.get_all)
def get_all(self: Headers, name: str | bytes) -> list[str]:
    wanted = (name if isinstance(name, bytes) else name.encode(*TEXT)).lower()
    return [value.decode(*TEXT) for each, value in self.fields if each.lower() == wanted]


def get(self: Headers, key: str | bytes, default: Any = None) -> Any:
    """The values of a header, folded into one; the default where there is none."""
    values = get_all(self, key)
    return ", ".join(values) if values else default


def contains(self: Headers, key: str | bytes) -> bool:
    """Whether there is such a header."""
    return bool(get_all(self, key))


METHODS: Mapping[str, Callable[..., Any]] = MappingProxyType({"get_all": get_all, "get": get, "__contains__": contains})
