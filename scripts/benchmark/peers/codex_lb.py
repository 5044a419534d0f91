"""codex-lb: an endpoint for Codex that spreads requests over ChatGPT accounts."""

import json
from collections.abc import Mapping

from scripts.benchmark import wire
from scripts.benchmark.client import Broken
from scripts.benchmark.field import Field
from scripts.benchmark.peers.peer import NAMES, PORT, Peer, Started

from tests.upstream.logins import codex_auth


def _environment(started: Started) -> Mapping[str, str]:
    """Off is what asks others than the upstream; and WebSockets, which the upstream has not."""
    off = ("TELEMETRY", "USAGE_REFRESH", "MODEL_REGISTRY", "RATE_LIMIT_RESET_CREDITS_REFRESH")
    return {
        **{f"CODEX_LB_{name}_ENABLED": "false" for name in off},
        "CODEX_LB_DATA_DIR": str(started.folder),
        "CODEX_LB_UPSTREAM_BASE_URL": f"https://{wire.HOST}/backend-api",
        "CODEX_LB_UPSTREAM_STREAM_TRANSPORT": "http",
        "CODEX_LB_HTTP_RESPONSES_SESSION_BRIDGE_ENABLED": "false",
        "SSL_CERT_FILE": str(started.ca),
    }


def _sign_in(field: Field, started: Started) -> None:
    """Through the API of its page, a sign-in file for each account."""
    url = f"http://127.0.0.1:{PORT}/api/accounts/import"
    for number in range(started.accounts):
        file = started.folder / "auth.json"
        file.write_text(json.dumps(codex_auth(NAMES.format(number))))
        ran = field.run(["curl", "-sS", "--fail", "-F", f"auth_json=@{file}", url], {})
        if ran.returncode:
            raise Broken(f"codex-lb took no account: {ran.stderr[-300:]}")


CODEX_LB = Peer(
    name="codex-lb",
    package="codex-lb",
    python=(3, 13),
    path="/backend-api/codex/responses",
    command=lambda started: [str(started.programs / "codex-lb"), "--host", "127.0.0.1", "--port", str(PORT)],
    environment=_environment,
    sign_in=_sign_in,
    features={
        "clients": "are pointed at it (base URL); plain HTTP",
        "API": "POST /backend-api/codex/responses, streamed",
        "choice": "its default (capacity_weighted), conversations sticky",
        "on record": "requests and usage in SQLite; its log at its default level",
        "failover": "another account after a 429",
        "switched off": "telemetry, polling of usage and models, WebSockets to upstream",
    },
)
