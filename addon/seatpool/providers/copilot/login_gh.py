"""The GitHub CLI's `hosts.yml`: a token per host, and since 2.40 one per user of each host.

YAML that is cut short is often whole YAML, with half a token in it. `gh` ends every line, and writes the active user
behind the list of users: a file without either is refused.
"""

import re

from seatpool.providers.copilot.found import GH_APP, Found, issuer_of, one_each
from seatpool.providers.copilot.wire import text
from seatpool.providers.logins import ImportedLogin, NotALogin
from seatpool.providers.tolerant import Json, mapping

FILE_NAME = "hosts.yml"
PROGRAM = "the GitHub CLI"

_LONGEST = 64 * 1024
"""Bytes. A dozen users make two kilobytes, and YAML is slow to read."""
_HOST_LINE = re.compile(rb"^(?:github\.com|[a-z0-9-]+\.ghe\.com):[ \t]*\r?$", re.MULTILINE)
_FIELD = re.compile(rb"^[ \t]+(?:users?|oauth_token|git_protocol):", re.MULTILINE)


def read(name: str, content: bytes) -> tuple[ImportedLogin, ...] | None:
    """The logins in the file, one per user; None when it is not `gh`'s. Raises `NotALogin` when it is, but broken."""
    if name == FILE_NAME and not content.strip():
        raise NotALogin(f"{name}: nobody is signed in")
    if len(content) > _LONGEST or not (_HOST_LINE.search(content) and _FIELD.search(content)):
        return None
    if not content.endswith(b"\n"):
        raise NotALogin(f"{name}: ends in the middle of a line: is it truncated?")
    hosts = {issuer: mapping(entry) for key, entry in _parse(name, content).items() if (issuer := issuer_of(str(key)))}
    found = [token for issuer, entry in hosts.items() for token in _tokens(name, issuer, entry)]
    if not found and any(entry.get("user") for entry in hosts.values()):
        raise NotALogin(
            f"{name}: gh keeps its token in the system's keyring;"
            " hand it over with: gh auth token | seatpool account import -"
        )
    return one_each(name, found)


def _parse(name: str, content: bytes) -> Json:
    # Not at the top: it takes long to load, and the proxy never needs it.
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return mapping(YAML(typ="safe", pure=True).load(content))
    except (YAMLError, ValueError, TypeError, RecursionError):  # a key that is a map is a TypeError
        raise NotALogin(f"{name}: not complete YAML") from None


def _tokens(name: str, issuer: str, entry: Json) -> list[Found]:
    """Those of its users, and the active one's own where the list has none of it."""
    users = {str(user): text(mapping(held).get("oauth_token")) for user, held in mapping(entry.get("users")).items()}
    active, token = text(entry.get("user")), text(entry.get("oauth_token"))
    if users and not active:
        raise NotALogin(f"{name}: does not say who of its users is active: is it truncated?")
    if token:
        users[active] = users.get(active) or token
    return [Found(issuer, user, held, GH_APP, PROGRAM) for user, held in users.items() if held]
