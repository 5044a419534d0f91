"""Settings go into files of every form, come out again, and leave everything else as it was."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatpool.setup.editors.content import Unreadable, decode
from seatpool.setup.editors.forms import AnyForm, Block, Dotenv, Jsonc, Options, Value

PROXY = "http://127.0.0.1:8080"
PUT: dict[str, Value] = {"http.proxy": PROXY, "http.systemCertificates": True}

# -- JSON with comments

MINE = """\
// my settings
{
\t// the looks
\t"editor.fontSize": 14, // points
\t/* "http.proxy": "http://old:1", */
\t"[python]": { "editor.tabSize": 4, },
\t"files.exclude": ["**/*.pyc", "//not a comment",],
}
"""

JSONC = {
    "comments, tabs, trailing commas": (
        MINE,
        MINE.replace("{\n", '{\n\t"http.proxy": "http://127.0.0.1:8080",\n\t"http.systemCertificates": true,\n', 1),
    ),
    "a value that is there": (
        '{\n  "http.proxy" : "http://corp:3128" , // work\n  "a": 1\n}',
        '{\n  "http.systemCertificates": true,\n  "http.proxy" : "http://127.0.0.1:8080" , // work\n  "a": 1\n}',
    ),
    "a key twice: the last one counts": (
        '{"http.systemCertificates": true, "http.proxy": "http://one:1",\n "http.proxy": "http://two:2"}',
        '{"http.systemCertificates": true, "http.proxy": "http://one:1",\n "http.proxy": "http://127.0.0.1:8080"}',
    ),
    "one line": ('{"a": 1}', '{"http.proxy": "http://127.0.0.1:8080", "http.systemCertificates": true, "a": 1}'),
    "an empty object": (
        "{}",
        '{\n    "http.proxy": "http://127.0.0.1:8080",\n    "http.systemCertificates": true\n}',
    ),
    "an empty object with a remark": (
        "{ // nothing yet\n}\n",
        '{ // nothing yet\n    "http.proxy": "http://127.0.0.1:8080",\n    "http.systemCertificates": true\n}\n',
    ),
    "an empty file": ("", '{\n    "http.proxy": "http://127.0.0.1:8080",\n    "http.systemCertificates": true\n}\n'),
    "a remark alone": (
        "// todo",
        '// todo\n{\n    "http.proxy": "http://127.0.0.1:8080",\n    "http.systemCertificates": true\n}\n',
    ),
    "the line ends of Windows": (
        '{\r\n  "a": 1\r\n}\r\n',
        '{\r\n  "http.proxy": "http://127.0.0.1:8080",\r\n  "http.systemCertificates": true,\r\n  "a": 1\r\n}\r\n',
    ),
}


LISTS = {
    "no list": ("{}", '{\n    "l": ["p", "q"]\n}', "{\n}"),
    "an empty one": ('{"l": []}', '{"l": ["p", "q"]}', '{"l": []}'),
    "another value": ('{"l": null}', '{"l": ["p", "q"]}', '{"l": null}'),
    "others": ('{"l": ["a", 1]}', '{"l": ["p", "q", "a", 1]}', '{"l": ["a", 1]}'),
    "on lines": ('{"l": [\n  "a", // b\n]}', '{"l": ["p", "q", \n  "a", // b\n]}', '{"l": ["a", // b\n]}'),
    "one of them": ('{"l": ["q",]}', '{"l": ["p", "q",]}', '{"l": ["q",]}'),
    "all of them": ('{"l": ["q", "p"]}', '{"l": ["q", "p"]}', '{"l": ["q", "p"]}'),
}
LISTED: dict[str, Value] = {"l": ("p", "q")}


@pytest.mark.parametrize(("before", "after", "left"), LISTS.values(), ids=LISTS)
def test_a_list_of_vs_codes_is_made_to_hold_what_it_lacks(before: str, after: str, left: str) -> None:
    assert Jsonc().put(before, LISTED) == after
    assert Jsonc().put(after, LISTED) == after
    assert Jsonc().take(after, LISTED, before) == left


@pytest.mark.parametrize(
    ("changed", "left"),
    [
        ('{"l": ["x", "q", "p"], "a": 1}', '{"l": ["x"], "a": 1}'),
        ('{"l": ["p", "x", "q", "y"], "a": 1}', '{"l": ["x", "y"], "a": 1}'),
        ('{"l": ["p", "q", "x"], "a": 1}', '{"l": ["x"], "a": 1}'),
        ('{"l": ["q", ], "a": 1}', '{"a": 1}'),
        ('{"a": 1, "l": [\n"p",\n"q" // mine\n]}', '{"a": 1}'),
        ('{"l": "p", "a": 1}', '{"l": "p", "a": 1}'),
    ],
)
def test_a_list_that_a_person_has_changed_loses_what_was_put_there_and_no_more(changed: str, left: str) -> None:
    assert Jsonc().take(changed, LISTED, '{"a": 1}') == left


@pytest.mark.parametrize(("before", "after"), JSONC.values(), ids=JSONC)
def test_json_keeps_what_a_person_wrote(before: str, after: str) -> None:
    assert Jsonc().put(before, PUT) == after
    assert Jsonc().put(after, PUT) == after
    assert plain(after).items() >= PUT.items()


BROKEN = {
    '{\n  "a": 1\n  "b": 2\n}': "line 3: here a comma or a } is missing",
    '{\n  "a": \n}': "line 3: here a value is missing or broken",
    '{\n  "a" 1}': 'line 2: after "a" a : is missing',
    "{\n  a: 1\n}": "line 2: here a name in quotes or a } is missing",
    '{"a": 1': "line 1: here a comma or a } is missing",
    '{"a": 01}': "line 1: here a value is missing or broken",
    '{"a": "b\n"}': "line 1: here a value is missing or broken",
    "{}\n{}": "line 2: there is something behind the last }",
    "[]": "line 1: settings begin with {",
    "{\n/* never ends\n}": "line 2: this comment has no end",
    '{"a":' + "[" * 500: "line 1: this is nested too deeply",
}


@pytest.mark.parametrize(("text", "told"), BROKEN.items())
def test_broken_json_is_told_by_its_line_and_not_written_into(text: str, told: str) -> None:
    for act in (lambda: Jsonc().read(text), lambda: Jsonc().put(text, PUT), lambda: Jsonc().take(text, PUT, "")):
        with pytest.raises(Unreadable) as refused:
            act()
        assert str(refused.value) == told


def test_what_was_put_into_json_is_taken_out_of_what_has_changed_since() -> None:
    former = '{\n  "http.proxy": "http://corp:3128", // work\n  "a": 1\n}\n'
    changed = Jsonc().put(former, PUT).replace('"a": 1', '"a": 2,\n  "b": 3')
    assert Jsonc().take(changed, PUT, former) == former.replace('"a": 1', '"a": 2,\n  "b": 3')
    person = changed.replace(PROXY, "http://elsewhere:1")
    assert plain(Jsonc().take(person, PUT, former)) == {"http.proxy": "http://elsewhere:1", "a": 2, "b": 3}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('{"http.proxy": "P", "a": 1}', '{"a": 1}'),
        ('{"a": 1, "http.proxy": "P"}', '{"a": 1}'),
        ('{\n  "a": 1, // one\n  "http.proxy": "P"\n}', '{\n  "a": 1 // one\n}'),
        ('{"http.proxy": "P"}', "{}"),
        ('{\n  "http.proxy": "P", // mine\n  "a": 1\n}', '{\n   // mine\n  "a": 1\n}'),
    ],
)
def test_a_member_goes_with_its_comma_wherever_a_person_has_moved_it(text: str, left: str) -> None:
    assert re.sub(r"\s+", " ", Jsonc().take(text, {"http.proxy": "P"}, "")) == re.sub(r"\s+", " ", left)


def plain(text: str) -> dict[str, Any]:
    """Read by another reader: comments and trailing commas are cut out, the rest is JSON."""
    pieces = re.compile(r'("(?:[^"\\]|\\.)*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
    bare = pieces.sub(lambda match: match[1] or " ", text)
    trailing = re.compile(r'("(?:[^"\\]|\\.)*")|,(\s*[}\]])', re.DOTALL)
    loaded = json.loads(trailing.sub(lambda match: match[1] or match[2], bare) or "{}")
    assert isinstance(loaded, dict)
    return loaded


SPACE = st.sampled_from(["", " ", "\n", "\r\n", "\n\t", " // a, b: {\n", "/* } */", "\n\n  "])
KEYS = st.sampled_from(["a", "http.proxy", "http.systemCertificates", "ü", 'q"', "[go]", "//"])
SCALARS = st.sampled_from(["1", "-2.5e3", "true", "null", '"x"', '"//"', '"\\u00e9\\""', PROXY.join('""')])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.builds(
        lambda items, gap, last: f"[{gap}{f',{gap}'.join(items)}{',' if last and items else ''}{gap}]",
        st.lists(inner, max_size=3),
        SPACE,
        st.booleans(),
    ),
    max_leaves=4,
)


@st.composite
def documents(draw: st.DrawFn) -> str:
    keys = draw(st.lists(KEYS, max_size=5))
    members = [(key, draw(SCALARS if key in PUT else VALUES)) for key in keys]
    gaps = [draw(SPACE) for _ in range(4)]
    written = [f"{json.dumps(key)}{gaps[0]}:{gaps[1]}{value}" for key, value in members]
    comma = "," if members and draw(st.booleans()) else ""
    return f"{draw(SPACE)}{{{gaps[2]}{f'{gaps[3]},{gaps[2]}'.join(written)}{comma}{gaps[3]}}}{draw(SPACE)}"


@given(documents())
def test_any_json_reads_the_same_afterwards_but_for_what_was_put_and_again_after_taking(text: str) -> None:
    after = Jsonc().put(text, PUT)
    assert plain(after) == plain(text) | PUT
    assert Jsonc().put(after, PUT) == after
    assert plain(Jsonc().take(after, PUT, text)) == plain(text)
    comments = re.compile(r"// a, b: \{|/\* \} \*/")
    assert comments.findall(after) == comments.findall(text)


# -- lines

CODEX = {"HTTPS_PROXY": PROXY, "SSL_CERT_FILE": "/home/me/with space/ca.pem"}
WRITTEN = "HTTPS_PROXY=http://127.0.0.1:8080\nSSL_CERT_FILE='/home/me/with space/ca.pem'\n"

DOTENV = {
    "nothing": ("", WRITTEN),
    "no line end": ("A=1", "A=1\n" + WRITTEN),
    "values that are there": (
        "# mine\nexport HTTPS_PROXY = \"http://corp:3128\"\nB='x' # why\n",
        "# mine\nexport HTTPS_PROXY=http://127.0.0.1:8080\nB='x' # why\nSSL_CERT_FILE='/home/me/with space/ca.pem'\n",
    ),
    "Windows": ("A=1\r\n", "A=1\r\n" + WRITTEN.replace("\n", "\r\n")),
    "twice": (
        "HTTPS_PROXY=a\nHTTPS_PROXY=b\n",
        "HTTPS_PROXY=http://127.0.0.1:8080\n" * 2 + WRITTEN.splitlines()[1] + "\n",
    ),
}


@pytest.mark.parametrize(("before", "after"), DOTENV.values(), ids=DOTENV)
def test_variables_go_into_an_env_file_and_back(before: str, after: str) -> None:
    form = Dotenv()
    assert form.put(before, CODEX) == after
    assert form.put(after, CODEX) == after
    assert form.read(after).items() >= CODEX.items()
    changed = after + "NEW=1\n"
    expected = before if not before or before.endswith("\n") else before + "\n"
    if before != DOTENV["twice"][0]:  # of which only the value that counted comes back
        assert form.take(changed, CODEX, before) == expected + "NEW=1\n"


@pytest.mark.parametrize("value", ["it's", 'C:\\Users\\me\\"x"', "$HOME/'x'", "a b", "ü", "#x", "'"])
def test_awkward_paths_are_read_as_they_were_written(value: str) -> None:
    for form in (
        Dotenv(),
        *(Block(name, "shell") for name in ("sh", "fish", "powershell", "environment.d", "lua", "vim")),
    ):
        assert form.read(form.put("", {"HTTPS_CERT": value})) == {"HTTPS_CERT": value}, form


BLOCK = Block("sh", "shell")


def test_a_block_goes_to_the_end_is_renewed_in_its_place_and_leaves_without_a_trace() -> None:
    before = "alias ll='ls -l'\n"
    with_block = BLOCK.put(before, {"HTTPS_PROXY": PROXY})
    assert with_block.startswith(before + "# >>> seatpool shell >>>\n")
    more = with_block + "# mine\n"
    renewed = BLOCK.put(more, {"HTTPS_PROXY": "http://127.0.0.1:9"})
    assert renewed == more.replace(PROXY, "http://127.0.0.1:9")
    assert BLOCK.take(renewed, {}, "") == before + "# mine\n"
    other = Block("sh", "opencode")
    assert other.take(other.put(more, {"A": "1"}), {}, "") == more


@pytest.mark.parametrize("text", ["{0}\nexport A=1\n", "{0}\nexport A=1\n{0}\n{1}\n"])
def test_a_block_that_has_lost_its_end_is_not_guessed_at(text: str) -> None:
    broken = "# mine\n" + text.format("# >>> seatpool shell >>>", "# <<< seatpool shell <<<")
    with pytest.raises(Unreadable, match=r"^line 2: this block of seatpool's has lost its last line"):
        BLOCK.put(broken, {})


BY_HAND = {
    Block("sh", "shell"): "export HTTPS_PROXY=http://a:1 NODE_EXTRA_CA_CERTS='/x y' # mine\n  export B=\"$HOME\"\n",
    Block("fish", "shell"): "set -gx HTTPS_PROXY http://a:1\nset -x -g NODE_EXTRA_CA_CERTS '/x y'\n",
    Block("powershell", "shell"): "$Env:HTTPS_PROXY=\"http://a:1\"\n$env:NODE_EXTRA_CA_CERTS = '/x y';\n",
    Block("environment.d", "shell"): 'HTTPS_PROXY=http://a:1\nNODE_EXTRA_CA_CERTS="/x y"\n',
    Block("lua", "neovim"): "vim.env.HTTPS_PROXY = 'http://a:1'\n  vim.env.NODE_EXTRA_CA_CERTS = \"/x y\"\n",
    Block("vim", "neovim"): "let $HTTPS_PROXY = 'http://a:1'\nlet $NODE_EXTRA_CA_CERTS='/x y'\n",
}


@pytest.mark.parametrize(("form", "text"), BY_HAND.items(), ids=lambda x: getattr(x, "dialect", ""))
def test_what_a_person_has_set_by_hand_counts(form: AnyForm, text: str) -> None:
    assert form.read(text).items() >= {"HTTPS_PROXY": "http://a:1", "NODE_EXTRA_CA_CERTS": "/x y"}.items()


# -- JetBrains

IDE: dict[str, Value] = {"USE_HTTP_PROXY": "true", "PROXY_HOST": "127.0.0.1"}
NEW = '    <option name="USE_HTTP_PROXY" value="true" />\n    <option name="PROXY_HOST" value="127.0.0.1" />\n'
OWN = f'  <component name="HttpConfigurable">\n{NEW}  </component>\n'

OTHER = '  <component name="Other">\n    <option name="PROXY_HOST" value="x" />\n  </component>\n'
BEGUN = '<application>\n  <!-- mine -->\n  <component name="HttpConfigurable">\n'
ENDED = "  </component>\n</application>\n"

XML = {
    "nothing": ("", f"<application>\n{OWN}</application>\n"),
    "another component": (f"<application>\n{OTHER}</application>", f"<application>\n{OTHER}{OWN}</application>"),
    "an empty root": ("<application />\n", f"<application>\n{OWN}</application>\n"),
    "an empty component": (
        '<application>\n  <component name="HttpConfigurable" />\n</application>\n',
        f"<application>\n{OWN}</application>\n",
    ),
    "values that are there": (
        f"{BEGUN}    <option value='a&gt;b>' name=\"PROXY_HOST\"/>\n{ENDED}",
        f'{BEGUN}    <option value="127.0.0.1" name="PROXY_HOST"/>\n{NEW.splitlines()[0]}\n{ENDED}',
    ),
}


@pytest.mark.parametrize(("before", "after"), XML.values(), ids=XML)
def test_options_go_into_an_ides_component(before: str, after: str) -> None:
    form = Options("HttpConfigurable")
    assert form.put(before, IDE) == after
    assert form.put(after, IDE) == after
    assert form.put(before.replace("\n", "\r\n"), IDE) == after.replace("\n", "\r\n" if "\n" in before else "\n")
    assert form.read(form.take(after, IDE, before)) == form.read(before)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("<application>\n<component>\n</application>", "line 3: mismatched tag"),
        ("<application>\n", "line 2: no element found"),
        ("<project/>", "line 1: settings begin with <application>"),
        ("{}", "line 1: not well-formed (invalid token)"),
    ],
)
def test_broken_xml_is_told_by_its_line(text: str, told: str) -> None:
    with pytest.raises(Unreadable) as refused:
        Options("HttpConfigurable").put(text, IDE)
    assert str(refused.value) == told


# -- bytes


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_byte_order_mark_stays(mark: bytes) -> None:
    content = decode(mark + b"{}")
    assert content.encode(Jsonc().put(content.text, {"a": "ü"})) == mark + '{\n    "a": "ü"\n}'.encode()


def test_what_windows_powershell_wrote_is_read_and_written_in_its_way() -> None:
    raw = b"\xff\xfe" + "# mine\r\n".encode("utf-16-le")
    content = decode(raw)
    after = content.encode(Block("powershell", "shell").put(content.text, {"HTTPS_PROXY": PROXY}))
    assert after.startswith(raw)
    assert "\r\n$env:HTTPS_PROXY = 'http://127.0.0.1:8080'\r\n" in after[2:].decode("utf-16-le")


def test_what_is_no_text_is_refused_by_its_line() -> None:
    with pytest.raises(Unreadable, match=r"^line 2: this is no text in UTF-8$"):
        decode(b"a\n\xff\xffb")
