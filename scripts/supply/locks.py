"""Reads the locks, and finds what is wrong with them without asking anybody."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from tomllib import loads

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
LOCKS = {"requirements.lock": (), "requirements-dev.lock": ("dev",)}
"""By file name below `scripts/`: the dependency groups that are locked on top of the project's own dependencies."""
_PIN = re.compile(
    r"(?P<name>[A-Za-z0-9][\w.-]*)==(?P<version>[^\s;\\]+)\s*(?:;\s*(?P<marker>[^\\]+?))?\s*(?P<rest>\\.*)?"
)
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Pin:
    """One package of a lock."""

    name: str
    version: Version
    marker: Marker | None
    hashes: tuple[str, ...]
    """SHA-256, one for each file that may be installed."""

    @property
    def is_for_here(self) -> bool:
        """Whether this machine is one that it is for."""
        return self.marker is None or self.marker.evaluate()


class Misread(Exception):
    """A line that pins nothing."""


def read(text: str) -> Iterator[Pin]:
    """The pins of a lock. Raises `Misread`."""
    for line in text.replace("\\\n", "\\").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        found = _PIN.fullmatch(line)
        if found is None:
            raise Misread(f"pins nothing: {line.partition('\\')[0].strip()}")
        words = (found["rest"] or "").replace("\\", " ").split()
        if unknown := [word for word in words if not _HASH.fullmatch(word)]:
            raise Misread(f"{found['name']}: what is {unknown[0]}?")
        marker = Marker(found["marker"]) if found["marker"] else None
        hashes = tuple(word.removeprefix("--hash=sha256:") for word in words)
        yield Pin(canonicalize_name(found["name"]), Version(found["version"]), marker, hashes)


def wanted(project: Mapping[str, object], groups: tuple[str, ...]) -> list[Requirement]:
    """What pyproject.toml asks for: the dependencies, and those of groups."""
    tables: dict[str, list[str]] = project.get("dependency-groups", {})  # type: ignore[assignment]
    own: list[str] = project["project"]["dependencies"]  # type: ignore[index]
    return [Requirement(line) for line in [*own, *(line for group in groups for line in tables[group])]]


def installed(pin: Pin) -> Distribution | None:
    """The package's own account of itself, where the environment that runs this has exactly what is pinned."""
    try:
        found = distribution(pin.name)
    except PackageNotFoundError:
        return None
    return found if Version(found.version) == pin.version else None


def faults_of(text: str, asked: list[Requirement]) -> list[str]:
    """What is wrong with a lock: see `scripts/supply/__init__.py`. Needs an environment that was made of it."""
    try:
        pins = list(read(text))
    except Misread as error:
        return [str(error)]
    faults = [f"{pin.name}: {pin.version} has no hash" for pin in pins if not pin.hashes]
    faults += [f"{name}: pinned twice for one machine" for name in _doubled(pins)]
    here = {pin.name: pin for pin in pins if pin.is_for_here}
    reached: set[str] = set()
    waiting = [("pyproject.toml", requirement, "") for requirement in asked]
    while waiting:
        asker, requirement, extra = waiting.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        pin = here.get(name)
        if pin is None:
            faults.append(f"{name}: {asker} asks for it, and it is not locked")
        elif not requirement.specifier.contains(pin.version, prereleases=True):
            faults.append(f"{name}: {asker} asks for {requirement.specifier}, and {pin.version} is locked")
        for each in {"", *requirement.extras}:
            if pin is not None and (key := f"{name}[{each}]") not in reached:
                reached.add(key)
                found = installed(pin)
                if found is None:
                    faults.append(f"{name}: {pin.version} is locked, and not what .venv has")
                else:
                    waiting += [(name, Requirement(line), each) for line in found.requires or ()]
    needless = here.keys() - {key.partition("[")[0] for key in reached}
    return faults + [f"{name}: locked, and nobody asks for it" for name in sorted(needless)]


def _doubled(pins: list[Pin]) -> list[str]:
    names = [pin.name for pin in pins if pin.is_for_here]
    return sorted({name for name in names if names.count(name) > 1})


def differences() -> list[str]:
    """Packages of which two locks have different versions: what is tested would not be what is installed."""
    versions: dict[tuple[str, str], set[str]] = {}
    for name in LOCKS:
        for pin in read((ROOT / "scripts" / name).read_text()):
            versions.setdefault((pin.name, str(pin.marker)), set()).add(str(pin.version))
    return [f"{name}: locked as {' and '.join(sorted(each))}" for (name, _), each in versions.items() if len(each) > 1]


def project(root: Path = ROOT) -> Mapping[str, object]:
    """pyproject.toml."""
    return loads((root / "pyproject.toml").read_text())
