"""The accounts of a provider that may be asked, best first."""

from bisect import bisect_left, insort
from collections.abc import Iterator

from seatpool.core.strategy import Candidate, Rank

Place = tuple[*Rank, Candidate]
"""What it is ordered by, its id last, and who stands there; as no two ids are equal, candidates are never compared."""


class Line:
    """Sorted. Mutable, yet pure."""

    def __init__(self) -> None:
        self._places: list[Place] = []

    def __len__(self) -> int:
        """How many may be asked."""
        return len(self._places)

    def __iter__(self) -> Iterator[Candidate]:
        """Each, as it was when it came to stand here."""
        for place in self._places:
            yield place[-1]

    def first(self, count: int) -> tuple[list[int], list[Candidate]]:
        """Ids of the first, and these themselves. The ids are at hand: with thousands the accounts would lie cold."""
        places = self._places[:count]
        return [place[-2] for place in places], [place[-1] for place in places]  # type: ignore[misc] # see `Place`

    def first_of(self, lane: Rank) -> Candidate | None:
        """The first whose rank begins so; None where there is none."""
        at = bisect_left(self._places, lane)
        if at == len(self._places) or self._places[at][: len(lane)] != lane:
            return None
        return self._places[at][-1]

    def enter(self, rank: Rank, candidate: Candidate) -> Place:
        """Stand where this rank belongs. Returns what `leave` takes."""
        place: Place = (*rank, candidate)
        insort(self._places, place)
        return place

    def leave(self, place: Place) -> None:
        """Stand there no longer."""
        del self._places[bisect_left(self._places, place)]
