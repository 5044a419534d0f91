"""What every provider answers, and the values in which it does.

A provider is a set of pure functions over headers and bytes. It never opens a connection: where a side call is needed
(`renew`), it is a generator that yields requests and is sent their replies.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

import msgspec

from seatpool.core.model import Account, Credential, CredentialKind, ProviderName, QuotaWindow, Tokens
from seatpool.core.outcome import Outcome
from seatpool.core.silence import silent
from seatpool.providers.carriers import Carrier
from seatpool.providers.http import HeaderView, HttpReply, HttpRequest
from seatpool.providers.logins import ImportedLogin
from seatpool.providers.repairs import Handling
from seatpool.providers.rewriting import Rewritten, Wish
from seatpool.providers.sidecalls import ClientHeaders, Held, Models, NotTold, Renewal, RenewalNeed, Usage


class Route(msgspec.Struct, frozen=True, gc=False):
    """A kind of request that may be served by another account than the editor's."""

    provider: ProviderName
    name: str
    """For logs and counters: `responses`, `chat-completions`, `engine`, ..."""
    endpoint: str
    """Which of the account's endpoints serves it: `api` or `proxy`."""
    websocket: bool = False


class RequestFacts(msgspec.Struct, frozen=True, gc=False):
    """What the pool must know of a request to choose an account for it."""

    route: Route
    needs: tuple[CredentialKind, ...]
    """The first is required, like for like with what the editor sent; the rest are dropped where they cannot be had."""
    model: str | None = None
    conversation: str | None = None
    """Affinity key: the same for every request of one conversation; opaque, holds no content."""
    buckets: tuple[str, ...] = ()
    """Quota buckets that the request draws on; empty = those without a name of their own."""
    own_meter: bool = False
    """Limits say nothing of it: the editor asks for it because its own account has something left of it, and only of
    it."""
    client: str | None = None
    """The program that sent it, as it names itself: `codex_vscode`, `neovim`, `copilot` (the CLI); lower case."""
    repositories: tuple[str, ...] = ()
    """Remotes of the repository that is worked in: `host/owner/name`, lower case; () where the request is silent."""
    early: bool = False
    """A handshake ahead of the first turn: it cannot tell its repositories yet, and may be refused unseen."""
    turn_state: str | None = None
    """Upstream's sticky-routing token that the editor sent along (codex.md 2.2)."""
    sent: tuple[tuple[str, str], ...] = ()
    """The editor's own headers that `edits` must know to replace them in kind; names in lower case, for `Headers`."""

    __repr__ = silent("turn_state", "sent")


class Edits(msgspec.Struct, frozen=True, gc=False):
    """Everything that is changed of a request, and nothing else is: where it goes, these headers, what is wished."""

    origin: str
    """`https://host[:port]` of the account."""
    set_headers: tuple[tuple[str, str], ...] = ()
    """Replaced in place where present, else appended."""
    remove_headers: tuple[str, ...] = ()
    wish: Wish | None = None
    """What it is to say otherwise, for `Provider.rewrite` and `rewrite_frame`; None of nearly every request."""

    __repr__ = silent("set_headers")


class Frame(msgspec.Struct, frozen=True, gc=False):
    """What one WebSocket message says."""

    outcome: Outcome | None = None
    """Set when the frame is a refusal."""
    windows: tuple[QuotaWindow, ...] = ()
    terminal: bool = False
    """The turn is over."""
    output: bool = False
    """Something of the model's answer that the client keeps."""
    turn_state: str | None = None
    """Sticky-routing token that this account issued (codex.md 2.2)."""
    draws: tuple[str, ...] | None = None
    """As `Provider.draws`."""
    tokens: Tokens | None = None
    """What was counted of the turn."""

    __repr__ = silent("turn_state")


NO_NEWS = Frame()


class Provider(Protocol):
    """A wire dialect."""

    name: ProviderName
    hosts: tuple[str, ...]
    """Regular expressions, each matching a whole lower-case host name that may be decrypted."""
    secret_answers: frozenset[str]
    """Paths, without query, whose answers hold a credential in their body."""
    identifying: tuple[str, ...]
    """Header names, lower case: requests that have their values in common come from the same login of the editor."""

    replaceable: frozenset[str]
    """Names of the routes whose requests can ask for another model."""
    hastened: frozenset[str]
    """Names of the routes whose requests can ask for being served faster."""
    accounts_own: frozenset[bytes]
    """Headers of an answer, in lower case, that tell a client whether what it keeps of its own account is still good:
    another account's would have it ask for that again with every answer."""
    model_names: frozenset[bytes]
    """Headers of an answer, in lower case, that tell a client which model has answered."""
    names_owner: bool
    """Whether the editor's own token names its account as `ImportedLogin.identity` does; else tokens are compared."""
    handling: Mapping[str, Handling]
    """What is done about carriers, by name of the route; a route that is not named has none."""

    def match(self, method: str, host: str, path: str, *, upgrade: bool) -> Route | None:
        """The route of a request on a pooled host, or None where it acts as the person and must not move.

        `host` is in lower case, `path` is the request target with its query. `upgrade` tells a WebSocket handshake.
        """

    def is_known(self, path: str) -> bool:
        """Whether a path that no route is for is known to stay with the editor's own login."""

    def facts(self, route: Route, path: str, headers: HeaderView, body: Callable[[], bytes]) -> RequestFacts | None:
        """What selection needs; None when the request carries no credential that the pool could replace.

        `body` returns the decoded body, and is called only when the headers do not say enough.
        """

    def patience(self, facts: RequestFacts) -> float:
        """How many seconds the client of such a request leaves it without an answer, unseen; 0: never make it wait."""

    def client_headers(self, headers: HeaderView) -> tuple[tuple[str, str], ...]:
        """The headers by which the person's editor names itself, for use on this provider's side calls."""

    def primary(self, facts: RequestFacts, headers: HeaderView, origin: str, now: datetime) -> ImportedLogin | None:
        """The login that the editor sent a request to `origin` with: access only, complete enough for `edits`.

        None where the request does not say whose it is, or its token is over.
        """

    def same_owner(self, one: Credential, other: Credential) -> bool:
        """Whether two credentials are known to be of one account."""

    def stay(self, facts: RequestFacts, origin: str, turn_state: str | None) -> Edits:
        """The changes of a request that stays on the editor's own login; `turn_state` is the one to send."""

    def holds(self, headers: HeaderView, credential: Credential) -> bool:
        """Whether the request already carries this very credential, or one of the same account's session."""

    def ready(self, credential: Credential, now: datetime) -> bool:
        """Whether the credential can be sent now: not about to expire, and its endpoints are known."""

    def edits(
        self,
        facts: RequestFacts,
        account: Account,
        credentials: Mapping[CredentialKind, Credential],
        turn_state: str | None,
    ) -> Edits:
        """The changes that put the request on `account`. `turn_state` is the one to send; None removes it."""

    def may_receive(self, account: Account, origin: str) -> bool:
        """Whether a credential of `account` may go to `origin` (`scheme://host[:port]`): its issuer's hosts only."""

    def classify(self, facts: RequestFacts, reply: HttpReply, now: datetime) -> Outcome:
        """What a whole answer means."""

    def quota(self, headers: HeaderView, now: datetime) -> tuple[QuotaWindow, ...]:
        """Quota windows that the headers of an answer tell."""

    def issued_turn_state(self, headers: HeaderView) -> str | None:
        """The sticky-routing token that the head of an answer issues, if any."""

    def read_frame(self, facts: RequestFacts, content: bytes, now: datetime) -> Frame:
        """What a WebSocket message of the upstream says. Never raises on malformed input."""

    def read_event(self, facts: RequestFacts, data: bytes, now: datetime) -> Frame:
        """What an event of a streamed answer says, by its data. Never raises on malformed input."""

    def edit_client_frame(self, content: bytes, turn_state: str | None, owned: Callable[[str], bool]) -> bytes:
        """The client's message with a foreign sticky-routing token replaced, else the very same object.

        `owned` tells whether a token was issued by the account that now serves; `turn_state` replaces a foreign one,
        None removes it.
        """

    def rewrite(self, route: Route, path: str, headers: HeaderView, body: bytes, wish: Wish) -> Rewritten:
        """What a request says where this is wished; `body` is decoded. Nothing that cannot be read is changed."""

    def rewrite_frame(self, content: bytes, wish: Wish) -> bytes:
        """The same for the client's message on a socket whose handshake was rewritten so, else the very same object."""

    def turn(self, facts: RequestFacts, content: bytes) -> RequestFacts:
        """The facts of a socket, with what the client's message tells anew of its turn: model and repositories."""

    def warms_up(self, content: bytes) -> bool:
        """Whether a client's message only readies its socket for the next one, and asks for no answer."""

    def repositories_in(self, content: bytes) -> tuple[str, ...]:
        """What a socket's message alone tells of `RequestFacts.repositories`; may look at the rest of it no closer."""

    def carriers(self, route: Route, content: bytes) -> frozenset[Carrier]:
        """What a request's body, or a client's message, holds that only the account which gave it out can read."""

    def elsewhere_frame(self, message: str) -> bytes:
        """A message after which the client asks again in another way, unseen where it can."""

    def reconnect_frame(self, carried: frozenset[Carrier] | None) -> bytes | None:
        """A message that makes the client send everything again, unseen; None where there is none.

        `carried` is what its message held; None where something of an answer has come already. Of a message that held
        nothing, None says that it is to be sent again by us.
        """

    def exhausted(self, facts: RequestFacts, soonest: datetime | None, reason: str | None, now: datetime) -> HttpReply:
        """The answer, in this provider's own shape, when every account is limited until `soonest` at least.

        `reason` is the code of that limit, as `classify` gave it.
        """

    def unavailable(self, facts: RequestFacts, status: int, message: str) -> HttpReply:
        """An answer of ours, in this provider's own error shape, where the upstream could not be had."""

    def renew(self, need: RenewalNeed, now: Callable[[], datetime]) -> Renewal:
        """Get a credential of `need.kind`: refresh, exchange, or look its endpoints up."""

    def usage_request(self, account: Account, held: Held, client: ClientHeaders, now: datetime) -> HttpRequest | None:
        """Asks the issuer for the account's quota; None where no credential is there to ask with now."""

    def read_usage(self, account: Account, held: Held, reply: HttpReply, now: datetime) -> Usage | NotTold:
        """The answer to `usage_request`."""

    def looks_up(self, method: str, path: str, headers: HeaderView, now: datetime) -> str | None:
        """Identity of an editor's own login that asks the same by itself; None where a request asks anything else."""

    def models_request(self, account: Account, held: Held, client: ClientHeaders, now: datetime) -> HttpRequest | None:
        """Asks for the account's own list of models; None where no credential is there to ask with now."""

    def read_models(self, reply: HttpReply, now: datetime) -> Models | NotTold:
        """The answer to `models_request`."""

    def included(self, models: Models) -> frozenset[str]:
        """Those of a list that it says are part of every plan: they draw on nothing but what everything draws on."""

    def lists_models(self, method: str, host: str, path: str) -> bool:
        """Whether a request asks for a list to which `add_models` can add; `host` is in lower case."""

    def add_models(self, content: bytes, models: Models) -> bytes | None:
        """A list of models with those appended that it does not name; None where there is nothing to add.

        Every byte that was there stays.
        """

    def draws(self, headers: HeaderView) -> tuple[str, ...] | None:
        """The buckets beside the general ones that the head of an answer says it drew on; None where it is silent."""

    def read_login(self, name: str, content: bytes) -> tuple[ImportedLogin, ...] | None:
        """The logins in a file of this provider's programs; None when it is not one of them.

        `name` is the file's base name, for messages. Raises `NotALogin` when it is one, but broken or empty.
        """
