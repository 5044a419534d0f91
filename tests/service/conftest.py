"""A real store on a real file, and an issuer that answers side calls as Codex's does."""

import base64
import itertools
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from seatpool.core.model import Account, Credential, CredentialKind, ProviderName
from seatpool.core.policy import Policy
from seatpool.providers.http import Headers, HttpReply, HttpRequest
from seatpool.service.network.transport import SideCallFailed, Unreached
from seatpool.service.pool import PoolService
from seatpool.store import Store


def jwt(person: str, expires_at: datetime, serial: int) -> str:
    """A token shaped like ChatGPT's."""
    claims = {
        "exp": int(expires_at.timestamp()),
        "https://api.openai.com/auth": {"chatgpt_account_id": f"ws-{person}", "chatgpt_user_id": f"user-{person}"},
    }
    parts = [{"alg": "none"}, claims]
    encoded = [base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in parts]
    return ".".join([*encoded, f"FAKESECRET-{person}-{serial}"])


class Issuer:
    """auth.openai.com and accounts/check: refresh tokens are good once."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.good: dict[str, str] = {}
        """Refresh token -> person."""
        self.serial = itertools.count(1)
        self.down = False
        self.unreached = False
        """While it is down: nobody can connect to it."""
        self.refused: str | None = None

    def login(self, person: str, expires_in: timedelta) -> Credential:
        """A login as an import would bring it."""
        number = next(self.serial)
        refresh = f"rt-FAKESECRET-{person}-{number}"
        self.good[refresh] = person
        expires_at = datetime.now(UTC) + expires_in
        return Credential(
            CredentialKind.CODEX_OAUTH,
            jwt(person, expires_at, number),
            refresh,
            expires_at,
            attributes={"account_id": f"ws-{person}", "user_id": f"user-{person}"},
        )

    async def send(self, request: HttpRequest) -> HttpReply:
        """Answer a side call."""
        self.calls.append(f"{request.method} {request.url}")
        if self.down:
            raise (Unreached if self.unreached else SideCallFailed)("auth.openai.com: ConnectError")
        if request.url.endswith("/oauth/token"):
            return self._token(json.loads(request.body))
        if request.url.endswith("/wham/accounts/check"):
            account_id = Headers(request.headers).get("chatgpt-account-id")
            entry = {
                "id": account_id,
                "workspace_backend_origin": "NO_CONSTRAINT",
                "account_routing_override": "NO_CONSTRAINT",
            }
            return _json(200, {"accounts": [entry]})
        return _json(404, {})

    def _token(self, body: dict[str, str]) -> HttpReply:
        person = self.good.pop(body["refresh_token"], None)
        if person is None or self.refused is not None:
            code = self.refused or "refresh_token_reused"
            return _json(401, {"error": {"message": "no", "code": code}})
        fresh = self.login(person, timedelta(days=10))
        return _json(200, {"access_token": fresh.token, "refresh_token": fresh.refresh_token})

    @property
    def refreshes(self) -> int:
        """How often the token endpoint was asked."""
        return sum(call.endswith("/oauth/token") for call in self.calls)


def _json(status: int, body: object) -> HttpReply:
    return HttpReply(status, Headers([("content-type", "application/json")]), json.dumps(body).encode())


@pytest.fixture(autouse=True)
def _no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEATPOOL_KEYRING", "off")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(str(tmp_path / "pool.db"))
    yield store
    store.close()


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


def sign_in(store: Store, issuer: Issuer, person: str, expires_in: timedelta = timedelta(days=10)) -> Account:
    """Put an account into the pool."""
    account, _ = store.save_login(
        provider=ProviderName.CODEX,
        identity=f"user-{person}/ws-{person}",
        name=person,
        explicit_name=True,
        issuer="chatgpt.com",
        plan="plus",
        credentials=[issuer.login(person, expires_in)],
        now=datetime.now(UTC),
    )
    return account


@pytest.fixture
async def service(store: Store, issuer: Issuer) -> AsyncIterator[PoolService]:
    service = PoolService(store, issuer, Policy())
    service.load()
    yield service
    await service.stop()
