"""Metrics as Prometheus reads them: the text format 0.0.4.

Written here, since that is a few lines: the usual library keeps every metric in objects of its own with a lock each,
which a pool in one event loop has no use for, and costs some megabytes.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

import msgspec

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPED = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_ESCAPED_HELP = str.maketrans({"\\": r"\\", "\n": r"\n"})


class Histogram(msgspec.Struct, gc=False):
    """How often what took how long. Its size does not change with what is observed."""

    bounds: Sequence[float]
    """The upper ends of its buckets, rising, in seconds."""
    counts: tuple[int, ...]
    """One more than bounds: what takes longer than the last is in the last one. No list: thousands of those would be
    looked through for garbage."""
    total: float = 0.0

    @classmethod
    def of(cls, bounds: Sequence[float]) -> "Histogram":
        """An empty one."""
        return cls(bounds, (0,) * (len(bounds) + 1))

    def observe(self, seconds: float) -> None:
        """One more."""
        at, counts = bisect_left(self.bounds, seconds), self.counts
        self.counts = (*counts[:at], counts[at] + 1, *counts[at + 1 :])
        self.total += seconds

    def copy(self) -> "Histogram":
        """As it is now."""
        return Histogram(self.bounds, self.counts, self.total)


class Sample(msgspec.Struct, frozen=True):
    """One line."""

    labels: Mapping[str, str]
    value: float
    suffix: str = ""


class Family(msgspec.Struct, frozen=True):
    """All samples of one name."""

    name: str
    kind: str
    """`counter`, `gauge` or `histogram`."""
    help: str
    samples: Sequence[Sample]


def of_histogram(labels: Mapping[str, str], histogram: Histogram) -> Iterable[Sample]:
    """Its samples: buckets are told as all that is not longer, the last as everything."""
    count = 0
    for bound, more in zip((*histogram.bounds, float("inf")), histogram.counts, strict=True):
        count += more
        yield Sample({**labels, "le": _number(bound)}, count, "_bucket")
    yield Sample(labels, histogram.total, "_sum")
    yield Sample(labels, count, "_count")


def text(families: Iterable[Family]) -> str:
    """What a scrape gets."""
    lines: list[str] = []
    for family in families:
        lines.append(f"# HELP {family.name} {family.help.translate(_ESCAPED_HELP)}")
        lines.append(f"# TYPE {family.name} {family.kind}")
        lines += (f"{family.name}{s.suffix}{_labels(s.labels)} {_number(s.value)}" for s in family.samples)
    return "\n".join(lines) + "\n"


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{value.translate(_ESCAPED)}"' for name, value in labels.items()) + "}"


def _number(value: float) -> str:
    if value == float("inf"):
        return "+Inf"
    return str(int(value)) if value == int(value) else repr(value)
