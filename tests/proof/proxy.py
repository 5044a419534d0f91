"""One simulated process: the real store, service and addon, behind mitmproxy's own connection handler."""

from collections.abc import Callable
from typing import Any

from mitmproxy import ctx, http, options
from mitmproxy.addonmanager import AddonManager
from mitmproxy.addons.proxyauth import ProxyAuth
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.connection import Server
from mitmproxy.proxy import commands
from mitmproxy.proxy.layers.http import HTTPMode
from mitmproxy.proxy.layers.tls import TlsStartServerHook
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.proxy.server import LiveConnectionHandler

from seatpool.core.policy import Policy
from seatpool.proxy.addon import Pool
from seatpool.proxy.layers.replay import PoolHttpLayer
from seatpool.proxy.options import OPTIONS
from seatpool.proxy.settings import limits_of
from seatpool.proxy.shortcuts import dispatch, turns
from seatpool.service.memory.records import CUT
from seatpool.service.memory.writer import GATHER_S, Row, Writer
from seatpool.service.pool import PoolService
from seatpool.store import Ear, Store
from seatpool.store.databases.watching import EVERY_S
from tests.proof.issuer import Issuer, Sender
from tests.proof.loop import Loop, Owner
from tests.proof.network import Clear, Far, Line, accept

HEARS = 0.8
"""Share of the processes that can watch the database's file; the others ask."""
MODE = ProxyMode.parse("regular")


class Router:
    """In the place of mitmproxy's master and of its server: finds the connection that a message is to go into."""

    def __init__(self) -> None:
        self.connections: dict[str, LiveConnectionHandler] = {}
        self.ears: list[Ears] = []
        self.loop: Loop | None = None
        self.addons = self.commands = self
        self.options = options.Options()

    def get(self, name: str) -> "Router":
        assert name == "proxyserver"
        return self

    def listen_addrs(self) -> list[tuple[str, int]]:
        return []

    def inject_event(self, event: Any) -> None:
        handler = self.connections.get(event.flow.client_conn.id)
        if handler is None:
            raise ValueError("Flow is not from a live connection.")
        assert self.loop is not None
        self.loop.create_task(handler.server_event(event))

    def call(self, name: str, flow: http.HTTPFlow, to_client: bool, message: bytes) -> None:
        """`inject.websocket`, as mitmproxy has it."""
        assert name == "inject.websocket"
        Proxyserver.inject_websocket(self, flow, to_client, message)  # type: ignore[arg-type]


ROUTER = Router()


def set_up() -> None:
    """mitmproxy's options and master, the same for all."""
    made = options.Options()
    for addon in (Proxyserver(), ProxyAuth()):
        addon.load(made)  # type: ignore[arg-type, no-untyped-call]
    for option in OPTIONS:
        made.add_option(option.name, option.typespec, option.default, option.help, option.choices)
    made.update(pool_header_timeout_s="15")  # everybody waits for what is never answered
    turns.install()
    ctx.options, ctx.master = made, ROUTER  # type: ignore[assignment]


class Stepping(Writer):
    """The writer, whose thread is one of the simulated world's."""

    loop: Loop
    owner: Owner

    def start(self) -> None:
        self.loop, self.owner = ROUTER.loop, ROUTER.loop.owner  # type: ignore[assignment, union-attr]
        self._due = False

    def put(self, row: Row) -> None:
        super().put(row)
        self.look()

    def look(self) -> None:
        if not self._due:
            self._due = True
            self.loop.post(self.owner, self.loop.random.random() * GATHER_S, self._turn)

    def _turn(self) -> None:
        self._due = False
        self.loop.run_in_executor(None, self.step)
        if self._rows:
            self.look()

    def close(self) -> None:
        self.step()


class Handler(LiveConnectionHandler):
    """One editor's connection."""

    def __init__(self, proxy: "Proxy", reader: Any, writer: Any, host: str, alpn: bytes) -> None:
        super().__init__(reader, writer, ctx.options, MODE)
        self._proxy = proxy
        self.client.tls, self.client.alpn, self.client.sni = True, alpn, host
        context = self.layer.context
        context.server = Server(address=(host, 443))
        context.server.tls, context.server.sni = True, host
        self.layer = PoolHttpLayer(context, HTTPMode.transparent, proxy.pool.exchanges)

    async def handle_hook(self, hook: commands.StartHook) -> None:
        proxy = self._proxy
        with self.timeout_watchdog.disarm():
            if type(hook) is TlsStartServerHook:
                hook.data.ssl_conn = Clear(self.client.alpn or b"http/1.1")  # type: ignore[assignment]
                return
            began = proxy.loop.now
            await proxy.addons.trigger_event(hook)
            proxy.decided(hook, began)


class Ears:
    """In the place of the thread that watches the database's file; of the simulated world, as the writer's is."""

    def __init__(self, loop: Loop, wake: Callable[[], None]) -> None:
        self._loop = loop
        self._owner = loop.owner
        self._wake = wake
        self._due = False
        self.hearing = loop.random.random() < HEARS
        self.stir()

    def stir(self) -> None:
        """Somebody has committed something."""
        if self.hearing and not self._due:
            self._due = True
            self._loop.post(self._owner, self._loop.random.random() * EVERY_S, self._ring)

    def _ring(self) -> None:
        self._due = False
        self._wake()

    def close(self) -> None:
        """Hear no more."""
        self.hearing = False


class Watched(Store):
    """A store whose file is watched by the simulated world."""

    def listen(self, wake: Callable[[], None]) -> Ear:
        """Be told of commits."""
        assert ROUTER.loop is not None
        ears = Ears(ROUTER.loop, wake)
        ROUTER.ears.append(ears)
        return ears


class Proxy:
    """A process. Once it is killed, another one may be started over the same database."""

    def __init__(self, loop: Loop, issuer: Issuer, name: str, database: str, policy: Policy, skew_s: float) -> None:
        self.loop = loop
        self.owner = Owner(name, skew_s)
        self.began_at = loop.now
        self.lines: list[Line] = []
        self.flows: dict[str, tuple[str, float]] = {}
        """By an editor's request: the flow, and when the decision for what is sent now was begun."""
        self.known: dict[str, float] = {}
        """When each account's limit ends, as far as this process was told; in upstream's time."""
        self.off_s: dict[str, float] = {}
        """By how much the clock was off when it was told of that; less what this had drifted by then."""
        self.told_at: dict[str, float] = {}
        self.told: Callable[[Proxy, str], None] = lambda proxy, request: None
        """To be called when it has dealt with a refusal of that request."""
        self.ending = False
        """It takes nobody any more."""
        self.rogue = 0.0
        """Share of the flows that another addon sends elsewhere."""
        with loop.acting(self.owner):
            self.store = Watched.open(database)
            self.service = PoolService(self.store, Sender(issuer, self.owner), policy, writer=Stepping)
            self.pool = Pool()
            self.addons = AddonManager(ROUTER)  # type: ignore[arg-type]
            self.addons.chain = [self.pool]
            dispatch.install(self.addons)
            self.pool.serving.service = self.service
            self.pool.exchanges.limits = limits_of(ctx.options)
            self.service.load()
            self.service.start()

    @property
    def dead(self) -> bool:
        return self.owner.dead

    def accept(self, far: Far, host: str, alpn: bytes = b"http/1.1") -> Line:
        """An editor connects, and means that host."""
        with self.loop.acting(self.owner):
            reader, writer, line = accept(self.loop, self.owner, far)
            self.lines.append(line)
            handler = Handler(self, reader, writer, host, alpn)
            self.loop.create_task(self._serve(handler))
        return line

    async def _serve(self, handler: Handler) -> None:
        ROUTER.connections[handler.client.id] = handler
        try:
            await handler.handle_client()
        finally:
            ROUTER.connections.pop(handler.client.id, None)

    def decided(self, hook: commands.StartHook, began: float) -> None:
        """After a hook."""
        if hook.name not in ("request", "pool_recover"):
            return
        (flow,) = hook.args()
        request = flow.request.headers.get("x-tag", "")
        self.flows[request] = (flow.id, began)
        if hook.name == "pool_recover":
            self.told(self, request)
        if hook.name == "request" and flow.response is None and self.loop.random.random() < self.rogue:
            self.loop.note(f"another addon sends {flow.id[:4]} elsewhere")
            flow.request.host = "evil.example"

    def follow(self, policy: Policy) -> None:
        """As mitmproxy's `set` does."""
        with self.loop.acting(self.owner):
            self.service.set_policy(policy)

    def end(self, ended: Callable[[], None]) -> None:
        """As mitmproxy does: its clients are left, then the addon finishes what is under way."""
        self.ending = True
        with self.loop.acting(self.owner):
            self.loop.create_task(self._end(ended))

    async def _end(self, ended: Callable[[], None]) -> None:
        for flow_id in self.pool.exchanges.of_client():
            self.pool._end(flow_id, CUT)
        self.pool.serving.service = None
        await self.service.stop()
        ended()

    def kill(self) -> None:
        """Nothing of it is left but what is in the database."""
        self.loop.note(f"{self.owner} is killed")
        self.loop.kill(self.owner)
        for line in self.lines:
            line.kill()
        self.lines.clear()

    def bury(self) -> None:
        """Give everything back to the machine."""
        self.store.close()
