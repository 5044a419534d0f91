"""What is known of models: which accounts have them, and on which quota they draw. In memory, and learnt anew.

An account is left out for a model that its own list lacks only where another account's list names that model: lists
are silent about engines, embeddings and models that clients use without showing them, and then they prove nothing.
"""

from collections import Counter, OrderedDict

from seatpool.core.model import ProviderName

MODELS_LIMIT = 256
"""Models whose buckets are remembered; providers have some dozens, and the names come from requests."""


class Catalogue:
    """The lists of every account that has told its own."""

    def __init__(self) -> None:
        self._lists: dict[int, tuple[ProviderName, frozenset[str]]] = {}
        self._named: Counter[tuple[ProviderName, str]] = Counter()

    def put(self, account_id: int, provider: ProviderName, models: frozenset[str]) -> None:
        """Take in an account's own list, in place of what it told before."""
        self.forget(account_id)
        self._lists[account_id] = (provider, models)
        self._named.update((provider, model) for model in models)

    def forget(self, account_id: int) -> None:
        """Drop an account's list."""
        provider, models = self._lists.pop(account_id, (ProviderName.CODEX, frozenset()))
        for model in models:
            self._named[provider, model] -= 1

    def of(self, account_id: int) -> frozenset[str] | None:
        """An account's own list; None while it has not told."""
        known = self._lists.get(account_id)
        return known[1] if known is not None else None

    def lacks(self, account_id: int, model: str | None) -> bool:
        """Whether the account has no such model, as far as lists can tell."""
        known = self._lists.get(account_id)
        return known is not None and model is not None and model not in known[1] and self._named[known[0], model] > 0


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
