"""What has passed mitmproxy's check of types passes it again.

Whenever a request or an answer is made, mitmproxy compares each of its fields with the type it is declared as. Of a
field that may be one of two, the first that does not fit raises an exception, which refers to the stack that it was
raised on, and the stack to it: so every layer, with the bytes that it was at, stays in memory until garbage is looked
for. The check depends on nothing but the types of the values, so each combination of them is looked at once.

It wraps one method of one class, and stands aside where that is not the one it knows.
"""

import logging
from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from types import FunctionType, UnionType
from typing import cast, get_args

from mitmproxy import http

logger = logging.getLogger(__name__)

KNOWN_NAMES = ("fields", "getattr", "name", "typecheck", "check_option_type", "type")
"""Everything that the method refers to, in order."""
MESSAGES = (http.RequestData, http.ResponseData)

Check = Callable[[http.MessageData], None]


def install() -> bool:
    """Wrap `MessageData.__post_init__`, once. False, with nothing done, where it is not as expected."""
    method = getattr(http.MessageData, "__post_init__", None)
    if hasattr(method, "__wrapped__"):
        return True
    if not isinstance(method, FunctionType) or not fits(method):
        logger.info("action=plain-typechecks reason=unknown-message-data")
        return False
    http.MessageData.__post_init__ = each_once(method)  # type: ignore[method-assign] # the point
    return True


def fits(method: FunctionType) -> bool:
    """Whether it is mitmproxy's method as it is known, and looks at nothing but the types of values."""
    declared = (field.type for message in MESSAGES for field in fields(message))
    return method.__code__.co_names == KNOWN_NAMES and all(map(_is_plain, declared))


def each_once(check: Check) -> Check:
    """The same, for every combination of types once."""
    passed: set[tuple[type, ...]] = set()

    @wraps(check)
    def __post_init__(self: http.MessageData) -> None:  # noqa: N807 # named as what it wraps
        types = (type(self), *map(type, vars(self).values()))
        if types in passed:
            return
        if not all(isinstance(getattr(self, field.name), cast("type", field.type)) for field in fields(self)):
            check(self)  # which takes an integer for a float, and says what is wrong
        passed.add(types)

    return __post_init__


def _is_plain(declared: object) -> bool:
    """Whether it is a class, or a choice of classes: nothing that would look into a value."""
    choices = get_args(declared) if isinstance(declared, UnionType) else (declared,)
    return all(isinstance(each, type) and not get_args(each) for each in choices)
