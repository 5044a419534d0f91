"""One flow while it is under way: what the editor sent, and what goes upstream instead.

A credential never stands in a flow. When a flow begins, the values of its secret headers move out of it into the
exchange, and come back only into the copy that is sent. So nothing that looks at flows - mitmweb, a dump, another
addon, an error - can show one, and nothing of one attempt can leak into the next.
"""

import logging
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec
from mitmproxy import http
from mitmproxy.proxy.commands import StartHook

from seatpool.core.outcome import Outcome
from seatpool.core.rules import Rule
from seatpool.providers.base import Provider, RequestFacts, Route
from seatpool.providers.http import Headers
from seatpool.providers.openings import Opening
from seatpool.proxy.answers import as_response, asks_for_stream, headers_of
from seatpool.proxy.delivery import Came
from seatpool.proxy.hiding import REDACTED, FieldList, hide, restored, with_fields
from seatpool.proxy.layers.limits import NO_LIMITS, Limits
from seatpool.proxy.rewriting import edited, rewrite
from seatpool.proxy.shown import ClientQuota
from seatpool.proxy.tap import Tap, ending
from seatpool.service.memory.records import CUT, LEFT, Ending
from seatpool.service.trail import Answered, Assignment, Trail

logger = logging.getLogger(__name__)

_FRAMING = ("content-encoding", "transfer-encoding", "trailer", "etag", "content-md5", "digest")
"""Headers that are about the very bytes of a body."""
LOOP_DETECTED = 508
"""RFC 5842, 7.2."""


def _nobody() -> None:
    """Nobody minds."""


def _unexplained(_host: str) -> None:
    """Nobody knows."""


class Exchange(msgspec.Struct):
    """State of one flow on a pooled host."""

    provider: Provider
    headers: Headers
    """As the editor sent them."""
    hidden: dict[bytes, list[bytes]]
    """Values moved out of the flow, by lower-case name, in order."""
    address: tuple[str, str, int, bytes, str | None]
    """Scheme, host, port, authority and Host header as the editor sent them."""
    host: str
    """Name that the editor asked for, in lower case; in transparent mode the address above is a number."""
    client_id: str
    aimed: bool = False
    """The flow's request points elsewhere than where the editor sent it."""
    route: Route | None = None
    """Set where the request may move; None where it acts as the person."""
    facts: RequestFacts | None = None
    """What the request told; of a socket, what its messages told last."""
    wants_stream: bool | None = None
    """What `asks_for_stream` has found; None until somebody had to know."""
    rule: Rule | None = None
    """The rule that decides about it; one that may, as long as that is not known."""
    trail: Trail | None = None
    """Set while the pool has a hand in the flow; None where it goes on as the editor sent it."""
    parted: Callable[[], None] = _nobody
    """Set by the addon with the trail: to be called when the pool has a hand in the flow no longer."""
    sent_at: float = 0.0
    """Monotonic time of the present attempt's sending."""
    failure: Outcome | None = None
    """Set by the layer when an attempt got no answer, or one that says in its first events that it is none."""
    again: Assignment | None = None
    """Set by the addon when the request is to be sent again."""
    broke_off: bool = False
    """A whole answer did, and the client got one of ours."""
    partial: bytes | None = None
    """What came of a refusal's body before it broke off."""
    answer: http.Response | None = None
    """Set by the addon: what the editor gets where the upstream gave nothing."""
    refusals: dict[int, http.Response] = msgspec.field(default_factory=dict)
    """Answers that were not delivered, by number of the attempt."""
    hidden_body: bytes | None = None
    """A body with a credential in it, moved out of the flow; the client gets it."""
    body: bytes | None = None
    """What the present attempt sends in the place of the flow's body; None once it is out."""
    left: Callable[[], None] = _nobody
    """Set by the addon: to be called, as often as one likes, when the client has gone."""
    gone: bool = False
    """The client has gone before the answer was over."""
    moving: tuple[bytes, bytes] | None = None
    """Set by the addon: the client's message is to go out on a new upstream; else the client gets the other one."""
    closing: bool = False
    """Set by the addon: the socket is to be closed once what has come was passed on."""
    opening: Opening | None = None
    """Set by the addon where the beginning of a streamed answer is to be read before the client sees it."""
    begun: Callable[[], None] = _nobody
    """Set by the addon: what is to be noted when the client gets an answer; see `begins`."""
    tap: Tap | None = None
    """Set where the answer streams by."""
    explained: Callable[[str], str | None] = _unexplained
    """Why nothing comes of a host, where more is known of it than that the attempt failed."""
    received: list[Came] = msgspec.field(default_factory=list)
    """Every upstream's answer."""
    about: str | None = None
    """Name of the account that an answer of ours is about."""
    named: bool = False
    """The client is to be told whose its answer is."""
    quota: ClientQuota | None = None
    """Set where the client is to read other numbers of quota than those that came."""

    @classmethod
    def begin(cls, flow: http.HTTPFlow, provider: Provider, host: str) -> "Exchange":
        """Take the secrets out of a flow to this host that has just begun."""
        request = flow.request
        fields = request.headers.fields
        hidden = hide(request)
        address = (request.scheme, request.host, request.port, request.data.authority, request.headers.get("host"))
        return cls(provider, headers_of(fields), hidden, address, host.lower(), flow.client_conn.id)

    def receive(self, response: http.Response) -> None:
        """An upstream's answer has begun: take the secrets out of it."""
        self.partial = None
        self.received.append(Came.received(response, self.assignment))

    def part(self) -> None:
        """The flow goes on as the editor sent it, and whatever comes of that is no account's."""
        self.trail = None
        try:
            self.parted()
        except Exception:
            logger.exception("action=passthrough reason=not-released")

    def begins(self) -> None:
        """The client gets the answer, whose beginning needs no reading any more. Again does nothing."""
        begun, self.begun, self.opening = self.begun, _nobody, None
        begun()

    def hide_body(self, flow: http.HTTPFlow) -> None:
        """The whole answer is there, and about to be shown: take a credential's body out of it."""
        response = flow.response
        if (
            response is not None
            and response.raw_content
            and flow.request.path.partition("?")[0] in self.provider.secret_answers
        ):
            self.hidden_body = response.raw_content
            response.raw_content = REDACTED

    def asks_for_stream(self, request: http.Request) -> bool:
        """Whether the editor wants its answer event by event; its body is read for that once, and only where it may."""
        if self.wants_stream is None:
            self.wants_stream = self.route is not None and asks_for_stream(request)
        return self.wants_stream

    def came(self, response: http.Response | None) -> Came | None:
        """An upstream's answer, as it came; None for one of ours."""
        return next((came for came in self.received if came.response is response), None)

    def answer_headers(self, response: http.Response) -> Headers:
        """An answer's headers as they came."""
        return (self.came(response) or Came(response)).headers

    def deliver(self, response: http.Response) -> http.Response:
        """The answer as the client gets it: with the secrets that it came with, and its account if that is wanted."""
        came = self.came(response)
        told = (came.name if came is not None else self.about) if self.named else None
        if came is None:
            return Came(response).delivered(frozenset(), told, None)
        return came.delivered(came.misleading(self.provider, self.headers), told, self._shown())

    def _shown(self) -> Callable[[int, FieldList], FieldList] | None:
        """How the client is told of quota, where it is to read other numbers than those that came."""
        quota, trail = self.quota, self.trail
        if quota is None or trail is None or trail.current is None:
            return None

        def shown(status: int, fields: FieldList) -> FieldList:
            try:
                return quota.head(trail, status, fields)
            except Exception:
                logger.exception("action=passthrough reason=quota-not-shown")
                return fields

        return shown

    def apology(self, status: int, reason: str) -> http.Response:
        """An answer of ours, in the provider's own error shape, where the upstream gave none."""
        loop = self.explained(self.host)
        return self.say(LOOP_DETECTED, loop) if loop else self.say(status, f"upstream {reason}")

    def say(self, status: int, words: str) -> http.Response:
        """The same with words of our own."""
        facts = self.facts or RequestFacts(self.route or Route(self.provider.name, "other", "api"), ())
        return as_response(self.provider.unavailable(facts, status, f"seatpool: {words}"))

    def mend(self, refusal: http.Response, partial: bytes) -> None:
        """A refusal whose body broke off keeps its status and headers, and gets a body that is whole."""
        self.partial = partial
        whole = self.apology(refusal.status_code, "broke its refusal off")
        for name in _FRAMING:
            refusal.headers.pop(name, None)
        for name in ("content-type", "content-length"):
            refusal.headers[name] = whole.headers[name]
        refusal.raw_content = whole.raw_content

    @property
    def origin(self) -> str:
        """Where the editor sent the request: `https://host[:port]`, by name."""
        scheme, _, port, _, _ = self.address
        return f"{scheme}://{self.host}" if port == 443 else f"{scheme}://{self.host}:{port}"

    @property
    def bound(self) -> bool:
        """A rule forbids that it goes out with the editor's own login, or with any other that it does not name."""
        return self.rule is not None and self.rule.binding

    @property
    def assignment(self) -> Assignment | None:
        """The account that serves the flow now; None while it goes on as the editor sent it."""
        return self.trail.current if self.trail is not None else None

    def follow(self, flow: http.HTTPFlow, assignment: Assignment) -> None:
        """The flow goes to this account now, and says so to whoever looks at it."""
        self.aim(flow.request)
        wish = assignment.edits.wish
        substitute = f" model={wish.model}" if wish is not None and wish.model is not None else ""
        self.about = assignment.account.name
        flow.comment = f"account={assignment.account.name}{substitute}"

    def aim(self, request: http.Request) -> None:
        """Point the flow's request at the assigned account's host, or back at where the editor sent it."""
        assignment = self.assignment
        parts = urlsplit(assignment.edits.origin) if assignment is not None else None
        scheme, host, port, authority, host_header = self.address
        if self.aimed:
            request.data.scheme, request.data.host, request.data.port = scheme.encode(), host, port
            request.data.authority = authority
            if host_header is not None:
                request.headers["host"] = host_header
        if parts is not None and ((parts.hostname or "") != self.host or (parts.port or 443) != port):
            self.aimed = True
            request.data.scheme, request.data.port = parts.scheme.encode(), parts.port or 443
            request.host = parts.hostname or ""

    def wire(self, request: http.Request, upstream: str) -> http.Request:
        """The request as it goes to `upstream` (`scheme://host:port` of the connection that will carry it).

        This is the last moment: should somebody have pointed the flow elsewhere, no pooled credential goes along.
        """
        self.sent_at = time.monotonic()
        assignment = self.assignment
        upstream = self._taken_for(request, upstream)
        if assignment is not None and not self.provider.may_receive(assignment.account, upstream):
            # Another addon, an option or the editor sent the flow elsewhere: it goes as if the pool were not here.
            logger.warning(
                "account=%s action=withheld reason=foreign-host upstream=%r", assignment.account.name, upstream
            )
            self.part()
            assignment = None
        head = with_fields(request, self._fields(request, assignment))
        self.body = None
        repaired = self.trail.take_repaired() if assignment is not None and self.trail is not None else None
        wish = assignment.edits.wish if assignment is not None else None
        if (repaired is not None or wish is not None) and self.route is not None:
            try:
                self.body = rewrite(self.provider, self.route, self.headers, request, head, wish, repaired)
            except Exception:
                logger.exception("action=passthrough reason=not-rewritten")
        return head

    def _taken_for(self, request: http.Request, upstream: str) -> str:
        """`upstream`, or what the head names beside it where the account's credential may not go.

        A server that stands for many goes by the head. HTTP/1 can name a host in it twice, in the target as well, and
        servers differ in which they believe (RFC 9112, 3.2.2; benoitc/gunicorn pull 3723, netty/netty issue 17479).
        """
        if self.assignment is None:
            return upstream
        said = (request.data.authority, *(value for name, value in request.headers.fields if name.lower() == b"host"))
        named = (f"https://{each.decode('latin-1').lower()}" for each in said if each)
        account = self.assignment.account
        return next((each for each in named if not self.provider.may_receive(account, each)), upstream)

    def take_body(self, own: bytes) -> bytes:
        """The body that goes upstream now, where the flow's is `own`."""
        body, self.body = self.body, None
        return own if body is None else body

    def answered(self, status: int | None) -> Answered:
        """What is known of the present attempt's answer."""
        return Answered(status, (time.monotonic() - self.sent_at) * 1000 if status is not None else None)

    def ending(self, outcome: str, response: http.Response | None) -> Ending:
        """How the flow ended, so far as its answer did not tell."""
        if self.broke_off:
            outcome, response = CUT, None  # what the client got instead is not the account's
        cut = LEFT if self.gone and outcome == CUT else outcome
        took_ms = (time.monotonic() - self.sent_at) * 1000 if self.sent_at else None
        return ending(cut, took_ms, self.tap, response)

    def forget_answer(self) -> None:
        """What has begun is not what the client will get."""
        self.begun, self.opening, self.tap = _nobody, None, None

    def _fields(self, request: http.Request, assignment: Assignment | None) -> FieldList:
        # Whatever let it come to this, what a rule binds does not go out with the editor's own login.
        if assignment is None and self.bound:
            return [field for field in request.headers.fields if field[1] != REDACTED]
        fields = restored(request.headers.fields, self.hidden)
        return (
            edited(fields, assignment.edits, lowered=request.is_http2 or request.is_http3)
            if assignment is not None
            else fields
        )


class Exchanges:
    """The exchanges under way, by flow."""

    def __init__(self, limits: Limits = NO_LIMITS, explained: Callable[[str], str | None] = _unexplained) -> None:
        """`explained`: why nothing comes of a host."""
        self.limits = limits
        """Of attempts, for connections that begin from now on."""
        self.named = False
        """Clients are told whose their answers are."""
        self.quota: ClientQuota | None = None
        """None: clients read what came of quota."""
        self.at_once: Callable[[StartHook], StartHook | None] | None = None
        """Calls the addons with a stream's hook, and gives what is to be sent in its place, if anything.

        None: hooks are sent.
        """
        self._explained = explained
        self._open: dict[str, Exchange] = {}

    def __len__(self) -> int:
        return len(self._open)

    def get(self, flow: http.HTTPFlow) -> Exchange | None:
        """The exchange of a flow, None where its host is not pooled or it is over."""
        return self._open.get(flow.id)

    def begin(self, flow: http.HTTPFlow, provider: Provider, host: str) -> Exchange:
        """Begin one."""
        exchange = self._open[flow.id] = Exchange.begin(flow, provider, host)
        exchange.explained, exchange.named, exchange.quota = self._explained, self.named, self.quota
        return exchange

    def end(self, flow_id: str) -> Exchange | None:
        """End one; None when it had ended before."""
        return self._open.pop(flow_id, None)

    def of_client(self, client_id: str | None = None) -> list[str]:
        """Ids of the flows of one client connection, or of all, that are still open."""
        return [flow_id for flow_id, exchange in self._open.items() if client_id in (None, exchange.client_id)]
