"""What ties a conversation to one account for good: things that it gave out, and that nobody else can read.

They are found by their marks in the bytes of a body or message, whose contents are not parsed: a mark that only looks
like one costs a conversation its freedom to move, and nothing else. Whose they are is not asked here: the owner of a
conversation is who served it last.
"""

import re
from collections.abc import Iterable
from enum import StrEnum


class Carrier(StrEnum):
    """One kind of them."""

    CIPHER = "encrypted-content"
    """Reasoning, or a compacted history (codex.md 2.3, copilot.md 4)."""
    ITEM = "item-id"
    """Of an earlier answer, checked against the connection that it came on (copilot.md 4)."""
    PREVIOUS = "previous-response"
    """Kept by the upstream (codex.md 2.3)."""
    SIGNATURE = "thinking-signature"
    """Of a model's thoughts, in three spellings (copilot.md 4)."""
    UPLOAD = "upload"
    """A file, a container or a picture at the account's (codex.md 2.3, copilot.md 4)."""


def _text(*names: str) -> re.Pattern[bytes]:
    """A member of one of these names that is a text with something in it. Inside a text the quotes would be escaped."""
    return re.compile(rb'"(?:' + "|".join(names).encode() + rb')"\s*:\s*"[^"]')


MARKS: dict[Carrier, re.Pattern[bytes]] = {
    Carrier.CIPHER: _text("encrypted_content"),
    Carrier.PREVIOUS: _text("previous_response_id"),
    Carrier.ITEM: _text("id"),
    Carrier.SIGNATURE: re.compile(
        rb'"(?:signature|thought_?[sS]ignature|reasoning_opaque)"\s*:\s*"[^"]|"type"\s*:\s*"redacted_thinking"'
    ),
    Carrier.UPLOAD: re.compile(
        rb'"(?:file_id|container_id)"\s*:\s*"[^"]|"type"\s*:\s*"mcp_'
        rb'|"(?:image_)?url"\s*:\s*"https://(?:[a-z0-9-]+\.)*github(?:usercontent)?\.com/'
    ),
}


def found(content: bytes, among: Iterable[Carrier]) -> frozenset[Carrier]:
    """Which of these kinds a body or message holds."""
    return frozenset(carrier for carrier in among if MARKS[carrier].search(content))
