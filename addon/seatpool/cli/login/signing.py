"""One sign-in from the first request to the row in the database."""

from collections.abc import Callable, Sequence

import click

from seatpool.cli.login import callback_page
from seatpool.cli.login.callback import listening
from seatpool.cli.login.screen import LoginScreen
from seatpool.cli.saving import save
from seatpool.core.model import Account, ProviderName
from seatpool.providers.codex.signin import Redirect
from seatpool.providers.logins import ImportedLogin
from seatpool.providers.signin import NotSignedIn, SignedIn, SignIn
from seatpool.service.logins.signin import sign_in
from seatpool.service.network.transport import Transport, TransportSettings
from seatpool.store import NameTaken, Store, StoreError

MayReceive = Callable[[str], bool]


class LoginFailed(click.ClickException):
    """It ended without a login."""

    def __init__(self, outcome: NotSignedIn, trouble: str | None) -> None:
        because = f" ({trouble})" if outcome.code == "offline" and trouble else ""
        super().__init__(outcome.message + because)
        self.page = (callback_page.denied if outcome.code == "denied" else callback_page.failed)(outcome.message)


class NotStored(click.ClickException):
    """Somebody was signed in, but the database would not have it."""

    def __init__(self, error: StoreError) -> None:
        super().__init__(f"signed in, but it could not be stored: {error}; sign in again when that is mended")
        self.page = callback_page.failed("You were signed in, but it could not be stored. The terminal says why.")


def check_store(store: Store) -> None:
    """Raises `StoreError` where the database can be read but not written: by a write that changes nothing."""
    store.release("login", "nobody")


def check_name(store: Store, name: str | None, provider: ProviderName, issuer: str | None) -> None:
    """Raises `NameTaken` where another account is sure to have that name. `issuer` None: the provider has but one."""
    for account in store.accounts():
        if account.name == name and (account.provider is not provider or issuer not in (None, account.issuer)):
            raise NameTaken(account.name)


class Login:
    """`saved` is set as soon as the account is in the database."""

    def __init__(self, store: Store, screen: LoginScreen, settings: TransportSettings, name: str | None) -> None:
        self.saved: tuple[Account, bool] | None = None
        """The account, and whether it is a new one."""
        self._store = store
        self._screen = screen
        self._settings = settings
        self._name = name

    @property
    def account(self) -> Account:
        """As it was stored."""
        assert self.saved is not None
        return self.saved[0]

    @property
    def added(self) -> bool:
        """Whether it is a new one."""
        assert self.saved is not None
        return self.saved[1]

    async def by_code(self, flow: SignIn, may_receive: MayReceive) -> None:
        """With a code that is typed elsewhere. Raises `LoginFailed` and `NotStored`."""
        self._keep(await self._go_through(flow, may_receive))

    async def by_browser(
        self, begin: Callable[[str], SignIn], may_receive: MayReceive, redirects: Sequence[Redirect], *, opens: bool
    ) -> None:
        """With a browser that comes back here; its page tells what came of it. Raises `LoginFailed`, `NotStored`."""
        async with listening(redirects) as listener:
            if listener.port != redirects[0].port:
                self._screen.say(
                    f"Port {redirects[0].port} is taken, perhaps by another sign-in; "
                    f"the browser comes back to port {listener.port} instead."
                )
            self._screen.browser(listener, opens=opens)
            try:
                self._keep(await self._go_through(begin(listener.redirect_uri), may_receive))
            except (LoginFailed, NotStored) as ended:
                listener.conclude(ended.page)
                raise
            listener.conclude(callback_page.signed_in(self.account.name, self.account.plan))

    async def _go_through(self, flow: SignIn, may_receive: MayReceive) -> SignedIn:
        transport = Transport(self._settings)
        try:
            outcome = await sign_in(flow, transport, self._screen, may_receive=may_receive)
        finally:
            await transport.close()
        if isinstance(outcome, NotSignedIn):
            raise LoginFailed(outcome, self._screen.trouble)
        for doubt in outcome.doubts:
            self._screen.say(f"Note: {doubt}")
        return outcome

    def _keep(self, outcome: SignedIn) -> None:
        """Not interruptible, since nothing is awaited: either all of it is stored, or nothing."""
        try:
            try:
                self.saved = self._store_as(outcome.login, self._name)
            except NameTaken as taken:
                self.saved = self._store_as(outcome.login, None)
                self._screen.say(
                    f"Note: {taken}; this one is {self.account.name} for now, `account rename` changes it."
                )
        except StoreError as error:
            raise NotStored(error) from error
        try:
            self._store.record(windows=[(self.account.id, window) for window in outcome.windows])
        except StoreError as error:
            self._screen.say(f"Note: its quota was not stored: {error}")

    def _store_as(self, login: ImportedLogin, name: str | None) -> tuple[Account, bool]:
        if login.identity is None:
            nobody = NotSignedIn("unreadable", f"{login.issuer} did not say whose login this is; nothing was stored.")
            raise LoginFailed(nobody, None)
        return save(self._store, login, name)
