"""Which lines and branches an input reaches, by the interpreter's own monitoring: what was seen costs nothing more."""

import sys
from types import CodeType
from typing import Any

_TOOL = sys.monitoring.COVERAGE_ID
_EVENTS = sys.monitoring.events.LINE | sys.monitoring.events.BRANCH
_OURS = ("/seatpool/",)


class Coverage:
    """`with Coverage() as coverage:` counts what code of ours is run."""

    def __init__(self) -> None:
        self.reached: set[tuple[str, int, int]] = set()
        """File, and a line with 0, or a branch with where it led."""
        self._ours: dict[CodeType, bool] = {}
        self._ways: dict[tuple[CodeType, int], int] = {}

    def __enter__(self) -> "Coverage":
        monitoring = sys.monitoring
        monitoring.use_tool_id(_TOOL, "fuzz")
        monitoring.register_callback(_TOOL, monitoring.events.LINE, self._line)
        monitoring.register_callback(_TOOL, monitoring.events.BRANCH, self._branch)
        monitoring.set_events(_TOOL, _EVENTS)
        return self

    def __exit__(self, *_: object) -> None:
        sys.monitoring.set_events(_TOOL, 0)
        sys.monitoring.free_tool_id(_TOOL)

    def afresh(self) -> None:
        """Forget everything, and see it again."""
        self.reached.clear()
        self._ways.clear()
        sys.monitoring.restart_events()

    def _is_ours(self, code: CodeType) -> bool:
        known = self._ours.get(code)
        if known is None:
            known = self._ours[code] = any(part in code.co_filename for part in _OURS)
        return known

    def _line(self, code: CodeType, line: int) -> Any:
        if self._is_ours(code):
            self.reached.add((code.co_filename, line, 0))
        return sys.monitoring.DISABLE

    def _branch(self, code: CodeType, offset: int, destination: int) -> Any:
        if not self._is_ours(code):
            return sys.monitoring.DISABLE
        key = (code, offset)
        before = self._ways.setdefault(key, destination)
        self.reached.add((code.co_filename, -1 - offset - (code.co_firstlineno << 20), destination + 1))
        # Only when both of its ways are known is a branch of no interest any more.
        return None if before == destination else sys.monitoring.DISABLE
