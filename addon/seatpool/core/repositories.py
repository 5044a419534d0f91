"""One name for a repository, however its remote is spelt: `host/owner/name`, in lower case, without credentials."""

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from urllib.parse import unquote

_LONGEST = 1_000
"""Characters of a remote, with what is not of its name."""
_LONGEST_NAME = 256
"""Of a name: it is part of a key, which no database takes at any length."""
_URL = re.compile(r"(?:git\+)?(?:ssh|https?|git)(?:\+git)?://(?P<authority>[^/]+)/(?P<path>.+)", re.IGNORECASE)
_SCP = re.compile(r"(?:[^@:/\s]*@)?(?P<host>\[[^\]]+\]|[^@:/\\\s]{2,}):(?P<path>.+)")
"""`git@host:path`; a host of one letter is a drive of Windows."""
_HOST = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[^\s\x00-\x1f\x7f:/\\@?#]+)(?::\d*)?")
_UNFIT = re.compile(r"[\s\x00-\x1f\x7f\\?#]")

SAME_HOST: Mapping[str, str] = MappingProxyType(
    {
        "ssh.github.com": "github.com",
        "www.github.com": "github.com",
        "altssh.gitlab.com": "gitlab.com",
        "altssh.bitbucket.org": "bitbucket.org",
    }
)
"""Names under which the same host takes SSH where port 22 is closed."""


@lru_cache(maxsize=1024)
def normalised(remote: str) -> str | None:
    """The repository that a remote points at; None for a folder of this machine, and for what is no remote.

    The port is dropped: one server's SSH and HTTPS have two, and the same repositories.
    """
    remote = remote.strip()
    if len(remote) > _LONGEST:
        return None
    found = _URL.fullmatch(remote) or (None if "://" in remote else _SCP.fullmatch(remote))
    if found is None:
        return None
    parts = found.groupdict()
    authority = parts.get("host") or parts["authority"].rpartition("@")[2]
    return named(authority, unquote(parts["path"]))


def named(host: str, path: str) -> str | None:
    """The repository at `path` of `host`; None where one of them cannot be."""
    known = _HOST.fullmatch(host.strip().lower())
    steps = [step for step in path.lower().split("/") if step]
    if known is None or not steps or _UNFIT.search(path) or set(steps) & {".", ".."}:
        return None
    steps[-1] = steps[-1].removesuffix(".git") or steps[-1]
    address = known["host"].rstrip(".")
    name = "/".join((SAME_HOST.get(address, address), *steps))
    return name if address and len(name) <= _LONGEST_NAME else None
