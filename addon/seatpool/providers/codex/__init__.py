"""The Codex dialect: ChatGPT logins at `chatgpt.com/backend-api/codex`, over HTTPS and WebSocket."""

from collections.abc import Callable, Mapping
from datetime import datetime

from seatpool.core.model import Account, Credential, CredentialKind, ProviderName, QuotaWindow
from seatpool.core.outcome import Outcome
from seatpool.providers import carriers
from seatpool.providers.base import Edits, Frame, Provider, RequestFacts, Route
from seatpool.providers.carriers import Carrier
from seatpool.providers.codex import account as accounts
from seatpool.providers.codex import (
    auth,
    continuity,
    errors,
    frames,
    login,
    primary,
    quota,
    renew,
    repair,
    replies,
    routes,
    told,
    wishes,
)
from seatpool.providers.http import HeaderView, HttpReply, HttpRequest
from seatpool.providers.logins import ImportedLogin
from seatpool.providers.repairs import Handling
from seatpool.providers.rewriting import Rewritten, Wish, rewrite_frame
from seatpool.providers.sidecalls import ClientHeaders, Held, Models, NotTold, Renewal, RenewalNeed, Usage

CLIENT_HEADERS = ("user-agent", "originator")
"""By these the editor names itself (codex.md 2.1)."""


class Codex:
    """Composes this package's modules; each method's rules stand where it points."""

    name: ProviderName = ProviderName.CODEX
    hosts: tuple[str, ...] = routes.HOSTS
    secret_answers: frozenset[str] = routes.SECRET_ANSWERS
    identifying: tuple[str, ...] = primary.IDENTIFYING
    replaceable: frozenset[str] = wishes.REPLACEABLE
    hastened: frozenset[str] = wishes.HASTENED
    accounts_own: frozenset[bytes] = primary.ACCOUNTS_OWN
    model_names: frozenset[bytes] = wishes.MODEL_NAMES
    names_owner: bool = True
    handling: Mapping[str, Handling] = repair.HANDLING

    def match(self, method: str, host: str, path: str, *, upgrade: bool) -> Route | None:
        return routes.match(method, path, upgrade=upgrade)

    def is_known(self, path: str) -> bool:
        return routes.is_known(path)

    def facts(self, route: Route, path: str, headers: HeaderView, body: Callable[[], bytes]) -> RequestFacts | None:
        return continuity.facts(route, headers, body)

    def patience(self, facts: RequestFacts) -> float:
        return routes.patience(facts)

    def client_headers(self, headers: HeaderView) -> tuple[tuple[str, str], ...]:
        return tuple((name, value) for name in CLIENT_HEADERS if (value := headers.get(name)))

    def primary(self, facts: RequestFacts, headers: HeaderView, origin: str, now: datetime) -> ImportedLogin | None:
        return primary.primary(headers, origin, now)

    def same_owner(self, one: Credential, other: Credential) -> bool:
        return primary.same_owner(one, other)

    def stay(self, facts: RequestFacts, origin: str, turn_state: str | None) -> Edits:
        return primary.stay(facts, origin, turn_state)

    def holds(self, headers: HeaderView, credential: Credential) -> bool:
        return auth.holds(headers, credential)

    def ready(self, credential: Credential, now: datetime) -> bool:
        return auth.ready(credential, now)

    def edits(
        self,
        facts: RequestFacts,
        account: Account,
        credentials: Mapping[CredentialKind, Credential],
        turn_state: str | None,
    ) -> Edits:
        return auth.edits(facts, credentials, turn_state)

    def may_receive(self, account: Account, origin: str) -> bool:
        return auth.may_receive(account, origin)

    def classify(self, facts: RequestFacts, reply: HttpReply, now: datetime) -> Outcome:
        return errors.classify(facts, reply, now)

    def quota(self, headers: HeaderView, now: datetime) -> tuple[QuotaWindow, ...]:
        return quota.windows_of_headers(headers, now)

    def issued_turn_state(self, headers: HeaderView) -> str | None:
        return continuity.issued_turn_state(headers)

    def read_frame(self, facts: RequestFacts, content: bytes, now: datetime) -> Frame:
        return frames.read_frame(facts, content, now)

    def read_event(self, facts: RequestFacts, data: bytes, now: datetime) -> Frame:
        return frames.read_frame(facts, data, now)

    def edit_client_frame(self, content: bytes, turn_state: str | None, owned: Callable[[str], bool]) -> bytes:
        return continuity.edit_client_frame(content, turn_state, owned)

    def rewrite(self, route: Route, path: str, headers: HeaderView, body: bytes, wish: Wish) -> Rewritten:
        return wishes.rewrite(route, path, headers, body, wish)

    def rewrite_frame(self, content: bytes, wish: Wish) -> bytes:
        return rewrite_frame(content, wish)

    def turn(self, facts: RequestFacts, content: bytes) -> RequestFacts:
        return told.of_turn(facts, content)

    def warms_up(self, content: bytes) -> bool:
        return told.warms_up(content)

    def repositories_in(self, content: bytes) -> tuple[str, ...]:
        return told.in_message(content)

    def carriers(self, route: Route, content: bytes) -> frozenset[Carrier]:
        return carriers.found(content, continuity.CARRIERS)

    def elsewhere_frame(self, message: str) -> bytes:
        return replies.RECONNECT

    def reconnect_frame(self, carried: frozenset[Carrier] | None) -> bytes | None:
        return replies.RECONNECT

    def exhausted(self, facts: RequestFacts, soonest: datetime | None, reason: str | None, now: datetime) -> HttpReply:
        return replies.exhausted(facts, soonest, reason, now)

    def unavailable(self, facts: RequestFacts, status: int, message: str) -> HttpReply:
        return replies.unavailable(facts, status, message)

    def renew(self, need: RenewalNeed, now: Callable[[], datetime]) -> Renewal:
        return renew.renew(need, now)

    def usage_request(self, account: Account, held: Held, client: ClientHeaders, now: datetime) -> HttpRequest | None:
        return accounts.usage_request(held, client, now)

    def read_usage(self, account: Account, held: Held, reply: HttpReply, now: datetime) -> Usage | NotTold:
        return accounts.read_usage(held, reply, now)

    def looks_up(self, method: str, path: str, headers: HeaderView, now: datetime) -> str | None:
        return primary.identity(headers, now) if routes.looks_up(method, path) else None

    def models_request(self, account: Account, held: Held, client: ClientHeaders, now: datetime) -> HttpRequest | None:
        return accounts.models_request(held, client, now)

    def read_models(self, reply: HttpReply, now: datetime) -> Models | NotTold:
        return accounts.read_models(reply, now)

    def included(self, models: Models) -> frozenset[str]:
        return frozenset()  # its plans make no such difference

    def lists_models(self, method: str, host: str, path: str) -> bool:
        return False

    def add_models(self, content: bytes, models: Models) -> bytes | None:
        return None

    def draws(self, headers: HeaderView) -> tuple[str, ...] | None:
        return quota.drawn_buckets(headers)

    def read_login(self, name: str, content: bytes) -> tuple[ImportedLogin, ...] | None:
        return login.read_login(name, content)


CODEX: Provider = Codex()
