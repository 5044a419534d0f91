"""How languages of start-up files set a variable, and how such a line is read back."""

import codecs
import re
import shlex
from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

from seatpool.setup.editors.forms.value import Value

LOCAL = ("localhost", "127.0.0.1", "::1")
"""What NO_PROXY is made to name besides what it names already: programs talk to themselves there."""

Name = Literal["sh", "fish", "powershell", "environment.d", "lua", "vim"]


class Dialect(msgspec.Struct, frozen=True):
    """One language."""

    comment: str
    line: Callable[[str, Value], str]
    read: Callable[[str], Iterator[tuple[str, Value]]]
    """What a line sets; nothing where it is another kind of line."""
    mark: bytes = b""
    """What a file begins with that is not all ASCII."""
    besides: tuple[str, ...] = ()
    """Lines that follow HTTPS_PROXY: the name in small letters, which some programs ask first, and NO_PROXY."""


def _quoted(value: Value, escape: Callable[[str], str], quote: str = "'") -> str:
    return f"{quote}{escape(str(value))}{quote}"


def _backslashed(special: str) -> Callable[[str], str]:
    return lambda text: re.sub(rf"[{re.escape(special)}]", r"\\\g<0>", text)


def _doubled(text: str) -> str:
    return text.replace("'", "''")


LONGEST = 20_000
"""Characters of a line that sets a variable; `shlex` takes a minute for a word of a million."""


def _assignments(line: str) -> Iterator[tuple[str, Value]]:
    """Of `export A=1 B=2`, too."""
    if len(line) > LONGEST:
        return
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return  # a string that goes on in the next line
    for word in words[1:] if words[:1] == ["export"] else words:
        name, equals, value = word.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_]\w*", name):
            return
        yield name, value


Unquote = Callable[[str], str]


def _reader(
    pattern: str, unescape: Unquote, name: Callable[[str], str] = str
) -> Callable[[str], Iterator[tuple[str, Value]]]:
    compiled = re.compile(pattern)

    def read(line: str) -> Iterator[tuple[str, Value]]:
        match = compiled.match(line)
        if match:
            yield name(match["key"]), _unquoted(match["value"], unescape)

    return read


def _unquoted(raw: str, unescape: Unquote) -> Value:
    if raw in ("true", "v:true", "false", "v:false"):
        return raw.endswith("true")
    quoted = len(raw) > 1 and raw[0] == raw[-1] and raw[0] in "'\""
    return unescape(raw[1:-1]) if quoted else raw


def _halved(text: str) -> str:
    return text.replace("''", "'")


def _without_backslashes(text: str) -> str:
    return re.sub(r"\\([\\'\"$`])", r"\1", text)


def _lua(key: str, value: Value) -> str:
    name = f"vim.g.{key[2:]}" if key.startswith("g:") else f"vim.env.{key}"
    shown = str(value).lower() if isinstance(value, bool) else _quoted(value, _backslashed('\\"'), '"')
    return f"{name} = {shown}"


def _vim(key: str, value: Value) -> str:
    name = key if key.startswith("g:") else f"${key}"
    return f"let {name} = {f'v:{value}'.lower() if isinstance(value, bool) else _quoted(value, _doubled)}"


def _without_dots(name: str) -> str:
    return name.replace("vim.g.", "g:").replace("vim.env.", "")


_VALUE = r"[ \t]*(?P<value>.*?)[ \t;]*$"
_NAME = r"(?P<key>[A-Za-z_]\w*)"
_HOSTS = " ".join(LOCAL)

DIALECTS: dict[Name, Dialect] = {
    "sh": Dialect(
        comment="#",
        line=lambda key, value: f"export {key}={_quoted(value, lambda text: text.replace("'", "'\\''"))}",
        read=_assignments,
        besides=(
            'export https_proxy="$HTTPS_PROXY"',
            'NO_PROXY="${NO_PROXY:-${no_proxy:-}}"',
            f"for seatpool_host in {_HOSTS}; do",
            '  case ",$NO_PROXY," in',
            '    *",$seatpool_host,"*) ;;',
            '    *) NO_PROXY="${NO_PROXY:+$NO_PROXY,}$seatpool_host" ;;',
            "  esac",
            "done",
            "unset seatpool_host",
            'export NO_PROXY no_proxy="$NO_PROXY"',
        ),
    ),
    "fish": Dialect(
        comment="#",
        line=lambda key, value: f"set -gx {key} {_quoted(value, _backslashed("\\'"))}",
        read=_reader(rf"^[ \t]*set(?:[ \t]+--?[a-zA-Z]+)+[ \t]+{_NAME}[ \t]{_VALUE}", _without_backslashes),
        besides=(
            "set -gx https_proxy $HTTPS_PROXY",
            "set -q NO_PROXY; or set -gx NO_PROXY $no_proxy",
            f"for seatpool_host in {_HOSTS}",
            '  contains -- $seatpool_host (string split , -- "$NO_PROXY")',
            '  or set -gx NO_PROXY (string join , -- (string split -n , -- "$NO_PROXY") $seatpool_host)',
            "end",
            "set -gx no_proxy $NO_PROXY",
        ),
    ),
    "powershell": Dialect(
        comment="#",
        line=lambda key, value: f"$env:{key} = {_quoted(value, _doubled)}",
        read=_reader(rf"^[ \t]*\$[eE]nv:{_NAME}[ \t]*={_VALUE}", _halved),
        mark=codecs.BOM_UTF8,  # without it Windows PowerShell takes the system's old code page
        besides=(
            f"$seatpool_hosts = @($env:NO_PROXY -split ',') + @({', '.join(f"'{host}'" for host in LOCAL)})",
            "$env:NO_PROXY = ($seatpool_hosts | Where-Object { $_ } | Select-Object -Unique) -join ','",
            "Remove-Variable seatpool_hosts",
        ),
    ),
    # It is read anew with what came of it before, so a list that is added to would grow.
    "environment.d": Dialect(
        comment="#",
        line=lambda key, value: f"{key}={_quoted(value, _backslashed('\\"$`'), '"')}",
        read=_reader(rf"^{_NAME}={_VALUE}", _without_backslashes),
        besides=("https_proxy=${HTTPS_PROXY}", f"NO_PROXY=${{NO_PROXY:-{','.join(LOCAL)}}}", "no_proxy=${NO_PROXY}"),
    ),
    "lua": Dialect(
        comment="--",
        line=_lua,
        read=_reader(rf"^[ \t]*(?P<key>vim\.(?:g|env)\.\w+)[ \t]*={_VALUE}", _without_backslashes, _without_dots),
    ),
    "vim": Dialect(
        comment='"',
        line=_vim,
        read=_reader(
            rf"^[ \t]*let[ \t]+(?P<key>g:\w+|\$\w+)[ \t]*={_VALUE}", _halved, lambda name: name.removeprefix("$")
        ),
    ),
}
