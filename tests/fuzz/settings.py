"""Settings files of editors: what is put into one stands in it, and is taken out again."""

from collections.abc import Callable, Mapping

from seatpool.setup.editors.content import Unreadable, decode
from seatpool.setup.editors.forms import AnyForm, Block, Dotenv, Jsonc, Options, Value
from seatpool.setup.editors.forms.dialects import DIALECTS

PUT: Mapping[str, Value] = {"http.proxy": "http://127.0.0.1:8080", "http.systemCertificates": True}
VARIABLES: Mapping[str, Value] = {"HTTPS_PROXY": "http://127.0.0.1:8080", "SSL_CERT_FILE": "/home/o'brien/ca.pem"}
FORMS: tuple[tuple[AnyForm, Mapping[str, Value]], ...] = (
    (Jsonc(), PUT),
    (Options("HttpConfigurable"), {"USE_HTTP_PROXY": True, "PROXY_HOST": "127.0.0.1"}),
    (Dotenv(), VARIABLES),
    *((Block(name, "codex"), VARIABLES) for name in DIALECTS),
)


def settings(data: bytes) -> None:
    """A file is of each form, or no file of that form; nothing but what is put changes what it says."""
    content = _unless_unreadable(decode, data)
    if content is None or "\r" in content.text.replace("\r\n", ""):
        return  # lines that end so are of systems which have none of these clients
    assert content.encode(content.text) == data
    for form, put in FORMS:
        before = _unless_unreadable(form.read, content.text)
        if before is not None:
            _put_and_taken(form, put, content.text, before)


def _unless_unreadable[T, R](read: Callable[[T], R], what: T) -> R | None:
    try:
        return read(what)
    except Unreadable:
        return None


def _put_and_taken(form: AnyForm, put: Mapping[str, Value], text: str, before: Mapping[str, Value | None]) -> None:
    if isinstance(form, Block):  # what stands in a block of ours goes with it, and what is behind it counts
        text, own = form.take(text, put, ""), {*put, "https_proxy", "NO_PROXY", "no_proxy"}
        before = form.read(text)
    else:
        own = {*put}
    changed = form.put(text, put)
    after = form.read(changed)
    assert _others(after, own) == _others(before, own)
    assert all(_same(after[key], value) for key, value in put.items())
    assert form.put(changed, put) == changed
    assert form.read(form.take(changed, put, text)) == before


def _others(values: Mapping[str, Value | None], own: set[str]) -> dict[str, Value | None]:
    return {key: value for key, value in values.items() if key not in own}


def _same(found: Value | None, put: Value) -> bool:
    """Files that have no other types have text for truth."""
    return str(found).lower() == str(put).lower()
