"""The JSON Schemas of what commands print with `--json`, as files beside this one.

They are made from the values that are printed: `python -m seatpool.cli.schemas` writes them anew, and a test holds both
together.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import msgspec

from seatpool.core.report import Report
from seatpool.core.tail import Line

STATUS = Path(__file__).with_name("status.schema.json")
TAIL = Path(__file__).with_name("tail.schema.json")
OF: Mapping[Path, type[msgspec.Struct]] = MappingProxyType({STATUS: Report, TAIL: Line})
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def text(printed: type[msgspec.Struct]) -> str:
    """The schema of a value, as a file has it."""
    made = {"$schema": DIALECT, **msgspec.json.schema(printed)}
    return msgspec.json.format(msgspec.json.encode(made), indent=2).decode() + "\n"


if __name__ == "__main__":
    for file, printed in OF.items():
        file.write_text(text(printed))
