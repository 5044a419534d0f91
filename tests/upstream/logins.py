"""Sign-in files as the real programs leave them on disk, for made-up accounts."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.upstream import tokens

COPILOT_APP_ID = "Iv1.b507a08c87ecfe98"


def codex_auth(
    name: str,
    plan: str = "plus",
    expires_in_s: float = 864000,
    *,
    generation: int = 0,
    account_id: str | None = None,
) -> dict[str, Any]:
    """What `~/.codex/auth.json` holds after a sign-in (codex.md 4)."""
    access = tokens.codex_access_token(name, plan, time.time() + expires_in_s, generation, account_id)
    return {
        "auth_mode": "chatgpt",
        "OPENAI_API_KEY": None,
        "tokens": {
            "id_token": access,
            "access_token": access,
            "refresh_token": tokens.codex_refresh_token(name, generation),
            "account_id": account_id or tokens.codex_account_id(name),
        },
        "last_refresh": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
    }


def codex_login(home: Path, name: str, plan: str = "plus", expires_in_s: float = 864000, **more: Any) -> Path:
    """Write `auth.json` (mode 0600) into a CODEX_HOME and return its path. `more` goes to `codex_auth`."""
    return _write(home / "auth.json", codex_auth(name, plan, expires_in_s, **more))


def copilot_login(
    folder: Path, name: str, *, file: str = "apps.json", host: str = "github.com", prefix: str = "ghu"
) -> Path:
    """Write `apps.json` or `hosts.json` as below `~/.config/github-copilot` and return its path.

    `apps.json` keys its entries by host and application, `hosts.json` by host alone.
    """
    entry = {"user": name, "oauth_token": tokens.github_token(name, prefix)}
    if file == "hosts.json":
        return _write(folder / file, {host: entry})
    return _write(folder / file, {f"{host}:{COPILOT_APP_ID}": {**entry, "githubAppId": COPILOT_APP_ID}})


def _write(path: Path, content: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2))
    path.chmod(0o600)
    return path
