"""What a person sees of a sign-in that is under way. All of it goes to standard error: the result is the output."""

import asyncio
from datetime import datetime
from typing import Self

from rich.align import Align
from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from seatpool.cli.login.aside import copy, has_display, open_browser
from seatpool.cli.login.callback import CallbackListener
from seatpool.clock import utcnow
from seatpool.providers.signin import Callback, Invitation, Visit


class LoginScreen:
    """`with LoginScreen(console) as screen:` a last line that counts down, on a terminal; plain lines anywhere else."""

    def __init__(self, console: Console) -> None:
        self.trouble: str | None = None
        """Why the issuer could not be reached the last time."""
        self._console = console
        self._alive = console.is_terminal and not console.is_dumb_terminal
        self._doing = "one moment"
        self._until: datetime | None = None
        self._told: int | None = None
        self._listener: CallbackListener | None = None
        self._opens = False
        self._pace_s: float | None = None
        self._live = Live(
            get_renderable=self._status,
            console=console,
            transient=True,
            refresh_per_second=4,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Self:
        if self._alive:
            self._live.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._alive:
            self._live.stop()

    def say(self, line: str) -> None:
        """One line that stays."""
        self._console.print(Text(line), soft_wrap=True)

    def doing(self, what: str, until: datetime | None = None) -> None:
        """What is waited for from now on, and for how long at most."""
        self._doing, self._until, self._told = what, until, None
        self._tell_minutes()

    async def invite(self, invitation: Invitation) -> None:
        """The code, large, and where to type it."""
        code = _visible(invitation.code)
        self.say(f"Open {_visible(invitation.url)} in any browser, on any machine, and type this code: {code}")
        if invitation.needs:
            self.say(invitation.needs)
        if self._alive:
            large = Text(" ".join(code), style="bold", no_wrap=True)
            self._console.print(Align.center(Panel(large, padding=(1, 4), title="your code", expand=False)))
            if await copy(code):
                self.say("The code is copied to the clipboard.")
        self.trouble = self._pace_s = None
        self.doing("waiting for you to confirm", invitation.expires_at)

    def browser(self, listener: CallbackListener, *, opens: bool) -> None:
        """Where a browser will come back, and whether one is to be opened."""
        self._listener, self._opens = listener, opens

    async def visit(self, visit: Visit) -> Callback | None:
        """Send the person's browser to the issuer, and wait until it is back."""
        assert self._listener is not None, "a flow without a browser visits nobody"
        if self._opens and has_display():
            self.say("Your browser opens this address; if it does not, open it yourself, on this machine:")
            open_browser(visit.url)
        elif self._opens:
            port = self._listener.port
            self.say("There is no display here. Open this address in a browser on this very machine, or end this and")
            self.say("sign in with a code on any other: seatpool login codex --device")
            self.say(f"Over SSH a browser at home will do as well, after: ssh -L {port}:localhost:{port} THIS-MACHINE")
        else:
            self.say("Open this address in a browser on this machine:")
        self.say(visit.url)
        self.doing("waiting for the browser", visit.expires_at)
        try:
            async with asyncio.timeout((visit.expires_at - utcnow()).total_seconds()):
                came = await self._listener.wait(visit)
        except TimeoutError:
            return None
        self.doing("checking the account")
        return came

    async def pause(self, seconds: float) -> None:
        """Wait, and say so when the issuer has asked to be left alone for longer."""
        if self._pace_s is not None and seconds > self._pace_s:
            self.say(f"The issuer asks for patience: looking again every {seconds:.0f} s.")
        self._pace_s = seconds
        self._tell_minutes()
        await asyncio.sleep(seconds)

    def unreachable(self, reason: str) -> None:
        """Remembered for the end; told at once where a person's confirmation is being waited for."""
        if self.trouble is None and self._until is not None:
            self.say(f"The issuer does not answer ({reason}); still trying.")
        self.trouble = reason

    def _status(self) -> Text:
        line = Text(f"{self._doing} ...", style="dim")
        if self._until is not None:
            line.append(f"  {_clock(self._until)} left", style="not dim bold")
        return line.append("  (Ctrl-C ends it)")

    def _tell_minutes(self) -> None:
        """The countdown of those who have no terminal: a line for each minute."""
        if self._alive or self._until is None:
            return
        left = round((self._until - utcnow()).total_seconds() / 60)
        if left != self._told:
            self._told = left
            self.say(f"{self._doing}: {left} min left")


def _clock(until: datetime) -> str:
    left = max(0, round((until - utcnow()).total_seconds()))
    return f"{left // 60}:{left % 60:02d}"


def _visible(text: str) -> str:
    """What an issuer sent, without anything that would steer a terminal."""
    return "".join(filter(str.isprintable, text))
