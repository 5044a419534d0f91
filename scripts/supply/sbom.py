"""The bill of materials of a release: every package that it can bring along, in CycloneDX's words."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from importlib.metadata import PackageNotFoundError, distribution
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.spdx import is_expression, is_supported_id
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from scripts.supply.licences import licence
from scripts.supply.locks import Pin

MARKER = "seatpool:marker"
"""Property: on which machines a package is installed, where that is not everywhere."""


def bill(version: str, at: datetime, pins: Sequence[Pin], asked: Iterable[Requirement]) -> str:
    """As JSON; the same words give the same bytes. `at` is when the release was made, `asked` pyproject.toml's wishes.

    Who needs whom is read in the packages that are installed here, so it is told of those alone.
    """
    root = Component(
        name="seatpool",
        version=version,
        type=ComponentType.APPLICATION,
        purl=PackageURL("pypi", name="seatpool", version=version),
        bom_ref=f"seatpool=={version}",
    )
    parts = {pin: _component(pin) for pin in sorted(pins, key=lambda pin: (pin.name, str(pin.version)))}
    here = {pin.name: part for pin, part in parts.items() if pin.is_for_here}
    made = Bom(components=parts.values(), serial_number=uuid5(NAMESPACE_URL, f"pkg:pypi/seatpool@{version}"))
    made.metadata.component = root
    made.metadata.timestamp = at
    made.register_dependency(root, [here[name] for name in _needed(asked) if name in here])
    for name, part in here.items():
        made.register_dependency(part, [here[each] for each in _needed(_requirements(name)) if each in here])
    text = JsonV1Dot6(made).output_as_string(indent=1)
    # The order of what has no order of its own is made one.
    return json.dumps(json.loads(text), indent=1, sort_keys=True) + "\n"


def wrong(text: str) -> str | None:
    """What the schema has against a bill; None when it is sound."""
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    return None if error is None else str(error)


def _component(pin: Pin) -> Component:
    told = licence(pin)
    terms = [] if told is None else [_terms(told)]
    return Component(
        name=pin.name,
        version=str(pin.version),
        purl=PackageURL("pypi", name=pin.name, version=str(pin.version)),
        bom_ref=f"{pin.name}=={pin.version}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=each) for each in pin.hashes],
        licenses=terms,
        properties=[Property(name=MARKER, value=str(pin.marker))] if pin.marker is not None else [],
    )


def _terms(told: str) -> DisjunctiveLicense | LicenseExpression:
    if is_supported_id(told):
        return DisjunctiveLicense(id=told)
    return LicenseExpression(told) if is_expression(told) else DisjunctiveLicense(name=told)


def _requirements(name: str) -> list[Requirement]:
    try:
        return [Requirement(line) for line in distribution(name).requires or ()]
    except PackageNotFoundError:
        return []


def _needed(requirements: Iterable[Requirement]) -> set[str]:
    fitting = (each for each in requirements if each.marker is None or each.marker.evaluate({"extra": ""}))
    return {canonicalize_name(each.name) for each in fitting}
