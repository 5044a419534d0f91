"""The Copilot dialect: GitHub logins and the tokens minted from them, at the hosts of their plan or tenant."""

from collections.abc import Callable, Mapping
from datetime import datetime

from seatpool.core.model import Account, Credential, CredentialKind, ProviderName, QuotaWindow
from seatpool.core.outcome import Outcome
from seatpool.providers import carriers
from seatpool.providers.base import Edits, Frame, Provider, RequestFacts, Route
from seatpool.providers.carriers import Carrier
from seatpool.providers.copilot import account as accounts
from seatpool.providers.copilot import (
    auth,
    continuity,
    errors,
    events,
    frames,
    primary,
    quota,
    renew,
    repair,
    replies,
    routes,
    wishes,
)
from seatpool.providers.http import HeaderView, HttpReply, HttpRequest
from seatpool.providers.logins import ImportedLogin
from seatpool.providers.repairs import Handling
from seatpool.providers.rewriting import Rewritten, Wish
from seatpool.providers.sidecalls import ClientHeaders, Held, Models, NotTold, Renewal, RenewalNeed, Usage


class Copilot:
    """Composes this package's modules; each method's rules stand where it points. Copilot has no turn state."""

    name: ProviderName = ProviderName.COPILOT
    hosts: tuple[str, ...] = routes.HOSTS
    secret_answers: frozenset[str] = routes.SECRET_ANSWERS
    identifying: tuple[str, ...] = primary.IDENTIFYING
    replaceable: frozenset[str] = wishes.REPLACEABLE
    hastened: frozenset[str] = frozenset()
    accounts_own: frozenset[bytes] = frozenset()
    model_names: frozenset[bytes] = frozenset()
    names_owner: bool = False
    handling: Mapping[str, Handling] = repair.HANDLING

    def match(self, method: str, host: str, path: str, *, upgrade: bool) -> Route | None:
        return routes.match(method, host, path, upgrade=upgrade)

    def is_known(self, path: str) -> bool:
        return routes.is_known(path)

    def facts(self, route: Route, path: str, headers: HeaderView, body: Callable[[], bytes]) -> RequestFacts | None:
        return continuity.facts(route, path, headers, body)

    def patience(self, facts: RequestFacts) -> float:
        return routes.patience(facts)

    def client_headers(self, headers: HeaderView) -> tuple[tuple[str, str], ...]:
        return renew.client_headers(headers)

    def primary(self, facts: RequestFacts, headers: HeaderView, origin: str, now: datetime) -> ImportedLogin | None:
        return primary.primary(facts, headers, origin, now)

    def same_owner(self, one: Credential, other: Credential) -> bool:
        return primary.same_owner(one, other)

    def stay(self, facts: RequestFacts, origin: str, turn_state: str | None) -> Edits:
        return primary.stay(origin)

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
        return auth.edits(facts, account, credentials)

    def may_receive(self, account: Account, origin: str) -> bool:
        return auth.may_receive(account, origin)

    def classify(self, facts: RequestFacts, reply: HttpReply, now: datetime) -> Outcome:
        return errors.classify(facts, reply, now)

    def quota(self, headers: HeaderView, now: datetime) -> tuple[QuotaWindow, ...]:
        return quota.of_headers(headers, now)

    def issued_turn_state(self, headers: HeaderView) -> str | None:
        return None

    def read_frame(self, facts: RequestFacts, content: bytes, now: datetime) -> Frame:
        return frames.read_frame(facts, content, now)

    def read_event(self, facts: RequestFacts, data: bytes, now: datetime) -> Frame:
        return events.read_event(facts, data, now)

    def edit_client_frame(self, content: bytes, turn_state: str | None, owned: Callable[[str], bool]) -> bytes:
        return content

    def rewrite(self, route: Route, path: str, headers: HeaderView, body: bytes, wish: Wish) -> Rewritten:
        return wishes.rewrite(route, path, body, wish)

    def rewrite_frame(self, content: bytes, wish: Wish) -> bytes:
        return content

    def turn(self, facts: RequestFacts, content: bytes) -> RequestFacts:
        return continuity.of_turn(facts, content)

    def warms_up(self, content: bytes) -> bool:
        return False  # its sockets are opened for a turn

    def repositories_in(self, content: bytes) -> tuple[str, ...]:
        return ()  # the handshake tells them

    def carriers(self, route: Route, content: bytes) -> frozenset[Carrier]:
        return carriers.found(content, continuity.CARRIERS.get(route.name, ()))

    def elsewhere_frame(self, message: str) -> bytes:
        return replies.elsewhere_frame(message)

    def reconnect_frame(self, carried: frozenset[Carrier] | None) -> bytes | None:
        return replies.reconnect_frame(carried) if carried else None

    def exhausted(self, facts: RequestFacts, soonest: datetime | None, reason: str | None, now: datetime) -> HttpReply:
        return replies.exhausted(facts, soonest, reason, now)

    def unavailable(self, facts: RequestFacts, status: int, message: str) -> HttpReply:
        return replies.unavailable(facts, status, message)

    def renew(self, need: RenewalNeed, now: Callable[[], datetime]) -> Renewal:
        return renew.renew(need, now)

    def usage_request(self, account: Account, held: Held, client: ClientHeaders, now: datetime) -> HttpRequest | None:
        return accounts.usage_request(account, held, client)

    def read_usage(self, account: Account, held: Held, reply: HttpReply, now: datetime) -> Usage | NotTold:
        return accounts.read_usage(account, held, reply, now)

    def looks_up(self, method: str, path: str, headers: HeaderView, now: datetime) -> str | None:
        return None  # its editors ask a host that stays sealed

    def models_request(self, account: Account, held: Held, client: ClientHeaders, now: datetime) -> HttpRequest | None:
        return accounts.models_request(account, held, client, now)

    def read_models(self, reply: HttpReply, now: datetime) -> Models | NotTold:
        return accounts.read_models(reply, now)

    def included(self, models: Models) -> frozenset[str]:
        return accounts.included(models)

    def lists_models(self, method: str, host: str, path: str) -> bool:
        return routes.lists_models(method, host, path)

    def add_models(self, content: bytes, models: Models) -> bytes | None:
        return accounts.add_models(content, models)

    def draws(self, headers: HeaderView) -> tuple[str, ...] | None:
        return None

    def read_login(self, name: str, content: bytes) -> tuple[ImportedLogin, ...] | None:
        from seatpool.providers.copilot import login  # four modules of files that a command reads, and no proxy

        return login.read_login(name, content)


COPILOT: Provider = Copilot()
