"""What is served as it is, from the folder beside this file."""

import hashlib
from functools import cache
from pathlib import Path

from seatpool.page.visit import Answer, Visit

FOLDER = Path(__file__).parent / "files"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@cache
def names() -> frozenset[str]:
    """Of files that a browser may have."""
    return frozenset(path.name for path in FOLDER.iterdir() if path.suffix in TYPES)


def answer(visit: Visit) -> Answer | None:
    """The file that is asked for, or that it is as it was; None where there is none."""
    name = visit.path.removeprefix("/")
    if name not in names():
        return None
    body = (FOLDER / name).read_bytes()
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    more = {"etag": tag, "cache-control": "no-cache"}
    known = [each.strip().removeprefix("W/") for each in visit.headers.get("if-none-match", "").split(",")]
    if tag in known or known == ["*"]:
        return Answer(304, content_type=TYPES[(FOLDER / name).suffix], more=more)
    return Answer(200, body, TYPES[(FOLDER / name).suffix], more)
