"""What must not be said when a value is shown."""

from collections.abc import Callable
from typing import Any

import msgspec


def silent(*secret: str) -> Callable[[Any], str]:
    """A `__repr__` for a struct that leaves these fields out: they hold credentials, or what a person wrote."""
    hidden = frozenset(secret)

    def shown(self: msgspec.Struct) -> str:
        fields = (name for name in self.__struct_fields__ if name not in hidden)
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in fields)})"

    return shown
