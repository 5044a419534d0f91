"""The house rules, as data: who may import whom, and what stays in its room."""

import ast
import re
import tomllib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ADDON = Path(__file__).parent.parent / "addon"
PACKAGE = ADDON / "seatpool"

MAY_IMPORT: dict[str, set[str]] = {
    "core": set(),
    "providers": {"core"},
    "store": {"core", "clock", "homes", "beside", "inplace"},
    "service": {"store", "providers", "core", "clock"},
    # The store only to compose, in the addon; of setup the certificate authority, which lasts shorter than a proxy.
    "page": {"service", "store", "setup", "core", "clock"},
    "proxy": {"page", "service", "providers", "core", "store", "setup", "clock", "beside"},
    "setup": {"core", "homes", "inplace"},
    "cli": {"setup", "service", "store", "providers", "core", "clock", "homes", "beside", "inplace"},
}
PARTS: dict[str, set[str]] = {
    "proxy/layers": {"exchange", "answers"},
    "proxy/process": set(),
    "proxy/shortcuts": set(),
    "service/network": {"threads"},
    "service/memory": {"afterwards", "tasks", "threads", "trail"},
    "service/logins": {"memory", "network", "tasks", "threads", "trail"},
    "service/asking": {"logins", "memory", "network", "threads"},
    "service/telling": {"logins", "memory", "network", "tasks", "threads", "trail"},
    "service/flows": {"afterwards", "asking", "logins", "memory", "telling", "threads", "trail"},
    "store/databases": {"errors", "migrate", "schema"},
    "store/acting": {"databases", "errors", "schema"},
    "store/sealing": {"acting", "databases", "errors", "migrate", "schema"},
    "store/rows": {"acting", "databases", "errors", "schema", "sealing"},
}
"""What a part of a room may import of its own room, besides itself."""
KNOWS_NO_POOL = {"proxy/shortcuts"}
"""Parts that may import nothing of ours: these are ways through mitmproxy."""
ONLY_IN = {"mitmproxy": "proxy", "sqlalchemy": "store", "alembic": "store", "click": "cli", "rich": "cli"}
STANDARD_ONLY = {"core"}
PURE_ALL_THE_SAME = {("providers/copilot/login_authdb.py", "sqlite3")}  # bytes in, rows out: it is never on a disk
NEVER_IN_PURE = {"logging", "asyncio", "socket", "time", "os", "random", "sqlite3", "threading"}


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).parts[0]
        if not room.endswith(".py"):
            yield room, path


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize(("room", "path"), [pytest.param(r, p, id=str(p.relative_to(PACKAGE))) for r, p in modules()])
def test_each_module_imports_only_what_its_room_may(room: str, path: Path) -> None:
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "seatpool" and len(parts) > 1 and parts[1] != "__version__":
            assert parts[1] in MAY_IMPORT[room] | {room}, f"{room} may not import {name}"
        elif parts[0] in ONLY_IN:
            assert room == ONLY_IN[parts[0]], f"{name} belongs to {ONLY_IN[parts[0]]}/"
        if room in ("core", "providers"):
            allowed = (path.relative_to(PACKAGE).as_posix(), parts[0]) in PURE_ALL_THE_SAME
            assert allowed or parts[0] not in NEVER_IN_PURE, f"{room} is pure, and {name} is not"


@pytest.mark.parametrize("part", PARTS)
def test_each_part_of_a_room_imports_only_what_it_may(part: str) -> None:
    room, own = part.split("/")
    for path in sorted((PACKAGE / part).glob("*.py")):
        for name in imports(path):
            package, within, of = (*name.split("."), "", "")[:3]
            if package == "seatpool" and within == room:
                assert of in PARTS[part] | {own}, f"{path.relative_to(PACKAGE)} may not import {name}"
            assert package != "seatpool" or within == room or part not in KNOWS_NO_POOL, f"{path.name} imports {name}"


def test_no_imports_lead_back_to_where_they_began() -> None:
    """Nor where they are made late, or for types alone."""
    files = {".".join(path.relative_to(ADDON).with_suffix("").parts): path for _, path in modules()}
    files = {name.removesuffix(".__init__"): path for name, path in files.items()}

    def ours(name: str) -> Iterator[str]:
        while name and name not in files:
            name = name.rpartition(".")[0]
        if name:
            yield name

    graph = {name: {found for each in imports(path) for found in ours(each)} - {name} for name, path in files.items()}
    TopologicalSorter(graph).prepare()  # raises with the circle


def test_a_process_of_ours_takes_no_file_where_it_is_started_for_a_module() -> None:
    started = re.compile(r'(\S+ )?"-m", (?:"seatpool|FITTING)')
    ours = [(path.name, found[1]) for _, path in modules() for found in started.finditer(path.read_text())]
    assert len(ours) >= 5
    wrong = [name for name, before in ours if before != '"-P", ']
    assert not wrong, "Python puts the directory that it is started in before all others"


def test_only_one_place_says_how_a_folder_is_made_a_persons_own() -> None:
    """Elsewhere than on Linux and macOS it is not a matter of the mode alone."""
    paths = [path for path in sorted(PACKAGE.rglob("*.py")) if path.name != "homes.py"]
    assert not [path.name for path in paths if re.search(r"mkdir\([^)]*(0o700|OWNER)", path.read_text())]


def programs() -> Iterator[Path]:
    for folder in ("addon", "scripts", "tests"):
        yield from sorted(path for path in (ADDON.parent / folder).rglob("*.py") if "node_modules" not in path.parts)


def test_every_exception_that_the_lint_grants_has_its_reason_beside_it() -> None:
    marked = re.compile("# " + r"noqa\b(.*)")
    for path in programs():
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if found := marked.search(line):
                assert re.fullmatch(r": [A-Z]+\d+(, [A-Z]+\d+)* # \S.*", found[1]), f"{path}:{number}: {line}"
    _, _, ignored = (ADDON.parent / "pyproject.toml").read_text().partition("\nignore = ")
    entries = re.findall(r'"([A-Z]+\d*)"(?:, "[A-Z]+\d*")*[\],]+(.*)$', ignored, re.MULTILINE)
    assert "S101" in {rule for rule, _ in entries}
    for rule, rest in entries:
        assert re.match(r" +# \S", rest), f"pyproject.toml ignores {rule} for no reason that it tells"


def test_security_rules_are_asked_for_and_ignored_for_nothing_of_the_product_as_a_whole() -> None:
    lint = tomllib.loads((ADDON.parent / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    assert "S" in lint["select"]
    assert [rule for rule in lint["ignore"] if rule.startswith("S1") or rule == "S"] == ["S101"]
    whole = {folder for folder, rules in lint["per-file-ignores"].items() if any(re.match(r"S\d*$", r) for r in rules)}
    assert whole == {"tests/**", "scripts/**"}


def test_the_file_that_mitmdump_loads_never_grows() -> None:
    tree = ast.parse((ADDON / "pool.py").read_text())
    assert len(tree.body) == 3, "a docstring, one import, one list"


def test_the_top_level_holds_what_it_should_and_nothing_else() -> None:
    root = ADDON.parent
    expected = {"pyproject.toml", "README.md", "certs-howto.md", "addon", "tests", "scripts"}
    tracked = {p.name for p in root.iterdir() if not p.name.startswith(".")}
    assert expected <= tracked
    assert tracked - expected <= {"dist", "build"}
