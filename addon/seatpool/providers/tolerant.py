"""The tolerant reading of JSON: whatever an upstream or an editor sends, nothing here raises."""

import re
from collections.abc import Mapping
from math import isfinite
from typing import Any

import msgspec

Json = Mapping[str, Any]
NO_JSON: Json = {}

GENERIC = frozenset({"rate_limited", "rate_limit", "too_many_requests", "TooManyRequests", "429"})
"""Codes of a 429 that say no more than its status does."""

_PRODUCT = re.compile(r"[^\s/()]{1,100}")
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def read_json(content: bytes | str | msgspec.Raw) -> Any:
    """The parsed document, or None where it is not JSON."""
    try:
        return msgspec.json.decode(content)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors, bad UTF-8 is another
        return None


def mapping(value: object) -> Json:
    """The value where it is an object, else an empty one."""
    return value if isinstance(value, dict) else NO_JSON


def number(value: object) -> float | None:
    """The finite number that a JSON number or a header's text states."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        stated = float(value)
    except (ValueError, OverflowError):
        return None
    return stated if isfinite(stated) else None


def product(stated: str | None) -> str | None:
    """The program in `name/version ...`, in lower case."""
    found = _PRODUCT.match(stated.strip().lower()) if stated else None
    return found[0] if found is not None else None


def stable_code(value: object) -> str:
    """The value where it can stand in a log as a code, else an empty string."""
    return value if isinstance(value, str) and _CODE.fullmatch(value) else ""
