"""With the pool, whatever a peer does on HTTP/2 or on a WebSocket ends as it does without, or better."""

from collections.abc import Iterator

import pytest

from tests.conformance.running import Seen, Sort, everything, run
from tests.conformance.stage import BARE, POOL, POOLED
from tests.harness.marks import needs_namespaces

pytestmark = [needs_namespaces, pytest.mark.timeout(600)]  # the first one waits for all

_PACKING = "mitmproxy says PROTOCOL_ERROR of what cannot be unpacked"
NOT_RIGHT = {
    "http2 4.3/1": _PACKING,
    **{
        f"http2 hpack {number}": _PACKING
        for number in ("2.3.3/1", "2.3.3/2", "4.2/1", "5.1/1", "5.2/1", "5.2/2", "5.2/3", "6.1/1", "6.3/1")
    },
    "http2 6.5/1": "mitmproxy says PROTOCOL_ERROR",
    "http2 8.1.1/7": "h2 compares the length with data frames alone",
    "http2 8.3.1/11": "mitmproxy passes such a path on",
    "http2 8.3.1/12": "mitmproxy passes such a path on",
    **{
        f"{side} 12.2.3": "wsproto forgets at a ping that the message around it is compressed"
        for side in ("client", "upstream")
    },
}
"""What a bare mitmdump does not get right, and why. With the pool it must be the same, or be right."""

SORTS = list(everything())


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEATPOOL_KEYRING", "off")
        yield run(tmp_path_factory.mktemp("conformance"))


@pytest.mark.parametrize("sort", SORTS, ids=lambda sort: sort.id)
def test_the_pool_is_no_worse(seen: Seen, sort: Sort) -> None:
    told = f"{sort.case.reason}; right: {sort.case.right}"
    assert not seen.worse(sort), f"{told}; without the pool: {seen.outcomes[sort.id, BARE]}"
    assert sort.case.allows(seen.outcomes[sort.id, POOL]) or sort.id in NOT_RIGHT, told


def test_all_that_could_move_was_paid_by_pooled_accounts(seen: Seen) -> None:
    assert seen.paid == {BARE: {"editor"}, POOL: set(POOLED)}


def test_the_pool_stumbled_over_nothing(seen: Seen) -> None:
    assert not seen.complaints


def test_every_case_has_a_name_of_its_own_and_what_is_not_right_is_one() -> None:
    assert len({sort.id for sort in SORTS}) == len(SORTS)
    assert set(NOT_RIGHT) <= {sort.id for sort in SORTS}
