"""What was recorded of requests and quota, as the rest of the house reads it: one method, one transaction."""

from collections.abc import Collection
from datetime import date

from seatpool.core.ended import Recorded
from seatpool.core.explain import Choice
from seatpool.core.ledger import Used
from seatpool.core.model import Attempt, QuotaWindow
from seatpool.store.databases.transactions import Transactions
from seatpool.store.rows import choices, endings, history, ledger, observations
from seatpool.store.rows.endings import Wanted


class Past:
    """`Store.past`; as all of the store: from any thread, and raises nothing but `StoreError`."""

    def __init__(self, db: Transactions) -> None:
        self._db = db

    def attempts(self, *, limit: int, account_id: int | None = None) -> tuple[Attempt, ...]:
        """The newest first, of one account or of all."""
        with self._db.read() as db:
            return observations.newest_attempts(db, limit, account_id)

    def requests(self, beginning: str = "", *, limit: int) -> tuple[str, ...]:
        """Ids of recorded requests that begin so, the newest first."""
        with self._db.read() as db:
            return choices.newest(db, beginning, limit)

    def request(self, flow_id: str) -> tuple[tuple[Choice, ...], tuple[Attempt, ...]]:
        """What was chosen for a request, and what came of it, each in order; nothing where it is not recorded.

        Where it stayed with its conversation, the choice is that of the earlier request which tells its candidates.
        """
        with self._db.read() as db:
            chosen, attempts = choices.of_request(db, flow_id), observations.attempts_of(db, flow_id)
            told_in = attempts[0].chosen_in if attempts else None
            earlier = choices.of_request(db, told_in) if told_in is not None else ()
            return tuple(c for c in earlier if c.account_id == attempts[0].account_id)[-1:] + chosen, attempts

    def newest_ended(self, wanted: Wanted, limit: int) -> tuple[int, tuple[Recorded, ...]]:
        """The newest requests that are over, the oldest of them first; and from where to go on with `ended_after`."""
        with self._db.read() as db:
            return endings.newest(db, wanted, limit)

    def ended_after(self, place: int, wanted: Wanted, limit: int) -> tuple[int, tuple[Recorded, ...]]:
        """Requests that have ended after that place, and the next place. Cheap where there is none."""
        with self._db.read() as db:
            return endings.after(db, wanted, place, limit)

    def window_history(self, account_ids: Collection[int]) -> dict[tuple[int, str], list[QuotaWindow]]:
        """How the windows of these accounts were used up, by account id and bucket, the oldest observation first."""
        with self._db.read() as db:
            return history.of_accounts(db, account_ids)

    def usage(self, first: date) -> tuple[Used, ...]:
        """What was used on that day and later, day by day; of accounts that are gone as well."""
        with self._db.read() as db:
            return ledger.since(db, first)
