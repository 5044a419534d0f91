"""Values in, harmless values out: what is not known to be harmless is replaced.

What stays: the names of things where they are made of a protocol's words; the values of members that say a kind, a
state, a model or a count; and the structure. What goes is replaced by `redacted-N-HASH`: N is the length, rounded up
to a power of two, and HASH tells equal ones from others. It is keyed, and who threw the key away cannot try guesses.
Short pieces of text have no hash: a long answer comes in thousands of them, and how often each comes tells much.
"""

import base64
import binascii
import json
import math
import re
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any
from urllib.parse import parse_qsl, unquote

from seatpool.providers.recording.words import PREFIXES, TOOLS, WORDS, names

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
VALUES = names("RS256 ES256 HS256 PS256 EdDSA")
MODELS = frozenset({"model", "models", "model_slug", "slug", "engine", "family", "resolved_model", "model_version"})
COUNTING = names(
    """
    tokens count counts index number percent minutes seconds ms status size total limit remaining entitlement
    temperature penalty max min top length version multiplier aiu cost weight retries n width height in units
    rem ent ov at used budget ratio duration attempts after requests tps credits p exp iat nbf created batch
    choice
    """
)
"""Last words of the names of members that count, measure or date something."""
BIGGEST = 10**7
MOST_NANO = 10**12
"""Of what is counted in billionths."""
MOMENTS = ((10**9, 5 * 10**9), (10**12, 5 * 10**12))
"""Seconds and milliseconds since the epoch, of this century's first half."""
CLAIMS = frozenset({"exp", "iat", "nbf"})
PHRASES = names(
    """
    accept accept-encoding accept-language cache-control connection content-encoding content-type editor-version
    editor-plugin-version copilot-language-server-version mcp-method mcp-protocol-version openai-beta
    openai-intent openai-version openai-processing-ms copilot-integration-id originator pragma sec-fetch-dest
    sec-fetch-mode sec-fetch-site sec-fetch-user sec-websocket-extensions sec-websocket-version server te
    trailer transfer-encoding upgrade user-agent vary version via x-codex-active-limit x-codex-beta-features
    x-codex-credits-unlimited x-codex-credits-has-credits x-codex-plan-type x-codex-rate-limit-reached-type
    x-codex-routing-hint x-github-api-version x-initiator x-interaction-type x-openai-subagent
    x-openai-memgen-request x-openai-fedramp x-should-retry x-stainless-lang x-stainless-package-version
    x-vscode-user-agent-library-version x-ratelimit-exceeded x-content-type-options x-frame-options
    strict-transport-security cf-cache-status cf-mitigated access-control-expose-headers expect keep-alive
    openai-model x-model x-copilot-client-exp-assignment-kind x-codex-lite x-codex-promo-campaign-kind
    anthropic-version anthropic-beta x-copilot-subscription-kind copilot-vision-request x-github-media-type
    x-reasoning-included x-models-kind x-quota-kind x-responsesapi-include-timing-metrics
    """
)
"""Headers whose values are made of words and versions; each part that is not is replaced."""
NUMBERS = re.compile(
    r"retry-after|content-length|age|x-codex-(?:[a-z0-9-]+-)?(?:used-percent|window-minutes|reset-after-seconds|reset-at"
    r"|limit-percent)|x-ratelimit-(?:limit|remaining|reset|used|user-retry-after)|openai-processing-ms"
    r"|x-envoy-upstream-service-time|x-stainless-(?:retry-count|timeout)"
)
QUOTAS = re.compile(r"x-(?:quota-snapshot|usage-ratelimit)-[a-z_]+")
"""Headers that are forms (copilot.md 5.3)."""
DATES = frozenset({"date", "expires", "last-modified", "retry-after", "x-ratelimit-reset"})

_PARTS = re.compile(r"[A-Za-z]+|\d+|[^A-Za-z\d]")
_HUMPS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_NAME = re.compile(r"[$_]{0,2}[A-Za-z][A-Za-z0-9_.:/-]{0,79}")
_KEY = re.compile(r"[$_]{0,2}[A-Za-z][A-Za-z0-9_.:-]{0,79}")
_DATED = re.compile(r"20\d{6}|20\d\d")
_VERSION = re.compile(r"(?<![\w.:+-])v?\d{1,4}(?:\.\d{1,4}){0,2}(?![\w.:+]|-\d)")
_ISO = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?")
_HTTP_DATE = re.compile(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT")
_NUMBER = re.compile(r"-?\d{1,13}(?:\.\d{1,6})?")
_JWT = re.compile(r"([A-Za-z0-9_-]{8,})\.([A-Za-z0-9_-]{8,})\.([A-Za-z0-9_-]*)")
_SCHEME = re.compile(r"(Bearer|Basic|token|GitHub-Bearer) (.*)", re.IGNORECASE | re.DOTALL)
_FIELDS = re.compile(r"tid=.*;.*")
_PREFIX = re.compile(r"(github_pat|ws_call|[a-z]+)([_-])([^\s]+)")
_MODEL_PART = re.compile(r"(?:v|o|k|m|r)?\d{1,2}(?:\.\d{1,2})?[a-z]?|20\d{6}|[a-z]{1,2}\d?")
_OF_DAY = re.compile(r"-20\d\d-?[01]\d-?[0-3]\d$")
_CHUNK = re.compile(r"\S+")
_ID_WORDS = frozenset({"id", "key", "token", "session", "secret", "state", "hash", "nonce", "user", "email", "ip"})
_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]+")
_LABELS = frozenset(
    {"com", "ghe", "githubusercontent", "api", "proxy", "business", "githubcopilot", "chatgpt", "copilot"}
)


class Redactor:
    """Of one recording."""

    def __init__(self, key: bytes) -> None:
        """`key`: 16 to 64 random bytes."""
        self._key = key

    # -- placeholders

    def mark(self, text: str, *, hashed: bool = True) -> str:
        """The placeholder of a text; an empty one stays."""
        if not text:
            return ""
        size = 1 << (len(text) - 1).bit_length()
        if not hashed:
            return f"redacted-{size}"
        told = blake2b(text.encode("utf-8", "backslashreplace"), key=self._key, digest_size=6).hexdigest()
        return f"redacted-{size}-{told}"

    # -- JSON

    def document(self, value: Any) -> Any:
        """A parsed JSON document."""
        return self._value("", value, 0)

    def _value(self, name: str, value: Any, depth: int) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self.text(name, value, depth)
        if isinstance(value, (int, float)):
            return _counted(name, value)
        if depth > DEEPEST:
            return self.mark("too deep")
        if isinstance(value, Mapping):
            return {self.key(key): self._value(key, each, depth + 1) for key, each in value.items()}
        return [self._value(name, each, depth + 1) for each in value]

    def key(self, name: str) -> str:
        """A member's name: as it is where it consists of words, else what is not one of them is replaced."""
        return self._named(name) if _KEY.fullmatch(name) else self.mark(name)

    def text(self, name: str, value: str, depth: int = 0) -> str:
        """A text that is the value of a member."""
        if not value:
            return value
        if name in MODELS:
            return self.model(value)
        if name in ENUMS or name.endswith("_plan_type"):
            if value in VALUES:
                return value
            return self._named(value) if _NAME.fullmatch(value) else self.mark(value)
        if name == "name" and value in TOOLS:
            return value
        if _counts(name) and ((_NUMBER.fullmatch(value) and _small(float(value))) or _ISO.fullmatch(value)):
            return value
        return self.secret(name, value, depth)

    def secret(self, name: str, value: str, depth: int = 0) -> str:
        """Anything else: what it is built of may be told."""
        if jwt := _JWT.fullmatch(value):
            return self._jwt(jwt)
        if value[0] in "{[" and depth < DEEPEST and isinstance(inner := _parsed(value), (dict, list)):
            return json.dumps(self._value(name, inner, depth + 1), ensure_ascii=False, separators=(",", ":"))
        prefixed = _PREFIX.fullmatch(value)
        if prefixed and prefixed[1] in PREFIXES:
            return f"{prefixed[1]}{prefixed[2]}{self.mark(value)}"
        told = len(value) >= HASHED or not _words_of(name).isdisjoint(_ID_WORDS)
        return self.mark(value, hashed=told)

    def _jwt(self, found: re.Match[str]) -> str:
        """Header and claims as JSON, so that whoever reads a recording sees what it holds."""
        parts = [_parsed(_unbased(part)) for part in found.groups()[:2]]
        if not all(isinstance(part, dict) for part in parts):
            return self.mark(found[0])
        shown = [json.dumps(self._claims(part), ensure_ascii=False, separators=(",", ":")) for part in parts]
        return f"jwt:{shown[0]}.{shown[1]}.{self.mark(found[3])}"

    def _claims(self, claims: Mapping[str, Any]) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for name, value in claims.items():
            if name.startswith("https://api.openai.com/") and self.key(tail := name[23:]) == tail:
                kept[name] = self._value(tail, value, 1)
            else:
                kept[self.key(name)] = self._value(name, value, 1)
        return kept

    # -- names

    def _named(self, name: str) -> str:
        """A name whose parts are words, versions and signs between them."""
        shown, known, before = [], False, ""
        for part in _PARTS.findall(name):
            if part.isalpha():
                for word in _HUMPS.findall(part) or [part]:
                    fine = word.lower() in WORDS
                    known = known or fine
                    shown.append(word if fine else self.mark(word))
            elif part.isdigit():
                fine = known and (len(part) <= 2 or (_DATED.fullmatch(part) is not None)) and not before.isdigit()
                shown.append(part if fine else self.mark(part))
            else:
                shown.append(part)
                continue
            before = part
        return "".join(shown) if known else self.mark(name)

    def model(self, value: str) -> str:
        """A model's name: words and versions."""
        if not re.fullmatch(r"[A-Za-z0-9._:/-]{1,80}", value):
            return self.mark(value)
        parts = re.split(r"([-_:/])", _OF_DAY.sub("", value))
        words = [part for part in parts[::2] if part]
        if not words or not any(word.lower().strip("0123456789.") in WORDS for word in words[:1]):
            if re.fullmatch(r"o\d(?:-mini|-pro)?|gpt-x", value):
                return value
            return self.mark(value)
        fine = [w.lower() in WORDS or _MODEL_PART.fullmatch(w) for w in words]
        numbers = sum(1 for word in words if word.lower() not in WORDS)
        return value if all(fine) and numbers <= 3 else self.mark(value)

    def phrase(self, value: str) -> str:
        """What a program says of itself: `name/1.2.3 (words; words)`. Every part that is not known is replaced."""
        return _CHUNK.sub(lambda found: self._said(found[0]), value)

    def _said(self, chunk: str) -> str:
        bare = chunk.strip("(),;\"'")
        if "@" in bare or "://" in bare or "\\" in bare or bare.count("/") > 1 or (bare[:1] in "/~" and bare != "/"):
            return self.mark(chunk) if bare else chunk
        versions = {found.start(): found.end() for found in re.finditer(_VERSION_SAID, chunk)}
        shown, at = [], 0
        while at < len(chunk):
            if at in versions:
                shown.append(chunk[at : versions[at]])
                at = versions[at]
                continue
            found = re.compile(r"[A-Za-z0-9]+").match(chunk, at)
            if found is None:
                shown.append(chunk[at] if chunk[at] in "/;,()=._-*+\"'" else "?")
                at += 1
                continue
            shown.append(self._word(found[0]))
            at = found.end()
        return "".join(shown)

    def _word(self, word: str) -> str:
        if word in ("x86", "x64", "arm64", "aarch64", "i686", "utf8", "h2", "q", "64") or re.fullmatch(r"v\d", word):
            return word
        humps = _HUMPS.findall(word)
        return word if "".join(humps) == word and all(hump.lower() in WORDS for hump in humps) else self.mark(word)

    # -- heads

    def path(self, path: str) -> str:
        """Of a request, without its query."""
        return "/".join(self._segment(unquote(each)) for each in path.split("/"))

    def _segment(self, segment: str) -> str:
        if not segment:
            return segment
        if re.fullmatch(r"v\d{1,2}", segment):
            return segment
        model = self.model(segment)
        if model == segment:
            return segment
        return self._named(segment) if _KEY.fullmatch(segment) else self.mark(segment)

    def query(self, query: str) -> list[tuple[str, str]]:
        """Names and values."""
        return self.form(query)

    def form(self, body: str) -> list[tuple[str, str]]:
        """Of a form's fields."""
        return [(self.key(name), self._field(name, value)) for name, value in parse_qsl(body, keep_blank_values=True)]

    def _field(self, name: str, value: str) -> str:
        if name == "client_version" and _VERSION.fullmatch(value):
            return value
        return self.text(name, value)

    def host(self, host: str) -> str:
        """A host's name; of a company's own the part that is its."""
        if not _HOST.fullmatch(host):
            return self.mark(host)
        name, colon, port = host.lower().partition(":")
        shown = ".".join(self._label(label) for label in name.split("."))
        return shown + colon + (port if port == "443" else self.mark(port))

    def _label(self, label: str) -> str:
        parts = label.split("-")
        fine = all(part in WORDS or part in _LABELS for part in parts)
        return label if fine and label else self.mark(label)

    def headers(self, fields: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Names and values, in their order."""
        return [
            (self.key(name) if not name.startswith(":") else name, self.header(name.lower(), value))
            for name, value in fields
        ]

    def header(self, name: str, value: str) -> str:
        """The value of a header, by its name in lower case."""
        if not value:
            return value
        if name == "host" or name == ":authority":
            return self.host(value)
        if name == "content-type":
            return self.phrase(value.partition(";")[0])
        if name in DATES and (_HTTP_DATE.fullmatch(value) or _ISO.fullmatch(value)):
            return value
        if NUMBERS.fullmatch(name) and _NUMBER.fullmatch(value) and _small(float(value)):
            return value
        if QUOTAS.fullmatch(name) and "=" in value:
            return "&".join(f"{field}={told}" for field, told in self._quota(value))
        if name == "x-codex-routing-hint":
            return ";".join(self._hint(part) for part in value.split(";"))
        if name in PHRASES:
            return self.phrase(value)
        if name in ("cookie", "set-cookie"):
            return "; ".join(self._cookie(part) for part in value.split(";"))
        scheme = _SCHEME.fullmatch(value)
        if scheme is not None:
            return f"{scheme[1]} {self._credential(scheme[2])}"
        return self._credential(value)

    def _quota(self, value: str) -> list[tuple[str, str]]:
        told = []
        for field, each in parse_qsl(value, keep_blank_values=True):
            plain = (
                each in ("true", "false") or (_NUMBER.fullmatch(each) and _small(float(each))) or _ISO.fullmatch(each)
            )
            told.append((self.key(field), each if plain else self.mark(each)))
        return told

    def _hint(self, part: str) -> str:
        name, sign, value = part.partition("=")
        told = self.model(value) if name.strip() == "model" else self._named(value) if value else ""
        return f"{self.key(name.strip())}{sign}{told}"

    def _cookie(self, part: str) -> str:
        name, sign, value = part.strip().partition("=")
        return f"{self._named(name) if _KEY.fullmatch(name) else self.mark(name)}{sign}{self.mark(value)}"

    def _credential(self, value: str) -> str:
        if _FIELDS.fullmatch(value):
            return ";".join(self._member(part) for part in value.split(";"))
        told = self.secret("", value)
        return told if not told.startswith("redacted-") else self.mark(value)

    def _member(self, part: str) -> str:
        name, sign, value = part.partition("=")
        plain = re.fullmatch(r"[01]", value) or (name == "exp" and value.isdigit() and _small(float(value)))
        return f"{self.key(name)}{sign}{value if plain else self.mark(value)}"


_VERSION_SAID = re.compile(
    r"(?<![\w.:+])(?<![\d]-)(?:v?\d{1,3}(?:\.\d{1,4}){0,2}|20\d\d-[01]\d-[0-3]\d)(?![\w.:+]|-\d)"
)


def _words_of(name: str) -> frozenset[str]:
    return frozenset(word.lower() for word in _HUMPS.findall(name))


def _counts(name: str) -> bool:
    words = [word.lower() for word in _HUMPS.findall(name)]
    return bool(words) and words[-1] in COUNTING and all(word in WORDS or word in COUNTING for word in words)


def _small(value: float) -> bool:
    return abs(value) < BIGGEST or any(first <= value < last for first, last in MOMENTS)


def _counted(name: str, value: float) -> float:
    """A number as it is where it counts something, else one of as many digits."""
    if isinstance(value, float) and not math.isfinite(value):
        return 0.5
    if _counts(name) and (_small(value) or ("nano" in _words_of(name) and abs(value) < MOST_NANO)):
        return value
    if isinstance(value, float):
        return 0.5
    return int(10 ** (min(len(str(abs(value))), 15) - 1)) if value else 0


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
