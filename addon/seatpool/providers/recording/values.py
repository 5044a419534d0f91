"""Values of members: JSON documents, tokens, the fields of a form."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from seatpool.providers.recording.counting import counted, counts, is_moment, is_number
from seatpool.providers.recording.naming import Names, words_of
from seatpool.providers.recording.words import PREFIXES, TOOLS, names

HASHED = 16
"""Characters from which a text that is no id has a hash."""
DEEPEST = 60

ENUMS = names(
    """
    type object role status event code reason finish_reason stop_reason outcome kind effort verbosity summary
    mode service_tier tier phase plan_type plan sku format syntax detail truncation include tool_choice modality
    quota_id rate_limit_reached_type request_kind category encoding severity stop_sequence_type
    prompt_cache_retention error_code incomplete_details access_type_sku copilot_plan warmup transport intent
    strategy alg typ thread_source session_source subagent_kind sandbox sandbox_mode approval_policy
    """
)
"""Members whose text says what something is, where it is made of words that protocols use."""
ALGORITHMS = names("RS256 ES256 HS256 PS256 EdDSA")
MODELS = names("model models model_slug slug engine family resolved_model model_version")
IDS = names("id key token session secret state hash nonce user email ip")
"""Words of the names of members whose texts, short as they may be, have a hash."""
CLAIMS = "https://api.openai.com/"
"""Before the names of claims."""

_JWT = re.compile(r"([A-Za-z0-9_-]{8,})\.([A-Za-z0-9_-]{8,})\.([A-Za-z0-9_-]*)")
_PREFIXED = re.compile(r"(github_pat|ws_call|[a-z]+)([_-])([^\s]+)")
_CLIENT_VERSION = re.compile(r"(?<![\w.:+-])v?\d{1,4}(?:\.\d{1,4}){0,2}(?![\w.:+]|-\d)")


class Values:
    """Of one recording."""

    def __init__(self, naming: Names) -> None:
        """`naming`: the recording's."""
        self._names = naming

    def document(self, value: Any) -> Any:
        """A parsed JSON document."""
        return self._value("", value, 0)

    def _value(self, name: str, value: Any, depth: int) -> Any:
        match value:
            case None | bool():
                return value
            case str():
                return self.text(name, value, depth)
            case int() | float():
                return counted(name, value)
            case _ if depth > DEEPEST:
                return self._names.mark("too deep")
            case Mapping():
                return {self._names.key(key): self._value(key, each, depth + 1) for key, each in value.items()}
        return [self._value(name, each, depth + 1) for each in value]

    def text(self, name: str, value: str, depth: int = 0) -> str:
        """A text that is the value of a member."""
        if name in MODELS:
            return self._names.model(value)
        if name in ENUMS or name.endswith("_plan_type"):
            return value if value in ALGORITHMS else self._names.term(value)
        if (name == "name" and value in TOOLS) or (counts(name) and (is_number(value) or is_moment(value))):
            return value
        return self.secret(name, value, depth)

    def secret(self, name: str, value: str, depth: int = 0) -> str:
        """Anything else: what it is built of may be told."""
        if jwt := _JWT.fullmatch(value):
            return self._jwt(jwt)
        if value.startswith(("{", "[")) and depth < DEEPEST and isinstance(inner := _parsed(value), (dict, list)):
            return _compact(self._value(name, inner, depth + 1))
        prefixed = _PREFIXED.fullmatch(value)
        if prefixed and prefixed[1] in PREFIXES:
            return f"{prefixed[1]}{prefixed[2]}{self._names.mark(value)}"
        return self._names.mark(value, hashed=len(value) >= HASHED or not IDS.isdisjoint(words_of(name)))

    def _jwt(self, found: re.Match[str]) -> str:
        """Header and claims as JSON, so that whoever reads a recording sees what it holds."""
        parts = [_parsed(_unbased(part)) for part in found.groups()[:2]]
        if not all(isinstance(part, dict) for part in parts):
            return self._names.mark(found[0])
        shown = [_compact(dict(self._claim(*claim) for claim in part.items())) for part in parts]
        return f"jwt:{shown[0]}.{shown[1]}.{self._names.mark(found[3])}"

    def _claim(self, name: str, value: Any) -> tuple[str, Any]:
        tail = name.removeprefix(CLAIMS)
        if tail != name and self._names.key(tail) == tail:
            return name, self._value(tail, value, 1)
        return self._names.key(name), self._value(name, value, 1)

    def form(self, fields: str) -> list[tuple[str, str]]:
        """Names and values of a form, or of a query."""
        return [
            (self._names.key(name), self._field(name, value))
            for name, value in parse_qsl(fields, keep_blank_values=True)
        ]

    def _field(self, name: str, value: str) -> str:
        known = name == "client_version" and _CLIENT_VERSION.fullmatch(value)
        return value if known else self.text(name, value)


def _compact(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _parsed(text: str | None) -> Any:
    try:
        return json.loads(text) if text is not None else None
    except (ValueError, RecursionError):
        return None


def _unbased(part: str) -> str | None:
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode()
    except (ValueError, binascii.Error):
        return None
