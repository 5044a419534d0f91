"""How one input becomes another: bytes, lines, words, numbers and JSON values of it, and now and then all of it at
length, since what takes too long is a mistake as well."""

import ast
import json
import random
import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

LONGEST = 1_000_000
USUAL = 4_096
"""Bytes; what grows beyond it is cut, unless it was to be long."""
STRETCHED = 1_500
"""One in so many inputs is a part of another, again and again."""

NUMBERS = [
    *(b"0", b"-1", b"1", b"1.5", b"-0.0", b"1e999", b"-1e308", b"1e-320", b"NaN", b"Infinity", b"0x10", b"1_000"),
    *(b"100", b"100.0", b"99.99999999", b"429", b"1795255200", b"1795258800", b"1795258800000", b"4102444800"),
    *(b"2147483648", b"9223372036854775807", b"9223372036854775808", b"-9223372036854775809"),
    *(b"253402300800", b"99999999999999999999999999999999", b"9" * 400, "٣".encode()),
]
VALUES: list[Any] = [None, True, False, 0, -1, 1.5, 10**30, "", "x", " ", [], {}, [[]], {"a": {}}, "é\ud800", "\x00"]
WORDS = [
    *(b"Sat, 21 Nov 2026 11:00:00 GMT", b"2026-11-21T11:00:00Z", b"0001-01-01T00:00:00+23:59", b"9999-12-31"),
    *(b"Mon, 01 Jan 0001 00:00:00 +2359", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\\ud83d", b"\\u0000"),
    *(b"\r\n", b"\n\n", b"\n====\n", b"\x00", b"[" * 50, b'{"a":' * 50, b"true", b"null", b"https://", b"..", b"%2e"),
]
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")
_WORD = re.compile(rb"[A-Za-z0-9_./:@-]{2,}")


@cache
def dictionary() -> tuple[bytes, ...]:
    """Every short text in the code that is fuzzed: names of headers and fields, codes, beginnings of messages."""
    found: set[bytes] = set()
    for path in sorted(Path(__file__).parents[2].glob("addon/seatpool/providers/**/*.py")):
        tree = ast.parse(path.read_text())
        said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes) and id(node) not in said:
                value = node.value if isinstance(node.value, bytes) else node.value.encode()
                if 2 <= len(value) <= 60 and b"\n" not in value:
                    found.add(value)
    return tuple(sorted(found))


def mutated(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """Another input, of up to `USUAL` bytes, or rarely of up to `LONGEST`."""
    if chance.randrange(STRETCHED) == 0:
        return _stretched(data, chance)
    for _ in range(1 << chance.randrange(4)):
        data = chance.choice(_WAYS)(data, others, chance)
    return data[:USUAL]


def _stretched(data: bytes, chance: random.Random) -> bytes:
    at, end = _part(data, chance)
    piece = data[at:end] or b"["
    times = chance.choice((1_000, 30_000, 100_000, LONGEST)) // len(piece) + 1
    return (data[:at] + piece * times + data[end:])[:LONGEST]


def _part(data: bytes, chance: random.Random) -> tuple[int, int]:
    """Somewhere, mostly short."""
    at = chance.randrange(len(data) + 1)
    return at, min(len(data), at + chance.randrange(1, 2 + (1 << chance.randrange(8))))


def _flip(data: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    if not data:
        return bytes([chance.randrange(256)])
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]


def _put(data: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    new = chance.choice((bytes([chance.randrange(256)]), chance.choice(WORDS), chance.choice(dictionary())))
    return data[:at] + new + data[at:]


def _cut(data: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    at, end = _part(data, chance)
    return data[:at] + data[end:]


def _again(data: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    at, end = _part(data, chance)
    return data[:end] + data[at:end] * chance.choice((1, 1, 2, 9)) + data[end:]


def _splice(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    other = chance.choice(others) if others else b""
    start, stop = _part(other, chance)
    at, end = _part(data, chance)
    return data[:at] + other[start:stop] + data[chance.choice((at, end)) :]


def _cross(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    other = chance.choice(others) if others else b""
    return data[: chance.randrange(len(data) + 1)] + other[chance.randrange(len(other) + 1) :]


def _exchanged(pattern: re.Pattern[bytes], new: Callable[[random.Random], bytes]) -> Any:
    def way(data: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
        found = list(pattern.finditer(data[:USUAL]))
        if not found:
            return data
        one = chance.choice(found)
        return data[: one.start()] + new(chance) + data[one.end() :]

    return way


def _lines(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    lines = data.split(b"\n")
    at = chance.randrange(len(lines))
    match chance.randrange(4):
        case 0:
            lines.pop(at)
        case 1:
            lines.insert(at, chance.choice(lines))
        case 2:
            lines.insert(at, chance.choice(chance.choice(others).split(b"\n")) if others else b"")
        case _:
            lines.insert(at, chance.choice(dictionary()) + b": " + chance.choice((*NUMBERS, *WORDS, *dictionary())))
    return b"\n".join(lines)


def _json(data: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    """The first value of JSON in it, changed as such."""
    at = min((p for p in (data.find(b"{"), data.find(b"[")) if p >= 0), default=-1)
    if at < 0 or len(data) > USUAL:
        return data
    text = data[at:].decode("utf-8", "replace")
    try:
        value, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return data
    spelt = json.dumps(_other(value, chance, 0), separators=chance.choice([(",", ":"), (", ", ": ")]))
    return data[:at] + spelt.encode("utf-8", "surrogatepass") + text[end:].encode("utf-8", "surrogatepass")


def _other(value: Any, chance: random.Random, depth: int) -> Any:
    stop = depth > 30 or chance.randrange(4) == 0
    if isinstance(value, dict) and value and not stop:
        key = chance.choice(list(value))
        match chance.randrange(5):
            case 0:
                return {k: v for k, v in value.items() if k != key}
            case 1:
                return value | {chance.choice(dictionary()).decode("utf-8", "replace"): chance.choice(VALUES)}
            case _:
                return value | {key: _other(value[key], chance, depth + 1)}
    if isinstance(value, list) and value and not stop:
        at = chance.randrange(len(value))
        return [*value[:at], _other(value[at], chance, depth + 1), *value[at + chance.randrange(2) :]]
    word = chance.choice(dictionary()).decode("utf-8", "replace")
    return chance.choice([*VALUES, value, [value], {"a": value}, str(value), word, [word], {word: value}])


_WAYS: tuple[Callable[[bytes, Sequence[bytes], random.Random], bytes], ...] = (
    *(_flip, _put, _put, _cut, _again, _splice, _cross, _lines, _lines, _json, _json),
    _exchanged(_NUMBER, lambda chance: chance.choice(NUMBERS)),
    _exchanged(_WORD, lambda chance: chance.choice((*dictionary(), *WORDS))),
)
