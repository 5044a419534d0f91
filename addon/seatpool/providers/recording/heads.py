"""Heads of requests and answers: host, path and headers."""

import re
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import parse_qsl, unquote

from seatpool.providers.recording.counting import is_moment, is_number
from seatpool.providers.recording.naming import Names
from seatpool.providers.recording.values import Values
from seatpool.providers.recording.words import WORDS, names

PHRASES = names(
    """
    accept accept-encoding accept-language cache-control connection content-encoding editor-version
    editor-plugin-version copilot-language-server-version mcp-method mcp-protocol-version openai-beta
    openai-intent openai-version openai-processing-ms copilot-integration-id originator pragma sec-fetch-dest
    sec-fetch-mode sec-fetch-site sec-fetch-user sec-websocket-extensions sec-websocket-version server te
    trailer transfer-encoding upgrade user-agent vary version via x-codex-active-limit x-codex-beta-features
    x-codex-credits-unlimited x-codex-credits-has-credits x-codex-plan-type x-codex-rate-limit-reached-type
    x-github-api-version x-initiator x-interaction-type x-openai-subagent
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
DATES = names("date expires last-modified retry-after x-ratelimit-reset")
LABELS = names("com ghe githubusercontent api proxy business githubcopilot chatgpt copilot")
"""Of hosts' names, beside the words of protocols."""
PORT = "443"

_HTTP_DATE = re.compile(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT")
_SCHEME = re.compile(r"(Bearer|Basic|token|GitHub-Bearer) (.*)", re.IGNORECASE | re.DOTALL)
_FIELDS = re.compile(r"tid=.*;.*")
_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]+")
_VERSION = re.compile(r"v\d{1,2}")


class Heads:
    """Of one recording."""

    def __init__(self, naming: Names, values: Values) -> None:
        """Both: the recording's."""
        self._names = naming
        self._values = values
        self._readers: Mapping[str, Callable[[str], str]] = {
            **dict.fromkeys(PHRASES, naming.phrase),
            "host": self.host,
            ":authority": self.host,
            "content-type": lambda value: naming.phrase(value.partition(";")[0]),
            "x-codex-routing-hint": lambda value: ";".join(map(self._hint, value.split(";"))),
            "cookie": self._cookies,
            "set-cookie": self._cookies,
        }

    def host(self, host: str) -> str:
        """A host's name; of a company's own the part that is its."""
        if not _HOST.fullmatch(host):
            return self._names.mark(host)
        name, colon, port = host.lower().partition(":")
        shown = ".".join(map(self._label, name.split(".")))
        return shown + colon + (port if port == PORT else self._names.mark(port))

    def _label(self, label: str) -> str:
        known = label and all(part in WORDS or part in LABELS for part in label.split("-"))
        return label if known else self._names.mark(label)

    def path(self, path: str) -> str:
        """Of a request, without its query."""
        return "/".join(self._segment(unquote(each)) for each in path.split("/"))

    def _segment(self, segment: str) -> str:
        known = not segment or _VERSION.fullmatch(segment) or self._names.model(segment) == segment
        return segment if known else self._names.key(segment)

    def headers(self, fields: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Names and values, in their order."""
        return [
            (name if name.startswith(":") else self._names.key(name), self.header(name.lower(), value))
            for name, value in fields
        ]

    def header(self, name: str, value: str) -> str:
        """The value of a header, by its name in lower case."""
        if not value or _is_plain(name, value):
            return value
        if QUOTAS.fullmatch(name) and "=" in value:
            return "&".join(self._count(*field) for field in parse_qsl(value, keep_blank_values=True))
        return self._readers.get(name, self._credential)(value)

    def _count(self, name: str, value: str) -> str:
        plain = value in ("true", "false") or is_number(value) or is_moment(value)
        return f"{self._names.key(name)}={value if plain else self._names.mark(value)}"

    def _hint(self, part: str) -> str:
        name, sign, value = part.partition("=")
        told = self._names.model(value) if name.strip() == "model" else self._names.term(value) if value else ""
        return f"{self._names.key(name.strip())}{sign}{told}"

    def _cookies(self, value: str) -> str:
        return "; ".join(map(self._cookie, value.split(";")))

    def _cookie(self, part: str) -> str:
        name, sign, value = part.strip().partition("=")
        return f"{self._names.key(name)}{sign}{self._names.mark(value)}"

    def _credential(self, value: str) -> str:
        """With its scheme, and whatever else has no reader."""
        if scheme := _SCHEME.fullmatch(value):
            return f"{scheme[1]} {self._token(scheme[2])}"
        return self._token(value)

    def _token(self, value: str) -> str:
        if _FIELDS.fullmatch(value):
            return ";".join(map(self._member, value.split(";")))
        told = self._values.secret("", value)
        return told if not told.startswith("redacted-") else self._names.mark(value)

    def _member(self, part: str) -> str:
        name, sign, value = part.partition("=")
        plain = value in ("0", "1") or (name == "exp" and value.isdigit() and is_number(value))
        return f"{self._names.key(name)}{sign}{value if plain else self._names.mark(value)}"


def _is_plain(name: str, value: str) -> bool:
    """A date, or a number, of a header that has one."""
    if name in DATES and (_HTTP_DATE.fullmatch(value) is not None or is_moment(value)):
        return True
    return NUMBERS.fullmatch(name) is not None and is_number(value)
