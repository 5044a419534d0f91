"""Requests without what is foreign in them: each kind by a table, and every byte around it as it was."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatpool.core.model import ProviderName
from seatpool.providers.carriers import Carrier
from seatpool.providers.jsonparts import changed, elements, fields, removed
from seatpool.providers.registry import PROVIDERS
from seatpool.providers.repairs import digest, issued, newest

CODEX, COPILOT = ProviderName.CODEX, ProviderName.COPILOT
CIPHER, ITEM, SIGNATURE = Carrier.CIPHER, Carrier.ITEM, Carrier.SIGNATURE
SAID = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
CALL = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": '{"id": "their-x"}'}


def thought(whose: str, **more: Any) -> dict[str, Any]:
    return {"type": "reasoning", "summary": [], "encrypted_content": f"{whose}-gAAAA/b+c==", **more}


def spoken(whose: str, **more: Any) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "id": f"{whose}-AbC/dEf=", "content": [], **more}


def compaction(whose: str, **more: Any) -> dict[str, Any]:
    return {"type": "compaction", "encrypted_content": f"{whose}-gAAAA", **more}


def items(*each: Any) -> dict[str, Any]:
    return {"model": "gpt-x", "input": list(each), "stream": True}


def without(item: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name not in names}


USER = {"role": "user", "content": "hi"}
TEXT = {"type": "text", "text": "hello"}
TOOL = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}


def thinking(whose: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": "hm", "signature": f"{whose}-ErUBCkYI"}


def hidden(whose: str) -> dict[str, Any]:
    return {"type": "redacted_thinking", "data": f"{whose}-EmwKAhgB"}


def talk(*messages: Any) -> dict[str, Any]:
    return {"model": "claude", "messages": list(messages)}


def answer(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def gemini(**extra: Any) -> dict[str, Any]:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}, **extra}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def chat(**more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": "x", **more}


OPAQUE = {"reasoning_text": "hm", "reasoning_opaque": "their-abc"}

Row = tuple[ProviderName, str, dict[str, Any], dict[str, Any], int, set[Carrier]]
"""Provider, route, request, what becomes of it, parts that takes, what cannot be mended. `their-` is foreign."""
CASES: dict[str, Row] = {
    "codex: reasoning goes whole": (
        CODEX,
        "responses",
        items(SAID, thought("their"), CALL),
        items(SAID, CALL),
        1,
        set(),
    ),
    "codex: one's own stays, in both directions": (
        *(CODEX, "responses-ws", items(thought("their"), SAID, thought("own"), thought("their"))),
        *(items(SAID, thought("own")), 2, set()),
    ),
    "codex: ids are not bound": (CODEX, "responses", items(spoken("their")), items(spoken("their")), 0, set()),
    "codex: a compaction stays": (
        *(CODEX, "compact", items(compaction("their", id="cmp_1"), thought("their"))),
        *(items(compaction("their", id="cmp_1")), 1, {CIPHER}),
    ),
    "codex: what is sealed deeper stays": (
        *(CODEX, "responses", items({"type": "agent_message", "content": [{"encrypted_content": "their-x"}]})),
        *(items({"type": "agent_message", "content": [{"encrypted_content": "their-x"}]}), 0, {CIPHER}),
    ),
    "codex: all of it": (CODEX, "responses", items(thought("their"), thought("their")), items(), 2, set()),
    "copilot: an item loses its id": (
        *(COPILOT, "responses", items(SAID, spoken("their"), spoken("own"), CALL)),
        *(items(SAID, without(spoken("their"), "id"), spoken("own"), CALL), 1, set()),
    ),
    "copilot: foreign reasoning goes, one's own keeps its id": (
        *(COPILOT, "responses-ws", items(thought("their", id="their-rs"), thought("own", id="own-rs"))),
        *(items(thought("own", id="own-rs")), 1, set()),
    ),
    "copilot: a compaction keeps its id": (
        *(COPILOT, "responses", items(compaction("their", id="their-1"), spoken("their"))),
        *(items(compaction("their", id="their-1"), without(spoken("their"), "id")), 1, {CIPHER, ITEM}),
    ),
    "messages: thoughts go, words stay": (
        *(COPILOT, "messages", talk(USER, answer(thinking("their"), hidden("their"), TEXT, TOOL), USER)),
        *(talk(USER, answer(TEXT, TOOL), USER), 2, set()),
    ),
    "messages: one's own stay": (
        *(COPILOT, "messages", talk(USER, answer(thinking("their"), TEXT), USER, answer(thinking("own"), TOOL))),
        *(talk(USER, answer(TEXT), USER, answer(thinking("own"), TOOL)), 1, set()),
    ),
    "messages: nothing but thoughts between two of the person's": (
        *(COPILOT, "messages", talk(USER, answer(thinking("their")), USER)),
        *(talk(USER, answer({"type": "text", "text": "..."}), USER), 1, set()),
    ),
    "messages: nothing but thoughts ahead of what was said": (
        *(COPILOT, "messages", talk(USER, answer(thinking("their")), answer(TEXT), USER)),
        *(talk(USER, answer(TEXT), USER), 1, set()),
    ),
    "messages: nothing but thoughts, at the end": (
        *(COPILOT, "messages", talk(USER, answer(thinking("their")))),
        *(talk(USER), 1, set()),
    ),
    "chat: opaque reasoning": (
        *(COPILOT, "chat-completions", talk(USER, chat(**OPAQUE), chat(reasoning_opaque="own-x"))),
        *(talk(USER, chat(reasoning_text="hm"), chat(reasoning_opaque="own-x")), 1, set()),
    ),
    "chat: a signature of Gemini's, as deep as it stands": (
        *(
            COPILOT,
            "chat-completions",
            talk(gemini(extra_content={"g": {"a": 1, "thought_signature": "their-x"}})),
        ),
        *(talk(gemini(extra_content={"g": {"a": 1}})), 1, set()),
    ),
    "chat: in its other spelling": (
        *(COPILOT, "chat-completions", talk(gemini(thoughtSignature="their-x"))),
        *(talk(gemini()), 1, set()),
    ),
}


def whose(document: Any) -> dict[int, str]:
    """Every text in a document that names its owner, by its digest."""
    if isinstance(document, str):
        return {digest(json.dumps(document)[1:-1].encode()): document.partition("-")[0]}
    inner = document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    return {key: owner for each in inner for key, owner in whose(each).items()}


def theirs(document: Any, kinds: frozenset[Carrier] = frozenset(Carrier)) -> Callable[[Carrier, int], bool]:
    known = whose(document)
    return lambda kind, key: kind in kinds and known[key] == "their"


@pytest.mark.parametrize("case", CASES)
def test_what_is_foreign_goes_and_no_more(case: str) -> None:
    provider, route, request, becomes, count, stuck = CASES[case]
    content = json.dumps(request).encode()
    repaired = PROVIDERS[provider].handling[route].repair(content, theirs(request))
    assert json.loads(repaired.content) == becomes
    assert (repaired.items, set(repaired.stuck)) == (count, stuck)
    assert (repaired.content is content) == (count == 0)
    assert "AAAA" not in repr(repaired)


def test_only_the_kinds_that_are_asked_for_go() -> None:
    request = items(thought("their", id="their-rs"), spoken("their"))
    handling = PROVIDERS[COPILOT].handling["responses"]
    repaired = handling.repair(json.dumps(request).encode(), theirs(request, handling.certain))
    assert json.loads(repaired.content) == items(thought("their"), without(spoken("their"), "id"))
    assert repaired.kinds == {ITEM}


UNREADABLE = [b"", b"null", b"[]", b"{", b'{"input": "hi"}', b'{"input": [1, {}, "id"]}', b"\xff", b'{"messages": {}}']
TWICE = b'{"input": [{"type":"reasoning","encrypted_content":"a","encrypted_content":"b"}]}'


@pytest.mark.parametrize("content", [*UNREADABLE, TWICE, b'{"input":' + b"[" * 9999])
def test_what_cannot_be_read_stays(content: bytes) -> None:
    for provider in PROVIDERS.values():
        for handling in provider.handling.values():
            assert handling.repair(content, lambda *_: True).content is content


# -- whatever the layout

SPACE = st.sampled_from(["", " ", "\n", "\t ", "\r\n  "])
OWNERS = st.sampled_from(["own", "their"])
NOISE = st.fixed_dictionaries({"a": st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=4)})


def mixed(build: Callable[..., Any]) -> Any:
    return st.builds(lambda owner, noise: {**noise, **build(owner)}, OWNERS, NOISE)


ITEMS = st.lists(
    mixed(thought) | mixed(spoken) | mixed(lambda o: thought(o, id=f"{o}-rs")) | st.just(SAID) | NOISE, max_size=6
)
BLOCKS = st.lists(mixed(thinking) | mixed(hidden) | st.just(TEXT) | st.just(TOOL), min_size=1, max_size=4)


def rendered(document: Any, draw: Callable[[Any], str]) -> str:
    """JSON with blanks anywhere."""
    if isinstance(document, dict):
        pairs = (f"{json.dumps(k)}{draw(SPACE)}:{draw(SPACE)}{rendered(v, draw)}" for k, v in document.items())
        inner = f"{draw(SPACE)},{draw(SPACE)}".join(pairs)
        return f"{{{draw(SPACE)}{inner}{draw(SPACE)}}}"
    if isinstance(document, list):
        inner = f"{draw(SPACE)},{draw(SPACE)}".join(rendered(each, draw) for each in document)
        return f"[{draw(SPACE)}{inner}{draw(SPACE)}]"
    return json.dumps(document)


def is_within(less: bytes, more: bytes) -> bool:
    """Whether every byte of one stands in the other, in order."""
    position = 0
    for byte in less:
        position = more.find(byte, position) + 1
        if not position:
            return False
    return True


@given(ITEMS, st.data())
def test_items_are_repaired_whatever_the_layout(each: list[Any], data: st.DataObject) -> None:
    request = items(*each)
    content = rendered(request, data.draw).encode()
    repaired = PROVIDERS[COPILOT].handling["responses"].repair(content, theirs(request))
    kept = [i for i in each if not str(i.get("encrypted_content", "")).startswith("their-")]
    expected = [without(i, "id") if str(i.get("id", "")).startswith("their-") else i for i in kept]
    assert json.loads(repaired.content) == items(*expected)
    assert is_within(repaired.content, content)
    for item in kept:  # an untouched item's bytes are in it as they came
        if item in expected:
            assert json.loads(repaired.content)["input"].count(item) == expected.count(item)


@given(st.lists(BLOCKS, max_size=3), st.data())
def test_thoughts_are_repaired_whatever_the_layout(said: list[list[Any]], data: st.DataObject) -> None:
    request = talk(*(message for blocks in said for message in (USER, answer(*blocks))), USER)
    content = rendered(request, data.draw).encode()
    repaired = PROVIDERS[COPILOT].handling["messages"].repair(content, theirs(request))
    messages = json.loads(repaired.content)["messages"]
    assert [message["role"] for message in messages] == [message["role"] for message in request["messages"]]
    for blocks, message in zip(said, messages[1::2], strict=False):
        own = [b for b in blocks if not str(b.get("signature") or b.get("data") or "").startswith("their-")]
        assert message["content"] == (own or [{"type": "text", "text": "..."}])


@given(st.lists(st.integers(), min_size=1, max_size=8), st.data())
def test_what_is_not_taken_away_stays_byte_for_byte(numbers: list[int], data: st.DataObject) -> None:
    gone = data.draw(st.sets(st.integers(0, len(numbers) - 1)))
    for document in (numbers, {f"k{n}": value for n, value in enumerate(numbers)}):
        content = rendered(document, data.draw).encode()
        found = elements(content, 0, len(content)) if isinstance(document, list) else fields(content)
        assert found is not None
        parts = list(found.values()) if isinstance(found, dict) else found
        less = changed(content, removed(parts, gone))
        kept = [value for number, value in enumerate(numbers) if number not in gone]
        read = json.loads(less)
        assert (read if isinstance(read, list) else list(read.values())) == kept
        assert is_within(less, content)
        assert less[: parts[0].start] == content[: parts[0].start]
        assert less.endswith(content[parts[-1].end :])


# -- what is known again


@pytest.mark.parametrize(
    ("provider", "route", "event", "request_"),
    [
        (CODEX, "responses", {"type": "response.output_item.done", "item": thought("own")}, items(thought("own"))),
        (COPILOT, "responses", {"type": "response.output_item.done", "item": spoken("own")}, items(spoken("own"))),
        (
            *(COPILOT, "messages", {"delta": {"type": "signature_delta", "signature": thinking("own")["signature"]}}),
            talk(answer(thinking("own"))),
        ),
        (COPILOT, "messages", {"content_block": hidden("own")}, talk(answer(hidden("own")))),
        (
            *(COPILOT, "chat-completions", {"choices": [{"delta": {"reasoning_opaque": "own-x"}}]}),
            talk(chat(reasoning_opaque="own-x")),
        ),
    ],
)
@pytest.mark.parametrize("escape", ["/", "\\/", "\\u002f"])
def test_what_an_answer_gives_out_is_known_again_in_a_request(
    provider: ProviderName, route: str, event: Any, request_: Any, escape: str
) -> None:
    handling = PROVIDERS[provider].handling[route]
    told = f"data: {json.dumps(event)}\n\n".replace("/", escape).encode()
    assert any(mark in told for mark in handling.marks)
    learnt, asked = issued(told, handling), []
    handling.repair(json.dumps(request_).encode(), lambda _, key: bool(asked.append(key)))
    assert set(asked) == learnt
    if "redacted" not in str(event):
        assert next(newest(json.dumps(request_).encode(), handling)) in learnt


def test_the_newest_comes_first() -> None:
    handling = PROVIDERS[COPILOT].handling["responses"]
    content = json.dumps(items(spoken("one"), thought("two"), spoken("three", id="three"))).encode()
    assert list(newest(content, handling)) == [digest(b"three"), digest(b"two-gAAAA/b+c=="), digest(b"one-AbC/dEf=")]
