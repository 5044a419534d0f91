"""Checks a value against a JSON Schema of ours: as much of the dialect as our schemas use."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from seatpool.cli.schemas import OF

_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_KNOWN = {"$schema", "$ref", "$defs", "title", "description", "type", "properties", "required", "anyOf", "enum"} | {
    "items",
    "format",
    "default",
}


def problems(value: object, printed: type[msgspec.Struct]) -> list[str]:
    """What is wrong with a value that was printed; the schema is the file that the package holds."""
    schema = json.loads(next(file for file, kind in OF.items() if kind is printed).read_text())
    return list(_problems(value, schema, schema, "$"))


def _problems(value: Any, schema: dict[str, Any], whole: dict[str, Any], at: str) -> Iterator[str]:
    assert schema.keys() <= _KNOWN, schema.keys() - _KNOWN
    if "$ref" in schema:
        yield from _problems(value, whole["$defs"][schema["$ref"].rpartition("/")[2]], whole, at)
    if "anyOf" in schema:
        tried = [list(_problems(value, one, whole, at)) for one in schema["anyOf"]]
        if all(tried):
            yield f"{at}: {value!r} is none of them"
    kinds = _TYPES.get(schema.get("type", ""), (object,))
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds and object not in kinds):
        yield f"{at}: {value!r} is no {schema['type']}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: {value!r} is not one of {schema['enum']}"
    if schema.get("format") == "date-time" and datetime.fromisoformat(value).tzinfo is None:
        yield f"{at}: {value!r} has no time zone"
    if isinstance(value, dict) and "properties" in schema:
        yield from (f"{at}: {name} is missing" for name in schema.get("required", ()) if name not in value)
        yield from (f"{at}.{name}: is not described" for name in value.keys() - schema["properties"].keys())
        for name in value.keys() & schema["properties"].keys():
            yield from _problems(value[name], schema["properties"][name], whole, f"{at}.{name}")
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        for index, item in enumerate(value):
            yield from _problems(item, schema["items"], whole, f"{at}[{index}]")
