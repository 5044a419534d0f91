"""Values for the store's tests, and programs that run in processes of their own."""

import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from seatpool.core.model import (
    WHOLE_ACCOUNT,
    Account,
    Attempt,
    Cooldown,
    Credential,
    CredentialKind,
    ProviderName,
    QuotaWindow,
    Scope,
)
from seatpool.store import Store

NOW = datetime(2026, 3, 29, 0, 59, 59, 123456, tzinfo=UTC)
ADDON = Path(__file__).parents[2] / "addon"


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def oauth(number: int = 1) -> Credential:
    return Credential(
        kind=CredentialKind.CODEX_OAUTH,
        token=f"FAKESECRET-access-{number}",
        refresh_token=f"FAKESECRET-refresh-{number}",
        expires_at=at(3600),
        endpoints={"api": "https://chatgpt.com"},
        attributes={"account_id": "FAKESECRET-workspace"},
    )


def sign_in(
    store: Store,
    name: str = "work",
    *,
    identity: str = "user-1",
    explicit_name: bool = False,
    credentials: Sequence[Credential] = (),
) -> Account:
    account, _ = store.save_login(
        provider=ProviderName.CODEX,
        identity=identity,
        name=name,
        issuer="chatgpt.com",
        credentials=credentials,
        now=NOW,
        explicit_name=explicit_name,
    )
    return account


def cooldown(account: Account, until_s: float, *, scope: Scope = WHOLE_ACCOUNT, reason: str = "usage") -> Cooldown:
    return Cooldown(account.id, scope, reason, at(until_s), NOW)


def window(observed_s: float, left: float, bucket: str = "primary") -> QuotaWindow:
    return QuotaWindow(bucket, left, at(observed_s), "header", length_s=18_000, resets_at=at(18_000))


def attempt(account: Account, started_s: float, number: int = 1) -> Attempt:
    return Attempt(f"flow-{started_s}", number, account.id, "responses", "gpt", "ok", 200, at(started_s), 12.5)


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    """Run Python source beside us, with warnings as errors; talk to it through its pipes."""
    command = [sys.executable, "-W", "error", "-c", program, *map(str, arguments)]
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": f"{ADDON}:{ADDON.parent}", "SEATPOOL_KEYRING": "off"}
        | {name: os.environ[name] for name in ("XDG_DATA_HOME", "SEATPOOL_KEY_FILE") if name in os.environ},
    )


def finish(process: subprocess.Popen[str], said: str = "") -> str:
    """What a program prints; fails with its traceback when it fails."""
    out, err = process.communicate(said, timeout=60)
    assert process.returncode == 0, err
    return out
