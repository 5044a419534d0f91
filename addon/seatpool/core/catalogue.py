"""What is known of models: which accounts have them, and on which quota they draw. In memory, and learnt anew.

An account is left out for a model that its own list lacks only where another account's list names that model: lists
are silent about engines, embeddings and models that clients use without showing them, and then they prove nothing.
Nor does a list of long ago: models come, and terms are accepted, while an account that serves nobody is not asked.
"""

from collections import Counter, OrderedDict
from datetime import datetime, timedelta
from typing import NamedTuple

from seatpool.core.model import ProviderName
from seatpool.core.quotas import is_recent

LISTED_FOR = timedelta(hours=7)
"""How long a list proves anything; that of an account in use is read anew before, if need be at the third try."""
MODELS_LIMIT = 256
"""Models whose buckets are remembered; providers have some dozens, and the names come from requests."""


NO_MODELS: frozenset[str] = frozenset()


class _Listed(NamedTuple):
    provider: ProviderName
    models: frozenset[str]
    included: frozenset[str]
    at: datetime


class Catalogue:
    """The lists of every account that has told its own. Mutable, yet pure."""

    def __init__(self) -> None:
        self._lists: dict[int, _Listed] = {}
        """The one that was told first stands first."""
        self._named: Counter[tuple[ProviderName, str]] = Counter()
        self._included: Counter[tuple[ProviderName, str]] = Counter()

    def put(
        self,
        account_id: int,
        provider: ProviderName,
        models: frozenset[str],
        at: datetime,
        included: frozenset[str] = NO_MODELS,
    ) -> None:
        """Take in an account's own list, in place of what it told before.

        `at` is when it was asked for; `included`: those of the models that draw on no premium quota.
        """
        self.forget(account_id)
        self._lists[account_id] = _Listed(provider, models, included, at)
        self._named.update((provider, model) for model in models)
        self._included.update((provider, model) for model in included)

    def forget(self, account_id: int) -> None:
        """Drop an account's list."""
        known = self._lists.pop(account_id, None)
        if known is not None:
            self._named.subtract((known.provider, model) for model in known.models)
            self._included.subtract((known.provider, model) for model in known.included)

    @property
    def silent(self) -> bool:
        """No account has told its list."""
        return not self._lists

    def of(self, account_id: int) -> frozenset[str] | None:
        """An account's own list; None while it has not told, or where that is so long ago that it was dropped."""
        known = self._lists.get(account_id)
        return known.models if known is not None else None

    def lacks(self, account_id: int, model: str | None, now: datetime) -> bool:
        """Whether the account has no such model, as far as lists can tell that are not too old."""
        known = self._lists.get(account_id)
        if known is None or model is None or model in known.models:
            return False
        self._drop_old(now)
        return account_id in self._lists and self._named[known.provider, model] > 0

    def includes(self, account_id: int, provider: ProviderName, model: str | None) -> bool:
        """Whether the model draws on no premium quota of the account: by its own list, else by anybody's that tells.

        An account that serves nobody is not asked for its list.
        """
        known = self._lists.get(account_id)
        if model is None or (known is not None and model in known.models):
            return known is not None and model in known.included
        return self._included[provider, model] > 0

    def _drop_old(self, now: datetime) -> None:
        while self._lists:
            account_id, first = next(iter(self._lists.items()))
            if is_recent(first.at, now, LISTED_FOR):
                return
            self.forget(account_id)


class Draws:
    """On which buckets beside the general ones the requests for a model draw, as answers have told."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, tuple[str, ...]] = OrderedDict()

    def learn(self, model: str | None, buckets: tuple[str, ...] | None) -> bool:
        """Note what an answer told; the newest counts. None: it was silent. Returns whether that is news."""
        if model is None or buckets is None or self._buckets.get(model) == buckets:
            return False
        self._buckets[model] = buckets
        self._buckets.move_to_end(model)
        while len(self._buckets) > MODELS_LIMIT:
            self._buckets.popitem(last=False)
        return True

    def of(self, model: str | None) -> tuple[str, ...]:
        """The buckets; none where nothing was told."""
        return self._buckets.get(model, ()) if model is not None else ()
