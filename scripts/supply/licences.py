"""Under which terms each package of a lock comes, and which terms are fine for something that is handed on."""

from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from scripts.supply.locks import Pin

_OSI = "License :: OSI Approved :: "
SPOKEN = {
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "3-Clause BSD License": "BSD-3-Clause",
    "BSD License": "BSD",
    "ISC License (ISCL)": "ISC",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
"""What packages say, and what it is called in SPDX; `BSD`, which of them is not told."""
UNSAID = {
    "colorama": "BSD-3-Clause",
    "mitmproxy-linux": "MIT",
    "mitmproxy-macos": "MIT",
    "mitmproxy-rs": "MIT",
    "mitmproxy-windows": "MIT",
    "pydivert": "LGPL-3.0-or-later",
    "pywin32-ctypes": "BSD-3-Clause",
}
"""Packages whose metadata does not tell, or that are for other machines only. Read in their sources."""
PERMISSIVE = {
    "0BSD", "Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-0", "MIT-CMU", "PSF-2.0",
    "Zlib",
}  # fmt: skip
OF_FILES = {"MPL-2.0"}
"""Binds who changes their files, which we do not."""
OF_LIBRARIES = {"LGPL-2.1-only", "LGPL-3.0-only", "LGPL-3.0-or-later"}
"""Bind who hands them on linked so that they cannot be exchanged; Python's modules can."""
ALLOWED = PERMISSIVE | OF_FILES | OF_LIBRARIES


def licence(pin: Pin) -> str | None:
    """In SPDX's words where it can be; None when nobody has told."""
    try:
        return _told(distribution(pin.name)) or UNSAID.get(pin.name)
    except PackageNotFoundError:
        return UNSAID.get(pin.name)


def _told(package: Distribution) -> str | None:
    metadata = package.metadata
    if expression := metadata.get("License-Expression"):
        return str(expression)
    classifiers = [line.removeprefix(_OSI) for line in metadata.get_all("Classifier") or () if line.startswith(_OSI)]
    if classifiers:
        return " AND ".join(SPOKEN.get(each, each) for each in classifiers)
    words = str(metadata.get("License") or "").strip().replace(" and ", " AND ")
    return None if "\n" in words else SPOKEN.get(words, words) or None


def is_fine(expression: str) -> bool:
    """Whether one of the choices that it gives binds us to nothing but what is allowed."""
    choices = expression.replace("(", "").replace(")", "").split(" OR ")
    return any({*choice.split(" AND ")} <= ALLOWED for choice in choices)


def faults_of(pins: Iterable[Pin]) -> list[str]:
    """Packages whose terms are not known, or not fine."""
    terms = {pin.name: licence(pin) for pin in pins}
    faults = [f"{name}: its licence is not known" for name, told in terms.items() if told is None]
    return faults + [
        f"{name}: {told} is not an allowed licence" for name, told in terms.items() if told and not is_fine(told)
    ]
