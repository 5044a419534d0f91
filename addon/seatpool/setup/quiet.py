"""What a proxy is told that nobody watches: its log has no line for each request and connection."""

from collections.abc import Sequence


def quiet(arguments: Sequence[str]) -> tuple[str, ...]:
    """For mitmdump, beside what its person tells it; nothing where they say themselves how much they want to read."""
    return () if any("flow_detail" in argument for argument in arguments) else ("--set", "flow_detail=0")
