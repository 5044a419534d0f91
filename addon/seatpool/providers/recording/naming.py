"""Names, and what is put together from names: each part that is not a word of a protocol is replaced."""

import re
from hashlib import blake2b

from seatpool.providers.recording.words import WORDS

_PARTS = re.compile(r"[A-Za-z]+|\d+|[^A-Za-z\d]")
_HUMPS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_KEY = re.compile(r"[$_]{0,2}[A-Za-z][A-Za-z0-9_.:-]{0,79}")
_TERM = re.compile(r"[$_]{0,2}[A-Za-z][A-Za-z0-9_.:/-]{0,79}")
_YEAR_OR_DAY = re.compile(r"20\d{6}|20\d\d")
_MODEL = re.compile(r"[A-Za-z0-9._:/-]{1,80}")
_MODEL_PART = re.compile(r"(?:v|o|k|m|r)?\d{1,2}(?:\.\d{1,2})?[a-z]?|20\d{6}|[a-z]{1,2}\d?")
_MODEL_WITHOUT_WORDS = re.compile(r"o\d(?:-mini|-pro)?|gpt-x")
_BETWEEN = re.compile(r"([-_:/])")
_OF_DAY = re.compile(r"-20\d\d-?[01]\d-?[0-3]\d$")
_MOST_NUMBERS = 3
"""Of a model's name."""
_CHUNK = re.compile(r"\S+")
_VERSION = re.compile(r"(?<![\w.:+])(?<![\d]-)(?:v?\d{1,3}(?:\.\d{1,4}){0,2}|20\d\d-[01]\d-[0-3]\d)(?![\w.:+]|-\d)")
_WORD = re.compile(r"[A-Za-z0-9]+")
_SIGNS = "/;,()=._-*+\"'"
_SAID = {"x86", "x64", "arm64", "aarch64", "i686", "utf8", "h2", "q", "64", *(f"v{digit}" for digit in range(10))}
"""Of what programs say of themselves and of where they run."""


def words_of(name: str) -> list[str]:
    """In lower case: those of `inputTokens` are `input` and `tokens`, as are those of `input_tokens`."""
    return [word.lower() for word in _HUMPS.findall(name)]


class Names:
    """Of one recording."""

    def __init__(self, key: bytes) -> None:
        """`key`: 16 to 64 random bytes."""
        self._key = key

    def mark(self, text: str, *, hashed: bool = True) -> str:
        """The placeholder of a text; an empty one stays."""
        if not text:
            return ""
        size = 1 << (len(text) - 1).bit_length()
        if not hashed:
            return f"redacted-{size}"
        told = blake2b(text.encode("utf-8", "backslashreplace"), key=self._key, digest_size=6).hexdigest()
        return f"redacted-{size}-{told}"

    def key(self, name: str) -> str:
        """What a member, a header or a part of a path is called."""
        return self._parts(name) if _KEY.fullmatch(name) else self.mark(name)

    def term(self, value: str) -> str:
        """A text that says what something is: the same, with slashes."""
        return self._parts(value) if _TERM.fullmatch(value) else self.mark(value)

    def _parts(self, name: str) -> str:
        """Of words, versions and signs between them; without any word that is known nothing of it stays."""
        shown, known, before = [], False, ""
        for part in _PARTS.findall(name):
            if part.isalpha():
                for word in _HUMPS.findall(part) or [part]:
                    fine = word.lower() in WORDS
                    known = known or fine
                    shown.append(word if fine else self.mark(word))
            elif part.isdigit():
                short = len(part) <= 2 or _YEAR_OR_DAY.fullmatch(part) is not None
                shown.append(part if known and short and not before.isdigit() else self.mark(part))
            else:
                shown.append(part)
                continue
            before = part
        return "".join(shown) if known else self.mark(name)

    def model(self, value: str) -> str:
        """A model's name: words and versions."""
        return value if _MODEL.fullmatch(value) and _is_model(value) else self.mark(value)

    def phrase(self, value: str) -> str:
        """What a program says of itself: `name/1.2.3 (words; words)`."""
        return _CHUNK.sub(lambda found: self._said(found[0]), value)

    def _said(self, chunk: str) -> str:
        bare = chunk.strip("(),;\"'")
        if "@" in bare or "://" in bare or "\\" in bare or bare.count("/") > 1 or (bare[:1] in "/~" and bare != "/"):
            return self.mark(chunk) if bare else chunk
        versions = {found.start(): found.end() for found in _VERSION.finditer(chunk)}
        shown, at = [], 0
        while at < len(chunk):
            if at in versions:
                shown.append(chunk[at : versions[at]])
                at = versions[at]
            elif found := _WORD.match(chunk, at):
                shown.append(self._word(found[0]))
                at = found.end()
            else:
                shown.append(chunk[at] if chunk[at] in _SIGNS else "?")
                at += 1
        return "".join(shown)

    def _word(self, word: str) -> str:
        if word in _SAID:
            return word
        humps = _HUMPS.findall(word)
        return word if "".join(humps) == word and all(hump.lower() in WORDS for hump in humps) else self.mark(word)


def _is_model(value: str) -> bool:
    words = [part for part in _BETWEEN.split(_OF_DAY.sub("", value))[::2] if part]
    if not words or words[0].lower().strip("0123456789.") not in WORDS:
        return _MODEL_WITHOUT_WORDS.fullmatch(value) is not None
    others = [word for word in words if word.lower() not in WORDS]
    return len(others) <= _MOST_NUMBERS and all(map(_MODEL_PART.fullmatch, others))
