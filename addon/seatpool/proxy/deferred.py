"""What a person has said of our options before mitmproxy knew them: on its command line, and in its `config.yaml`.

mitmproxy keeps that until the options are added. What it cannot read of it then, it raises where nobody listens: the
proxy goes on without the addon. And a name that nobody ever adds it never mentions (mitmproxy/mitmproxy#8430). So both
are looked at here, before; and what is left when the proxy runs is an option that had that name in another version.
"""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

from mitmproxy import exceptions, optmanager
from mitmproxy.utils import typecheck

from seatpool.proxy.options import OPTIONS, Option, meant

PREFIX = "pool_"
_OURS: Mapping[str, Option] = MappingProxyType({option.name: option for option in OPTIONS})
_ALIKE = 0.85
"""From here on a name without our prefix is a slip of one of ours: `pol_on_failure`."""


_OF_OTHER_TOOLS = ("console_", "intercept", "view_", "web_")
"""What mitmproxy's console and mitmweb know beyond mitmdump, and `config.yaml` has for all of them."""


class _Misread(Exception):
    """The text is how it is meant."""


def settle(opts: optmanager.OptManager) -> Iterator[str]:
    """Leave what can be read, as it is to be set, and drop the rest; given is what is wrong with that, line by line.

    To be called once our options are added.
    """
    for name, value in list(opts.deferred.items()):
        try:
            if name in opts:
                opts.deferred[name] = _read(opts, name, value)
                continue
            problem = _no_such(name)
        except _Misread as misread:
            problem = str(misread)
        if problem is not None:
            del opts.deferred[name]
            yield problem


def unheard(opts: optmanager.OptManager) -> list[str]:
    """Names that nobody has added, once everybody could. Without values, which may be secrets."""
    return sorted(name for name in opts.deferred if not name.startswith(_OF_OTHER_TOOLS))


def _no_such(name: str) -> str | None:
    """None: it is no slip of ours, but perhaps an option of another script."""
    plain = name.lower().replace("-", "_")
    (near,) = get_close_matches(plain, tuple(_OURS), 1, cutoff=0)
    if plain.startswith(PREFIX) or get_close_matches(plain, [near], cutoff=_ALIKE):
        return f"{name}: there is no such option; the nearest is {near}"
    return None


def _read(opts: optmanager.OptManager, name: str, value: Any) -> Any:
    """As the option takes it. Raises `_Misread`."""
    option = opts._options[name]  # noqa: SLF001 # there is no public way to what an option takes
    try:
        value = _from_yaml(name, value)
        if isinstance(value, optmanager._UnconvertedStrings):  # noqa: SLF001 # so it keeps what came by `--set`
            value = opts._parse_setval(option, value.val)  # noqa: SLF001 # it reads `--set` with this
        typecheck.check_option_type(name, value, option.typespec)
    except (exceptions.OptionsError, TypeError) as error:
        raise _Misread(_said(_OURS[name], value) if name in _OURS else str(error)) from None
    return value


def _from_yaml(name: str, value: Any) -> Any:
    """A number is a text where we want one, and a text is what it would be in `--set`."""
    option = _OURS.get(name)
    if option is None:
        return value
    if option.typespec is int and isinstance(value, bool):
        raise TypeError  # to Python it is a number
    if option.typespec is str and isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return optmanager._UnconvertedStrings([value]) if isinstance(value, str) else value  # noqa: SLF001 # as above


def _said(option: Option, value: Any) -> str:
    """What is free text is not shown: an address may hold a secret."""
    words: Sequence[Any] = value.val if isinstance(value, optmanager._UnconvertedStrings) else [value]  # noqa: SLF001 # as above
    if len(words) > 1:
        return f"{option.name} is set {len(words)} times: say it once"
    shown = "".join(str(word).lower() if isinstance(word, bool) else str(word) for word in words if word is not None)
    free = option.choices is None and option.within is None and option.typespec is not bool
    return f"{option.name}{'' if free else f'={shown}'}: say {meant(option)}"
