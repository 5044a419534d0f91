"""LiteLLM's proxy: an endpoint in front of many models' APIs, with a router over deployments of one."""

import json
from collections.abc import Mapping, Sequence

from scripts.benchmark import wire
from scripts.benchmark.peers.peer import NAMES, PORT, Peer, Started, secret

from tests.upstream.logins import codex_auth

RESTS_S = 3600


def _command(started: Started) -> Sequence[str]:
    """With a deployment of one model for each account, whose token is its key."""
    api = {"model": "openai/gpt-x", "api_base": f"https://{wire.HOST}/backend-api/codex"}
    tokens = (codex_auth(NAMES.format(number))["tokens"]["access_token"] for number in range(started.accounts))
    settings = {
        "model_list": [{"model_name": "gpt-x", "litellm_params": {**api, "api_key": token}} for token in tokens],
        "router_settings": {"num_retries": 2, "allowed_fails": 0, "cooldown_time": RESTS_S},
        "litellm_settings": {"telemetry": False},
        "general_settings": {"master_key": secret()},
    }
    file = started.folder / "config.yaml"
    file.write_text(json.dumps(settings))  # JSON is YAML
    return [str(started.programs / "litellm"), "--config", str(file), "--host", "127.0.0.1", "--port", str(PORT)]


def _environment(started: Started) -> Mapping[str, str]:
    return {
        "SSL_CERT_FILE": str(started.ca),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # or it looks for prices elsewhere
        "LITELLM_LOG": "ERROR",
    }


LITELLM = Peer(
    name="litellm",
    package="litellm[proxy]",
    python=(3, 10),
    path="/v1/responses",
    command=_command,
    environment=_environment,
    codex=False,
    features={
        "clients": "are pointed at it (base URL) and given its key; plain HTTP",
        "API": "POST /v1/responses, streamed",
        "choice": "its default (simple-shuffle); conversations are not kept on an account",
        "on record": "nothing (no database); its log at errors only",
        "failover": "num_retries=2: another deployment after a 429, which then rests",
        "switched off": "telemetry, fetching prices",
    },
)
