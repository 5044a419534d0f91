"""`kill -9` amid cooldowns and records: what was acknowledged is there, and nothing is there by half.

`SEATPOOL_SEED=17` runs one seed alone.
"""

import random
import shutil
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from seatpool.core.model import Credential, CredentialKind, ProviderName
from seatpool.store import Store
from tests.harness.remains import whole
from tests.service.killing import Executioner, executioner, seeds
from tests.service.victims import BATCH, BUCKETS

SEEDS = 50
SPAN_S = 0.03
"""Long enough for some dozens of transactions."""


@pytest.fixture
def signed_in(tmp_path: Path) -> Path:
    """A folder with a database that has an account; to be copied."""
    folder = tmp_path / "before"
    with Store.open(str(folder / "pool.db")) as store:
        store.save_login(
            provider=ProviderName.CODEX,
            identity="user-1",
            name="work",
            issuer="chatgpt.com",
            credentials=[Credential(CredentialKind.CODEX_OAUTH, "FAKESECRET")],
            now=datetime.now(UTC),
        )
    return folder


async def test_a_kill_amid_writes_loses_nothing_acknowledged_and_leaves_nothing_half_written(
    tmp_path: Path, signed_in: Path
) -> None:
    async with executioner() as hangman:
        for seed in seeds(SEEDS):
            folder = shutil.copytree(signed_in, tmp_path / f"seed-{seed}")
            try:
                await one_seed(random.Random(seed), hangman, folder / "pool.db")
            except Exception as error:
                error.add_note(f"to see it again: SEATPOOL_SEED={seed} pytest {Path(__file__).name}")
                raise


async def one_seed(dice: random.Random, hangman: Executioner, database: Path) -> None:
    victim = await hangman.start("write", str(database))
    await victim.next()
    victim.kill(dice.uniform(0, SPAN_S))
    assert await victim.end() == -9
    acknowledged = Counter(name for name, _ in victim.said)
    assert whole(database)
    with Store.open(str(database)) as store:
        changes = store.changes(None)
        attempts = store.past.attempts(limit=1_000_000)
    # Each kind of write goes on in order, so of each the one under way may be there besides, whole.
    cooled = sorted(int(cooldown.scope.value.removeprefix("model-")) for cooldown in changes.cooldowns)
    assert cooled == list(range(1, len(cooled) + 1))
    assert len(cooled) - acknowledged["cooldown"] in (0, 1)
    batches = Counter(int(attempt.flow_id) for attempt in attempts)
    assert batches == dict.fromkeys(range(1, len(batches) + 1), BATCH)
    assert len(batches) - acknowledged["batch"] in (0, 1)
    windows = {window.bucket: window.length_s for _, window in changes.windows}
    assert windows == ({bucket: len(batches) for bucket in BUCKETS} if batches else {})
    (account,) = changes.accounts
    assert (account.last_used_at is not None) == bool(batches)
