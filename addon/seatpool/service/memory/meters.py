"""What this process has counted since it began, for `/metrics` and for traces.

Counting is all that happens on a request's way: entries of dictionaries, in the event loop. Whoever asks puts it into
words (`telling/readings`). What the outside chooses - a model's name, a refusal's code - makes a bounded number of
entries.
"""

from collections.abc import Callable, Sequence

import msgspec

from seatpool.core.ended import UNANSWERED, Ended, was_sent
from seatpool.core.exposition import Histogram
from seatpool.core.model import Attempt, CredentialKind

MOST = 2000
"""Entries of a table; whatever comes then is counted as `OTHER`."""
OPEN = 2000
"""Requests under way whose attempts are remembered."""
OTHER = "other"
EXHAUSTED = "exhausted"
"""Outcome of a request for which nobody could be asked."""
HALTED = "halted"
"""Outcome of one that was not sent, since its account may not be asked."""
FIRST_BYTE_S = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
ADDED_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0, 30.0)

Key = tuple[int | None, str, str]
"""Account, and two words about it."""
Told = Callable[[Ended, Sequence[Attempt]], None]


class Count(msgspec.Struct, gc=False):
    """A number that grows.

    Of its own, since a dictionary with a tuple for a key is looked through for garbage whenever it was written to.
    """

    n: int = 0


Table = dict[Key, Count]


class Meters:
    """One per process."""

    def __init__(self) -> None:
        self.requests: Table = {}
        """By account, model and outcome."""
        self.attempts: Table = {}
        """The same of each sending."""
        self.tokens: dict[tuple[int, str], list[int]] = {}
        """Input, those of it that were cached, and output, by account and model."""
        self.first_byte: dict[int, Histogram] = {}
        """From a request to the first byte for its client, by account."""
        self.added = Histogram.of(ADDED_S)
        """From a request that was read whole to its first sending."""
        self.refreshes: Table = {}
        """By account, kind of credential and outcome."""
        self.cooldowns: Table = {}
        """By account, scope and reason."""
        self.spans: dict[str, int] = {"exported": 0, "dropped": 0}
        self.notices: dict[tuple[str, str], int] = {}
        """By kind and result."""
        self.tell: Told | None = None
        """To be called with every request that is over."""
        self._open: dict[str, list[Attempt]] = {}

    def attempt(self, attempt: Attempt) -> None:
        """A sending has come to its end."""
        account_id, model, tokens = attempt.account_id, attempt.model or "", attempt.tokens
        _add(self.attempts, (account_id, model, attempt.outcome))
        if tokens is not None:
            sums = self.tokens.get((account_id, model)) or self._sums(account_id, model)
            sums[0] += tokens.input or 0
            sums[1] += tokens.cached or 0
            sums[2] += tokens.output or 0
        mine = self._open.get(attempt.flow_id)
        if mine is not None:
            mine.append(attempt)
            return
        if len(self._open) >= OPEN:  # of flows whose ends were never told
            del self._open[next(iter(self._open))]
        self._open[attempt.flow_id] = [attempt]

    def ended(self, over: Ended) -> None:
        """A request is over; its attempts were told before."""
        mine = self._open.pop(over.flow_id, ())
        account_id = over.account_id
        if mine:
            last = mine[-1]
            key: Key = (last.account_id, last.model or "", last.outcome)
        elif was_sent(over):
            key = (account_id, "", UNANSWERED)
        else:
            key = (account_id, "", EXHAUSTED if account_id is None else HALTED)
        _add(self.requests, key)
        if account_id is not None and over.first_byte_ms is not None:
            histogram = self.first_byte.get(account_id)
            if histogram is None:
                histogram = self.first_byte[account_id] = Histogram.of(FIRST_BYTE_S)
            histogram.observe(over.first_byte_ms / 1000)
        if mine and over.sent_at > over.began_at:  # else it went out on a socket that was open
            self.added.observe((over.sent_at - over.began_at).total_seconds())
        if self.tell is not None:
            self.tell(over, mine)

    def renewed(self, account_id: int, kind: CredentialKind, outcome: str) -> None:
        """An issuer was asked for a credential: `ok`, or the code of its refusal."""
        _add(self.refreshes, (account_id, kind.value, outcome))

    def cooled(self, account_id: int, scope: str, reason: str) -> None:
        """An account rests, or a part of it."""
        _add(self.cooldowns, (account_id, scope, reason))

    def noticed(self, kind: str, result: str) -> None:
        """A person was told, or was not."""
        self.notices[kind, result] = self.notices.get((kind, result), 0) + 1

    def copy(self) -> "Meters":
        """As it is now; counts nothing."""
        twin = Meters()
        for name in ("requests", "attempts", "refreshes", "cooldowns"):
            setattr(twin, name, {key: Count(count.n) for key, count in getattr(self, name).items()})
        twin.spans, twin.notices = dict(self.spans), dict(self.notices)
        twin.tokens = {key: list(sums) for key, sums in self.tokens.items()}
        twin.first_byte = {key: histogram.copy() for key, histogram in self.first_byte.items()}
        twin.added = self.added.copy()
        return twin

    def forget(self, account_ids: Sequence[int]) -> None:
        """These were removed; numbers of accounts are never given again."""
        for table in (self.requests, self.attempts, self.refreshes, self.cooldowns):
            for key in [key for key in table if key[0] in account_ids]:
                del table[key]
        for pair in [pair for pair in self.tokens if pair[0] in account_ids]:
            del self.tokens[pair]
        for account_id in account_ids:
            self.first_byte.pop(account_id, None)

    def _sums(self, account_id: int, model: str) -> list[int]:
        if len(self.tokens) >= MOST:
            model = OTHER
        return self.tokens.setdefault((account_id, model), [0, 0, 0])


def _add(table: Table, key: Key) -> None:
    count = table.get(key)
    if count is None:
        if len(table) >= MOST:
            key = (key[0], OTHER, OTHER)
        count = table.setdefault(key, Count())
    count.n += 1
