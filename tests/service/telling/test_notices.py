"""A person is told once of each thing, whichever process sees it, by their desktop and by their webhook."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from seatpool.core import notices as told
from seatpool.core.model import Account, ProviderName, Scope, ScopeKind
from seatpool.core.notices import Expiry, Kind, Notice
from seatpool.core.policy import Policy
from seatpool.core.state import PoolState
from seatpool.service.memory.meters import Meters
from seatpool.service.network.transport import Transport
from seatpool.service.telling.desktop import call
from seatpool.service.telling.notices import REMEMBERED, Notices
from seatpool.service.telling.webhook import refusal, said
from seatpool.store import Store
from tests.harness import REPOSITORY
from tests.harness.receiver import Receiver, receiving

NOW = datetime.now(UTC)
SECRET = "s3cr3t-part"


def account(name: str = "alice", **more: object) -> Account:
    fields = {"id": 1, "provider": ProviderName.CODEX, "identity": "ws/user@person", "issuer": "chatgpt.com"}
    return Account(**{**fields, "name": name, **more})  # type: ignore[arg-type]


class Process:
    """What one proxy has of it; all share a database."""

    def __init__(self, store: Store, policy: Policy) -> None:
        self.state, self.meters = PoolState(), Meters()
        self.notices = Notices(store, self.state, self.meters, Transport())
        self.notices.follow(policy)

    async def look(self, *accounts: Account) -> None:
        for each in accounts:
            self.state.put(each, NOW)
        self.notices.look()
        await self.notices.stop()

    async def tell(self, notice: Notice) -> None:
        self.notices.tell(notice)
        await self.notices.stop()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
def policy(receiver: Receiver) -> Policy:
    return Policy(webhook=f"http://127.0.0.1:{receiver.port}/{SECRET}?tpl=1")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(str(tmp_path / "pool.db"))


async def test_each_is_told_once_for_all_processes_until_its_own_end(
    store: Store, policy: Policy, receiver: Receiver
) -> None:
    one, two = Process(store, policy), Process(store, policy)
    scope = Scope(ScopeKind.MODEL, "gpt-x")
    until = NOW + timedelta(hours=2)
    limited = told.switched(account(), scope, "usage_limit_reached", until, "bob", NOW)
    for process in (one, two, one, two):
        await process.tell(limited)
    await two.tell(told.switched(account(), Scope(ScopeKind.MODEL, "gpt-y"), "x", None, "bob", NOW))
    for process in (two, one):
        await process.tell(told.exhausted(ProviderName.CODEX, until, NOW))
    kinds = [posted.json["kind"] for posted in receiver.got]
    assert kinds == ["switched", "switched", "exhausted"]
    first = receiver.got[0]
    assert (first.path, first.headers["content-type"]) == (f"/{SECRET}?tpl=1", "application/json")
    assert first.json["text"] == (
        f"alice is limited for gpt-x until {until.astimezone():%H:%M} (usage_limit_reached); requests go on with bob."
    )
    assert (first.json["account"], datetime.fromisoformat(first.json["until"])) == ("alice", until)
    assert "@person" not in "".join(posted.body.decode() for posted in receiver.got)
    assert one.meters.notices == {("switched", "sent"): 1} and SECRET not in repr(policy)
    over = replace(limited, again_at=NOW - timedelta(seconds=1))
    three = Process(store, policy)
    await three.tell(replace(over, about="9:other"))
    await two.tell(replace(limited, about="9:other"))
    assert len(receiver.got) == 5, "when its time is over, it may be told again"


async def test_what_a_person_has_to_do_is_told_until_it_is_done(
    store: Store, policy: Policy, receiver: Receiver
) -> None:
    one, two = Process(store, policy), Process(store, policy)
    broken = account("alice", disabled="renewal-refresh_token_reused")
    flagged = account("bob", id=2, disabled="revoked-abuse")
    for process in (one, two, one):
        await process.look(broken, flagged)
    signing, disabled = sorted((posted.json for posted in receiver.got), key=lambda told: -len(told["account"]))
    assert (signing["kind"], disabled["kind"]) == ("sign-in", "disabled")  # whichever was sent first
    assert signing["text"] == (
        "alice has to sign in again (refresh_token_reused), with: seatpool login codex --name alice"
    )
    assert "seatpool account resume bob" in disabled["text"]
    await one.look(replace(flagged, disabled=None))
    await two.look(replace(flagged, disabled=None))
    await two.look(flagged)
    await one.look(flagged)
    assert [posted.json["kind"] for posted in receiver.got[2:]] == ["disabled"], "again, since it was resumed between"
    three = Process(store, policy)
    await three.look(replace(flagged, disabled=None))
    await three.look(flagged)
    assert len(receiver.got) == 4, "a resumption while nobody ran counts as well"


async def test_certificates_that_end_within_two_weeks_are_told_once_a_day(
    store: Store, policy: Policy, receiver: Receiver
) -> None:
    process = Process(store, policy)
    ends = NOW + timedelta(days=13)
    process.notices.expiry = lambda: Expiry(NOW + timedelta(days=15), None)
    await process.look()
    assert receiver.got == []
    process.notices.expiry = lambda: Expiry(ends, ends - timedelta(days=2))
    await process.look()
    await process.look()
    (posted,) = receiver.got
    assert posted.json["kind"] == "certificate"
    assert f"{ends:%d %B %Y}" in posted.json["text"] and "seatpool ca trust" in posted.json["text"]


async def test_one_that_reached_nobody_is_told_again_later_and_names_no_address(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    async with receiving(500) as receiver:
        process = Process(store, Policy(webhook=f"http://127.0.0.1:{receiver.port}/{SECRET}"))
        for _ in range(2):
            await process.look(account(disabled="renewal-x"))
        assert len(receiver.got) == 1, "no storm of attempts"
    assert process.meters.notices == {("sign-in", "failed"): 1}
    assert "127.0.0.1 answered 500" in caplog.text and SECRET not in caplog.text
    async with receiving() as receiver:
        other = Process(store, Policy(webhook=f"http://127.0.0.1:{receiver.port}/"))
        await other.look(account(disabled="renewal-x"))
        assert len(receiver.got) == 1, "nobody has told it so far"


async def test_nobody_waits_for_one_who_does_not_answer(store: Store, policy: Policy, receiver: Receiver) -> None:
    receiver.silent = True
    process = Process(store, policy)
    process.notices.tell(told.test(NOW + timedelta(days=1)))
    while not receiver.got:
        await asyncio.sleep(0.01)
    async with asyncio.timeout(5):
        await process.notices.stop(within_s=0.1)


async def test_what_was_told_is_remembered_without_end_only_by_the_database(store: Store) -> None:
    process = Process(store, Policy(webhook="http://127.0.0.1:1/"))
    for number in range(REMEMBERED + 20):
        process.notices._told[str(number)] = NOW + timedelta(days=1 if number % 2 else -1)
    await process.tell(told.test(NOW + timedelta(days=1)))
    assert len(process.notices._told) == (REMEMBERED + 20) // 2 + 1
    for number in range(REMEMBERED):
        process.notices._told[str(number)] = NOW + timedelta(days=1)
    await process.tell(replace(told.test(NOW + timedelta(days=1)), about="other"))
    assert len(process.notices._told) == REMEMBERED


async def test_without_a_way_nothing_happens(store: Store) -> None:
    process = Process(store, Policy())
    await process.look(account(disabled="renewal-x"))
    assert process.meters.notices == {}


@pytest.mark.parametrize(
    ("url", "may"),
    [
        ("https://hooks.example/x", True),
        ("http://127.0.0.1:9/x", True),
        ("http://[::1]:9/x", True),
        ("http://localhost/x", True),
        ("http://hooks.example/x", False),
        ("ftp://127.0.0.1/", False),
        ("https://", False),
        ("http://127.0.0.1:no/", False),
    ],
)
def test_addresses_are_of_this_machine_or_in_tls(url: str, may: bool) -> None:
    assert (refusal(url) is None) is may


NASTY = Notice(Kind.TEST, "x", 'it\'s "$(odd)"', "<b>'; -- \\ \u00e9\nline", NOW)


@pytest.mark.parametrize(
    ("platform", "has", "program"),
    [
        ("darwin", (), "osascript"),
        ("win32", (), "powershell.exe"),
        ("linux", ("notify-send", "gdbus"), "notify-send"),
        ("linux", ("gdbus",), "gdbus"),
    ],
)
def test_each_platform_has_its_program_and_what_is_said_is_never_a_script(
    platform: str, has: tuple[str, ...], program: str
) -> None:
    found = call(NASTY, platform, lambda name: name if name in has else None)
    assert found is not None and found.argv[0] == program
    scripts = [part for part in found.argv if "display notification" in part or "ToastNotificationManager" in part]
    assert not any(NASTY.title in script or NASTY.text in script for script in scripts)
    assert (NASTY.title in found.argv or NASTY.title in found.env.values()) is (program != "gdbus")


def test_notify_send_is_given_backslashes_as_it_takes_them() -> None:
    found = call(NASTY, "linux", lambda name: name)
    assert found is not None and found.argv[-1] == "&lt;b&gt;'; -- \\\\ \u00e9\nline"


def test_each_receiver_finds_the_words_by_the_name_it_looks_for_and_a_strict_one_nothing_else() -> None:
    told_all = said(NASTY, "hooks.example")
    assert {told_all[name] for name in ("text", "content", "message")} == {NASTY.text}
    assert (told_all["kind"], told_all["title"]) == ("test", NASTY.title)
    assert said(NASTY, "chat.googleapis.com") == {"text": NASTY.text}


def test_where_nothing_can_show_it_that_is_said() -> None:
    assert call(NASTY, "linux", lambda _: None) is None


SERVICE = """
import json, sys
from jeepney import HeaderFields, MessageType, new_method_return, DBusAddress, new_method_call
from jeepney.io.blocking import open_dbus_connection
from jeepney.bus_messages import message_bus
here = open_dbus_connection("SESSION")
here.send_and_get_reply(message_bus.RequestName("org.freedesktop.Notifications"))
print("ready", flush=True)
while True:
    message = here.receive()
    if message.header.fields.get(HeaderFields.member) == "Notify":
        print(json.dumps(message.body[:5]), flush=True)
        here.send(new_method_return(message, "u", (1,)))
        break
"""


def test_the_command_reaches_a_notification_service_over_a_real_session_bus(tmp_path: Path) -> None:
    runner, gdbus = shutil.which("dbus-run-session"), shutil.which("gdbus")
    if runner is None or gdbus is None:
        pytest.skip("needs dbus-run-session and gdbus")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "gdbus").symlink_to(gdbus)
    (tmp_path / "service.py").write_text(SERVICE)
    script = (
        f"{sys.executable} {tmp_path / 'service.py'} > {tmp_path / 'said'} & "
        f"until grep -q ready {tmp_path / 'said'}; do sleep 0.05; done; "
        f"PATH={tmp_path / 'bin'} {sys.executable} -m seatpool.cli notify test && wait"
    )
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY / "addon")}
    ran = subprocess.run([runner, "--", "sh", "-c", script], env=env, capture_output=True, text=True, timeout=30)
    assert ran.returncode == 0, ran
    assert ran.stdout.startswith("sent by desktop")
    said = (tmp_path / "said").read_text().splitlines()[1]
    assert said == '["seatpool", 0, "", "seatpool: test", "Notices of seatpool arrive here."]'


async def test_the_command_posts_to_a_webhook_or_says_why_not(receiver: Receiver) -> None:
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY / "addon"), "PATH": "/nowhere"}

    async def run(*arguments: str) -> tuple[int | None, str]:
        pipe = asyncio.subprocess.PIPE
        command = (sys.executable, "-m", "seatpool.cli", "notify", "test", *arguments)
        process = await asyncio.create_subprocess_exec(*command, env=env, stdout=pipe, stderr=pipe)
        out, err = await process.communicate()
        return process.returncode, (out + err).decode().splitlines()[-1]

    url = f"http://127.0.0.1:{receiver.port}/hook"
    sent, plain, nobody = await asyncio.gather(run("--webhook", url), run("--webhook", "http://hooks.example/x"), run())
    assert sent == (0, "sent by webhook; with a proxy: seatpool run -- --set pool_webhook=URL")
    assert receiver.got[0].json["kind"] == "test"
    assert (plain[0], plain[1][:17]) == (2, "Error: --webhook:")
    assert nobody == (1, "Error: nobody was told: neither notify-send nor gdbus is installed")
