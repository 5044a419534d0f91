"""Secrets in the heads of messages: moved out of a flow when it begins, and put back into the copy that is sent."""

from copy import copy

from mitmproxy import http

REDACTED = b"[redacted]"
"""Stands in a flow where a secret was."""

SECRETS = frozenset(
    {
        b"authorization",
        b"copilot-session-token",
        b"cookie",
        b"set-cookie",
        b"request-hmac",
        b"x-oai-attestation",
        b"x-codex-turn-state",
    }
)
"""Headers, of requests and answers, whose values are moved out of the flow (codex.md 2.1, 2.2, copilot.md 3)."""

Fields = tuple[tuple[bytes, bytes], ...]
"""As a message holds them: names and values, in order."""
FieldList = list[tuple[bytes, bytes]]
"""The same, of a message that is being made."""


def with_fields[M: http.Message](message: M, fields: FieldList) -> M:
    """The head of a message under other header fields; sharing everything else, and without the body."""
    twin = copy(message)
    twin.data = copy(message.data)
    twin.data.headers = http.Headers(fields)
    twin.data.content = None
    return twin


def secrets(fields: Fields) -> dict[bytes, list[bytes]]:
    """Values of the secret headers, by lower-case name, in order."""
    found: dict[bytes, list[bytes]] = {}
    for name, value in fields:
        if name.lower() in SECRETS:
            found.setdefault(name.lower(), []).append(value)
    return found


def hide(message: http.Message) -> dict[bytes, list[bytes]]:
    """Put a placeholder in the place of every secret; returns what was there."""
    fields = message.headers.fields
    hidden = secrets(fields)
    if hidden:
        message.headers.fields = tuple((n, REDACTED if n.lower() in SECRETS else v) for n, v in fields)
    return hidden


def hide_password(flow: http.HTTPFlow) -> None:
    """Leave who came with a password for this proxy, which mitmproxy notes in each flow, and take out the password."""
    given = flow.metadata.get("proxyauth")
    if given is not None:
        flow.metadata["proxyauth"] = (given[0], REDACTED.decode())


def restored(fields: Fields, hidden: dict[bytes, list[bytes]]) -> FieldList:
    """The fields with the secrets back in their places; a value that somebody has set meanwhile stays."""
    left = {name: list(values) for name, values in hidden.items()}
    return [(n, left[n.lower()].pop(0) if v == REDACTED and left.get(n.lower()) else v) for n, v in fields]
