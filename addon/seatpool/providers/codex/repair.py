"""What is done about things in a Codex request that only another account can read (codex.md 2.3).

======================================  ===========================================================================
reasoning with `encrypted_content`      taken away, item and all
compaction, or anything else encrypted  never touched: it is the history, and bound to its item's id
`previous_response_id` on a socket      the client is told to connect again and sends everything (codex.md 5)
files, containers, hosted tools' items  nothing: they exist at their account alone
======================================  ===========================================================================

Ids of items are not bound. Whether a cipher is, between two personal plans, is not known: upstream is asked first.
"""

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

from seatpool.providers.repairs import Handling, named, repair_items

_REPAIR = partial(repair_items, ids=False)
_RESPONSES = Handling(
    _REPAIR,
    marks=(b"output_item.done",),
    issued=(named(b"encrypted_content"),),
    words=(b'"encrypted_content"',),
)

HANDLING: Mapping[str, Handling] = MappingProxyType(
    {"responses": _RESPONSES, "responses-ws": _RESPONSES, "compact": _RESPONSES}
)
