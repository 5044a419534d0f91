"""The table as the README's appendix."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.faults.cells import CELLS, PROVIDERS, Cell
from tests.faults.faults import ALL, ANSWER, GROUPS, HTTP, Fault, Wire
from tests.faults.table import Seen, expected

README = Path(__file__).parents[2] / "README.md"
HEADING = "## Appendix: every way a request can fail"
INTRODUCTION = """\
What the tests in `tests/faults` do to every kind of request, and what came of it; `python -m tests.faults` writes this
anew. There are two accounts, and what is named goes wrong on **a**, which is asked first, each time that it is asked;
**b** is fine. *Sent to* names every sending, in order.

An answer *of a* is what that account's upstream sent, byte for byte; one *of ours* says in the provider's own form of
an error that there was none. A WebSocket can fail in its *handshake* or in a *turn*. Codex takes the frame
`websocket_connection_limit_reached` for a reason to connect again, unseen, and then b serves; Copilot's editors take
`previous_response_not_found` so. Who finds a socket closed with 1000 between two turns opens another one, unseen.
"""
_NAMES = {"codex": "Codex", "copilot": "Copilot"}
_WIRES = {ALL: "everywhere", ANSWER: "HTTP, handshake", HTTP: "HTTP"}


def appendix() -> str:
    """The whole section."""
    return "\n".join([HEADING, "", INTRODUCTION, *_tables()]).rstrip() + "\n"


def in_step(readme: str) -> str:
    """The README with the section as it is to be; it is the last one."""
    before, _, _ = readme.partition(HEADING)
    return before.rstrip() + "\n\n" + appendix()


def _tables() -> Iterator[str]:
    for name, faults in GROUPS.items():
        yield f"*{name}*"
        yield ""
        yield "| what goes wrong | where | the editor gets | sent to | afterwards |"
        yield "|---|---|---|---|---|"
        for fault in faults:
            yield from _rows(fault)
        yield ""


def _rows(fault: Fault) -> Iterator[str]:
    cells = [cell for cell in CELLS if cell.fault is fault]
    kinds: dict[Seen, list[Cell]] = {}
    for cell in cells:
        kinds.setdefault(expected(cell), []).append(cell)
    for number, (seen, those) in enumerate(kinds.items()):
        words = fault.words if number == 0 else ""
        sent, paid = seen.sent.replace(" ", ", "), seen.paid.replace("gpt-x", "the model")
        yield f"| {words} | {_where(those)} | {seen.got} | {sent} | {paid} |"


def _where(cells: Iterable[Cell]) -> str:
    by_provider = {provider: tuple(c.wire for c in cells if c.provider == provider) for provider in PROVIDERS}
    groups: dict[tuple[Wire, ...], list[str]] = {}
    for provider, wires in by_provider.items():
        if wires:
            groups.setdefault(wires, []).append(_NAMES[provider])
    return "; ".join(
        _on(wires) if len(names) == len(PROVIDERS) else f"{' and '.join(names)}, {_on(wires)}"
        for wires, names in groups.items()
    )


def _on(wires: tuple[Wire, ...]) -> str:
    return _WIRES.get(wires) or ", ".join(wire.value for wire in wires)
