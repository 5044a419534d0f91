"""What ties a conversation to one account for good: things that it gave out, and that nobody else can read.

They are found by their marks in the bytes of a body or message, whose contents are not parsed: a mark that only looks
like one costs a conversation its freedom to move, and nothing else. Whose they are is not asked here: the owner of a
conversation is who served it last.
"""

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType


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


_SOMETHING = re.compile(rb'\s*:\s*"[^"]')
_PICTURE = re.compile(rb"[a-z0-9.-]+/github-copilot/chat/attachments/")
"""Where an uploaded picture is (BerriAI/litellm issue 14496). Any other address of GitHub's may begin what a tool has
said, `https://github.com/acme/widgets/pull/12` of a new pull request foremost."""
_NOTHING = re.compile(b"")

MARKS: Mapping[Carrier, tuple[tuple[bytes, re.Pattern[bytes]], ...]] = MappingProxyType(
    {
        Carrier.CIPHER: ((b'"encrypted_content"', _SOMETHING),),
        Carrier.PREVIOUS: ((b'"previous_response_id"', _SOMETHING),),
        Carrier.ITEM: ((b'"id"', _SOMETHING),),
        Carrier.SIGNATURE: (
            (b'"signature"', _SOMETHING),
            (b'"thought_signature"', _SOMETHING),
            (b'"thoughtSignature"', _SOMETHING),
            (b'"reasoning_opaque"', _SOMETHING),
            (b'"redacted_thinking"', _NOTHING),
        ),
        Carrier.UPLOAD: (
            (b'"file_id"', _SOMETHING),
            (b'"container_id"', _SOMETHING),
            (b'"mcp_call"', _NOTHING),
            (b'"mcp_list_tools"', _NOTHING),
            (b'"mcp_approval_request"', _NOTHING),
            (b'"https://', _PICTURE),
        ),
    }
)
"""Words, and what must stand behind them. In a text that only speaks of them the quotes are escaped."""


def found(content: bytes, among: Iterable[Carrier]) -> frozenset[Carrier]:
    """Which of these kinds a body or message holds."""
    return frozenset(carrier for carrier in among if any(_holds(content, *mark) for mark in MARKS[carrier]))


def _holds(content: bytes, word: bytes, behind: re.Pattern[bytes]) -> bool:
    """Searched for word by word: a pattern that begins with a choice takes ten times as long."""
    at = content.find(word)
    while at >= 0:
        if behind.match(content, at + len(word)):
            return True
        at = content.find(word, at + len(word))
    return False
