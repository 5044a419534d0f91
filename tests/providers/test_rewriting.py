"""Bodies and messages that say something else: two members at most, and every other byte as it was."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatpool.providers.rewriting import NOTHING, Wish, rewrite_body, rewrite_frame

OTHER = Wish("gpt-x", "gpt-longer")
FAST = Wish(fast=True)
BOTH = Wish("gpt-x", "gpt-longer", fast=True)


@pytest.mark.parametrize(
    ("content", "wish", "becomes", "granted"),
    [
        (b'{"model":"gpt-x"}', OTHER, b'{"model":"gpt-longer"}', OTHER),
        (b'{"model" : "gpt-x" , "a":1}', OTHER, b'{"model" : "gpt-longer" , "a":1}', OTHER),
        (b'{"model":"gpt\\u002dx"}', OTHER, b'{"model":"gpt-longer"}', OTHER),
        (b'{"model":"other"}', OTHER, None, Wish("gpt-x")),
        (b'{"model":null}', OTHER, None, Wish("gpt-x")),
        (b'{"a":{"model":"gpt-x"}}', OTHER, None, Wish("gpt-x")),
        (b'{"a":1}', FAST, b'{"a":1,"service_tier":"priority"}', FAST),
        (b' { "a" : [1] \n} ', FAST, b' { "a" : [1],"service_tier":"priority" \n} ', FAST),
        (b"{ }", FAST, b'{"service_tier":"priority" }', FAST),
        (b'{"service_tier":"flex"}', FAST, None, NOTHING),
        (b'{"service_tier":null}', FAST, None, NOTHING),  # the caller's own word as well
        (b'{"serviceTier":"auto"}', FAST, None, NOTHING),
        (b'{"a":{"service_tier":"flex"}}', FAST, b'{"a":{"service_tier":"flex"},"service_tier":"priority"}', FAST),
        (b'{"b":1,"model":"gpt-x"}', BOTH, b'{"b":1,"model":"gpt-longer","service_tier":"priority"}', BOTH),
        (b'{"service_tier":"x","model":"gpt-x"}', BOTH, b'{"service_tier":"x","model":"gpt-longer"}', OTHER),
        (b'{"model":"gpt-x"}', NOTHING, None, NOTHING),
    ],
)
def test_a_body_says_what_is_wished_where_it_can(
    content: bytes, wish: Wish, becomes: bytes | None, granted: Wish
) -> None:
    rewritten, found = rewrite_body(content, wish)
    assert rewritten == (content if becomes is None else becomes)
    assert becomes is not None or rewritten is content
    assert found == granted


UNREADABLE = [
    b"",
    b"[]",
    b"null",
    b"{",
    b'{"model":"gpt-x"',
    b"\xff\xfe",
    b'{"model":"gpt-x","model":"gpt-x"}',
    b"[" * 9999,
]


@pytest.mark.parametrize("content", UNREADABLE)
def test_what_cannot_be_read_stays(content: bytes) -> None:
    assert rewrite_body(content, BOTH) == (content, NOTHING)
    assert rewrite_frame(content, BOTH) is content


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(["input", "tools", "model_", "metadata", '"', "\\", "é", "service_tiers"])


@given(
    before=st.dictionaries(KEYS, JSON, max_size=3),
    after=st.dictionaries(KEYS, JSON, max_size=3),
    indent=st.sampled_from([None, 1]),
    ascii_only=st.booleans(),
    named=st.booleans(),
)
def test_every_other_byte_stays(
    before: dict[str, Any], after: dict[str, Any], indent: int | None, ascii_only: bool, named: bool
) -> None:
    """Taking back what was changed, and nothing else, gives the very bytes that came."""
    document = {**before, **({"model": "gpt-x"} if named else {}), **after}
    content = json.dumps(document, indent=indent, ensure_ascii=ascii_only).encode()
    rewritten, granted = rewrite_body(content, BOTH)
    assert granted == Wish("gpt-x", "gpt-longer" if named else None, fast=True)
    changed = {**({"model": "gpt-longer"} if named else {}), "service_tier": "priority"}
    assert json.loads(rewritten) == document | changed
    added = b'%b"service_tier":"priority"' % (b"," if document else b"")
    at = rewritten.rindex(added)
    taken_back = rewritten[:at] + rewritten[at + len(added) :]
    if named:
        replaced = taken_back.rindex(b'"gpt-longer"')
        taken_back = taken_back[:replaced] + b'"gpt-x"' + taken_back[replaced + len(b'"gpt-longer"') :]
    assert taken_back == content


@pytest.mark.parametrize(
    ("frame", "becomes"),
    [
        (b'{"type":"response.create","model":"gpt-x"}', b'{"type":"response.create","model":"gpt-longer"}'),
        (b'{"model":"gpt-x","type":"response.create"}', b'{"model":"gpt-longer","type":"response.create"}'),
        (b'{"type":"response.cancel","model":"gpt-x"}', None),
        (b'{"model":"gpt-x"}', None),
    ],
)
def test_only_a_message_that_begins_a_turn_is_rewritten(frame: bytes, becomes: bytes | None) -> None:
    assert rewrite_frame(frame, OTHER) == (becomes or frame)
    if becomes is None:
        assert rewrite_frame(frame, BOTH) is frame
