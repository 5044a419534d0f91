"""The rules file: what it says, and on which line it is wrong."""

import time
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatpool.core.model import ProviderName
from seatpool.core.rulefile import lines_of, read
from seatpool.core.rules import RuleMistakes

GOOD = b"""\
# mine
[groups]
work = ["alice", "corp-*"]

[[rule]]
name = "work code"
provider = "Codex"
model = "gpt-*"
client = ["codex_*", "neovim"]
repository = [
  "https://github.com/Acme/Widgets.git",  # a remote, pasted
  "gitlab.com/acme/*",
]
only = ["Work", "bob"]

[[rule]]
client = "neovim"
prefer = "bob"
"""


def test_a_file_says_rules_in_its_order() -> None:
    first, second = read(GOOD).rules
    assert (first.name, first.line, second.name, second.line) == ("work code", 5, "rule 2", 16)
    assert first.providers == (ProviderName.CODEX,)
    assert (first.models, first.clients) == (("gpt-*",), ("codex_*", "neovim"))
    assert first.repositories == ("github.com/acme/widgets", "gitlab.com/acme/*")
    assert first.only == ("alice", "corp-*", "bob"), "a group stands for its accounts"
    assert (second.only, second.prefer, second.binding) == ((), ("bob",), False)


@pytest.mark.parametrize("content", [b"", b"# nothing\n", b"\xef\xbb\xbf[groups]\r\n"])
def test_a_file_may_say_no_rules(content: bytes) -> None:
    assert read(content).rules == ()


def rule(*lines: str) -> str:
    return "\n".join(("[[rule]]", 'only = "a"', *lines))


MISTAKES = [
    ("[[rule]]\nonly = a\n", [(2, "not TOML: Invalid value")]),
    ("x = 1\n\nonly = [", [(3, "not TOML: Invalid value")]),
    ('[[rule]]\nonly = "a"\nonly = "b"\n', [(3, "not TOML: Cannot overwrite a value")]),
    ("\n[rules]\n", [(2, 'unknown key "rules"; at the top stand [groups] and [[rule]]')]),
    ("[rule]\nonly = 'a'\n", [(1, "write [[rule]], in two brackets, above each rule")]),
    ("rule = 3\n", [(1, "write [[rule]]")]),
    ("groups = 3\n", [(1, "write [groups]")]),
    ("[groups]\na = []\nb = [1]\nc = ''\n", [(2, 'group "a": say'), (3, 'group "b": say'), (4, 'group "c": an acc')]),
    ("[[rule]]\nname = 'n'\n", [(1, 'rule "n": give it either only = [...] or prefer')]),
    (rule('prefer = "b"'), [(1, 'rule "rule 1": give it either')]),
    ("[[rule]]\nonly = []\n", [(2, 'rule "rule 1": only: say accounts as "text" or as a list')]),
    ("[[rule]]\nonly = [' ']\n", [(2, "an account's name is not empty")]),
    (rule("", 'onyl = "a"'), [(4, 'unknown key "onyl"; known are name, provider, model, client, repository, only')]),
    (rule("[rule.sub]", "x = 1"), [(3, 'unknown key "sub"')]),
    (rule("name = 3"), [(3, "name: say a few words on one line")]),
    (rule('name = "a\\nb"'), [(3, "name: say a few words")]),
    (rule("model = 3"), [(3, 'model: say one model or several as "text"')]),
    (rule("model = []"), [(3, "model: say one model")]),
    (rule('provider = ["codex",', '"openai"]'), [(3, 'provider: "openai" is none; known are codex, copilot')]),
    (rule('repository = "acme/*"'), [(3, 'repository: "acme/*" is no repository; say host/owner/name')]),
    (rule('repository = "ftp://x/y"'), [(3, '"ftp://x/y" is no repository')]),
    (rule('name = "x"', *rule("model = 'm'", 'name = "X"').split("\n")), [(7, 'the name "X" is taken by the rule on')]),
    (rule(*rule('model = "m"').split("\n")), [(3, 'rule "rule 2" never decides: "rule 1" on line 1 takes everything')]),
    ("rule = [{only = 'a'},\n{onyl = 'b'}]\n", [(1, "unknown key"), (1, "give it either")]),
]


@pytest.mark.parametrize(("text", "expected"), MISTAKES)
def test_every_mistake_is_told_with_its_line(text: str, expected: list[tuple[int, str]]) -> None:
    with pytest.raises(RuleMistakes) as wrong:
        read(text.encode())
    told = [(m.line, m.message) for m in wrong.value.mistakes]
    assert [line for line, _ in told] == [line for line, _ in expected], told
    for (_, message), (_, part) in zip(told, expected, strict=True):
        assert part in message


def test_what_is_no_text_or_no_file_of_a_person_is_refused() -> None:
    with pytest.raises(RuleMistakes, match="2: not UTF-8 text"):
        read(b"# a\n\xff\xfe")
    with pytest.raises(RuleMistakes, match="longer than 256 KiB"):
        read(b"#" * 300_000)
    with pytest.raises(RuleMistakes):
        read(b"x = " + b"[" * 100_000)


def test_lines_are_those_of_keys_whatever_goes_on_over_several_lines() -> None:
    strings = 'a = """\n[[rule]]\nx = 1\n"""\nb.c = [\n  "]",\n  2,\n]\n'
    text = strings + "\n[[rule]]\nd = '''\n]]\n'''\ne = {f = 1}\n[[rule]]\n"
    assert lines_of(text) == {
        ("a",): 1,
        ("b",): 5,
        ("b", "c"): 5,
        ("b", "c", 0): 5,
        ("b", "c", 1): 5,
        ("rule", 0): 10,
        ("rule", 0, "d"): 11,
        ("rule", 0, "e"): 14,
        ("rule", 0, "e", "f"): 14,
        ("rule", 1): 15,
    }


values = st.sampled_from(['"a"', '["a",\n "b"]', '"""\n]\n[[rule]]\n"""', "3", "[\n[1],\n]", "'''x'''", "{k = 1}"])
keys = st.sampled_from(["name", "model", '"odd key"', "a.b"])
documents = st.lists(st.lists(st.tuples(keys, values), max_size=3, unique_by=lambda pair: pair[0]), max_size=4)


@given(documents)
def test_every_key_of_a_sound_document_is_found_where_it_was_written(tables: list[list[tuple[str, str]]]) -> None:
    text, expected = "", {}
    for index, pairs in enumerate(tables):
        expected["rule", index] = text.count("\n") + 1
        text += "[[rule]] # x\n"
        for key, value in pairs:
            path = tuple(key.replace('"', "").split(".")) if "." in key else (key.strip('"'),)
            expected["rule", index, *path] = text.count("\n") + 1
            text += f"{key} = {value}\n"
    tomllib.loads(text)
    found = lines_of(text)
    assert {path: found.get(path) for path in expected} == expected


@given(st.binary(max_size=200))
def test_whatever_stands_in_the_file_it_is_rules_or_mistakes(content: bytes) -> None:
    lines = range(1, content.count(b"\n") + 3)
    assert all(line in lines for line in said_wrong(content))


def said_wrong(content: bytes) -> list[int]:
    try:
        read(content)
    except RuleMistakes as wrong:
        return [mistake.line for mistake in wrong.mistakes]
    return []


LISTS = """\
[groups]
a = [ # ] "
  "x]", 'y"[', # [
  \"\"\"z
]\"\"\",
]
b = { c = [1], d = "}" } # {
  [[ rule ]]
only = ["x"]
name = '''
one'''
'quoted#' = 1
"""


def test_marks_within_texts_and_comments_move_no_line() -> None:
    lines = lines_of(LISTS)
    assert (lines["groups", "a"], lines["groups", "b"], lines["groups", "b", "c"]) == (2, 7, 7)
    assert (lines["rule", 0], lines["rule", 0, "name"], lines["rule", 0, "quoted#"]) == (8, 10, 12)


def test_a_file_of_the_largest_size_is_read_in_a_moment() -> None:
    began = time.thread_time()
    with pytest.raises(RuleMistakes, match="more than 1000 rules"):
        read(b'[[rule]]\nonly="a"\n' * 12_000)
    long = b"[[rule]]\nonly=[\n" + b'"a", # ]\n' * 25_000 + b"]\n"
    assert read(long).rules[0].only == ("a",)
    assert time.thread_time() - began < 5


@pytest.mark.parametrize("key", [b"a%s=1\n", b"[a%s]\nb=1\n"])
def test_keys_without_end_are_a_mistake_like_others(key: bytes) -> None:
    with pytest.raises(RuleMistakes, match='unknown key "a"'):
        read(key % (b".a" * 1_000))
    with pytest.raises(RuleMistakes, match="2: longer than 4096 characters"):
        read(b"\n" + key % (b".a" * 60_000))
