"""What systems are told, where they are not at hand: checked against what their manuals say."""

import plistlib
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

from seatpool.setup import address
from seatpool.setup.staying import Job, Machine, NoKeeper, Unfit, keeper, make
from seatpool.setup.staying.keepers import Answer, Command

PROXY = address.parse("http://127.0.0.1:8081")
ODD = 'a "b" %h $HOME \\ c'


def job(*arguments: str, database: str = "", proxy: address.Address = PROXY, **environ: str) -> Job:
    return make(proxy, database, arguments, environ, Path("/opt/no such/python"))


def machine(system: str, home: Path, ask: Callable[[Command], Answer] | None = None) -> Machine:
    return Machine(
        system=system,
        home=home,
        data=home / "data",
        environ={"USERNAME": "alice", "USERDOMAIN": "DESK"},
        which=lambda name: name,
        ask=ask or (lambda command: Answer(113, "", "Could not find service")),
        user=501,
    )


def test_what_is_run_is_the_installed_command_with_what_the_person_has_said(tmp_path: Path) -> None:
    made = job("--set", "pool_strategy=drain", database="x/pool.db", SEATPOOL_KEYRING="off", HTTPS_PROXY="http://no")
    assert made.command[:5] == ("/opt/no such/python", "-P", "-m", "seatpool.cli", "run")
    assert made.command[5:] == (
        *("--db", str(Path("x/pool.db").absolute()), "--port", "8081", "--"),
        *("--set", "flow_detail=0", "--set", "pool_strategy=drain"),
    )
    assert made.environ == (("PYTHONUNBUFFERED", "1"), ("SEATPOOL_KEYRING", "off"))
    (tmp_path / "seatpool").touch()
    assert make(PROXY, "", (), {}, tmp_path / "python").command[:2] == (str(tmp_path / "seatpool"), "run")
    (tmp_path / "pythonw.exe").touch()
    windows = make(PROXY, "", ("--set=flow_detail=1",), {}, tmp_path / "python").command
    assert windows == (
        str(tmp_path / "pythonw.exe"),
        "-P",
        "-m",
        "seatpool.cli",
        "run",
        "--port",
        "8081",
        "--",
        "--set=flow_detail=1",
    )
    elsewhere = job(proxy=address.parse("http://[::1]:8081"))
    assert elsewhere.command[-4:-2] == ("--listen-host", "::1")


def test_what_libpq_is_told_of_the_server_goes_along_but_for_the_password() -> None:
    told = {"PGSERVICE": "pool", "PGOPTIONS": "-c search_path=apart", "PGSSLMODE": "verify-full"}
    made = job(database="postgresql+psycopg://", PGPASSWORD="FAKESECRET", **told)
    assert dict(made.environ) == {"PYTHONUNBUFFERED": "1", **told}


@pytest.mark.parametrize(
    "arguments",
    [
        ("--set", "proxyauth=me:FAKESECRET"),
        ("--set=upstream_auth=me:FAKESECRET",),
        ("--proxyauth", "me:FAKESECRET"),
        ("--proxyauth=me:FAKESECRET",),
        ("--upstream-auth", "me:FAKESECRET"),
        ("--upstream-auth=me:FAKESECRET",),
        ("--proxya", "me:FAKESECRET"),
        ("--upstream-a", "me:FAKESECRET"),
        ("--upstream-a=me:FAKESECRET",),
        ("--cert-passphrase", "FAKESECRET"),
        ("--cert-pass=@FAKESECRET",),
        ("--set", "web_password=FAKESECRET"),
        ("--set", "pool_webhook=https://hooks.slack.com/services/FAKESECRET"),
        ("--set", "pool_otlp_endpoint=https://otlp.example/?token=FAKESECRET"),
        ("--set", "pool_db=postgresql://me@h/n?sslpassword=FAKESECRET"),
        ("--mode", "upstream:http://me:FAKESECRET@host:1"),
        ("--mode", "upstream:http://me:FAKE/SECRET@host:1"),
    ],
)
def test_a_secret_is_never_written_down(arguments: tuple[str, ...]) -> None:
    with pytest.raises(Unfit) as refused:
        job(*arguments)
    assert "SECRET" not in str(refused.value)
    assert "config.yaml" in str(refused.value)


@pytest.mark.parametrize(
    "database",
    [
        "postgresql+psycopg://me@h/n?password=FAKESECRET",
        "postgresql://me:FAKE/SECRET@h/n",
        "postgresql://me:FAKE@CRET@h/n",
    ],
)
def test_a_database_with_a_password_is_refused(database: str) -> None:
    with pytest.raises(Unfit, match="the database's URL has a password") as refused:
        job(database=database)
    assert "CRET" not in str(refused.value)


def test_what_is_no_secret_may_stand_there() -> None:
    for harmless in (
        "proxyauth=@/etc/passwords",
        "pool_webhook=",
        "web_password=$argon2id$v=19",
        "proxyauth_like=me:x",
    ):
        assert job("--set", harmless).command[-1] == harmless
    database = "postgresql+psycopg://me@h:5432/n?sslmode=verify-full&sslkey=/me.pem"
    assert job("--certs", "/me.pem", "-p", "8081", database=database).command[6] == database
    with pytest.raises(Unfit, match="login in --proxy"):
        job(proxy=address.parse("http://me:FAKESECRET@127.0.0.1:8081"))


def test_systemd_reads_each_word_as_it_is(tmp_path: Path) -> None:
    kept = keeper(machine("Linux", tmp_path))
    text = kept.content(job("--set", ODD)).decode()
    assert '"a \\"b\\" %%h $HOME \\\\ c"' in text
    assert "ExecStart=:" in text, "so that $HOME stays what it is"
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze on this machine")
    unit = tmp_path / "seatpool.service"
    unit.write_text(text.replace('"/opt/no such/python"', '"/bin/sh"'))
    argv = ["env", f"XDG_RUNTIME_DIR={tmp_path}", "systemd-analyze", "verify", "--user", str(unit)]
    ran = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_where_an_administrator_is_asked_nothing_forbids_that(tmp_path: Path) -> None:
    kept = keeper(machine("Linux", tmp_path))
    assert b"NoNewPrivileges=yes" in kept.content(job("--mode", "upstream:http://proxy.local:3128"))
    assert b"NoNewPrivileges" not in kept.content(job("--mode", "local:code,codex"))


def test_a_systemd_that_does_not_answer_is_told_in_one_line(tmp_path: Path) -> None:
    silent = machine("Linux", tmp_path, lambda command: Answer(1, "", "Failed to connect to bus: No medium found\n"))
    assert "Failed to connect to bus: No medium found" in (keeper(silent).lacking or "")
    assert list(keeper(silent).end()) == list(keeper(silent).forget()) == []
    with pytest.raises(NoKeeper, match="FreeBSD"):
        keeper(machine("FreeBSD", tmp_path))


def test_launchd_gets_a_property_list_of_the_keys_of_its_manual(tmp_path: Path) -> None:
    asked: list[Command] = []

    def loaded(command: Command) -> Answer:
        asked.append(command)
        return Answer(0, "gui/501/local.seatpool = {\n\tstate = running\n\n\tprogram = x\n\tpid = 42\n}\n")

    kept = keeper(machine("Darwin", tmp_path, loaded))
    told = plistlib.loads(kept.content(job("--set", ODD, SEATPOOL_KEYRING="off")))
    assert kept.file == tmp_path / "Library/LaunchAgents" / f"{told['Label']}.plist"
    assert told["ProgramArguments"][-1] == ODD
    assert told["EnvironmentVariables"]["SEATPOOL_KEYRING"] == "off"
    assert (told["RunAtLoad"], told["KeepAlive"]) == (True, {"SuccessfulExit": False})
    kinds = {  # launchd.plist(5)
        **dict.fromkeys(("Label", "ProcessType", "StandardOutPath", "StandardErrorPath"), str),
        **dict.fromkeys(("EnvironmentVariables", "KeepAlive", "HardResourceLimits"), dict),
        **dict.fromkeys(("ThrottleInterval", "ExitTimeOut", "Umask"), int),
        "ProgramArguments": list,
        "RunAtLoad": bool,
    }
    assert {key: type(value) for key, value in told.items()} == kinds
    assert list(kept.begin()) == [
        ("launchctl", "bootout", "gui/501/local.seatpool"),
        ("launchctl", "enable", "gui/501/local.seatpool"),
        ("launchctl", "bootstrap", "gui/501", str(kept.file)),
    ]
    assert list(kept.end()) == [("launchctl", "bootout", "gui/501/local.seatpool")]
    assert (kept.state().running, kept.state().starts, kept.state().pid) == (True, True, 42)
    assert any("Local Network" in line for line in kept.advice(job()))
    absent = keeper(machine("Darwin", tmp_path))
    assert (list(absent.end()), absent.state().running) == ([], False)


_ANY_ORDER = None
SCHEMA: dict[str, tuple[str, ...] | None] = {
    # [MS-TSCH] 2.5: `xs:all` is in any order, `xs:sequence` is not
    "Task": ("RegistrationInfo", "Triggers", "Principals", "Data", "Settings", "Actions"),
    "RegistrationTrigger": ("Enabled", "StartBoundary", "EndBoundary", "Repetition", "ExecutionTimeLimit", "Delay"),
    "LogonTrigger": ("Enabled", "StartBoundary", "EndBoundary", "Repetition", "ExecutionTimeLimit", "UserId", "Delay"),
    "Repetition": _ANY_ORDER,
    "Settings": _ANY_ORDER,
    "Principal": _ANY_ORDER,
    "Exec": _ANY_ORDER,
}


def test_task_scheduler_gets_xml_in_the_order_of_its_schema(tmp_path: Path) -> None:
    number = "4"
    kept = keeper(machine("Windows", tmp_path, lambda command: Answer(0, f"{number}\r\n")))
    made = job("--set", ODD, SEATPOOL_KEYRING="off")
    raw = kept.content(made)
    assert raw[:2] == b"\xff\xfe", "UTF-16 with its mark, as it says of itself"
    task = ET.fromstring(raw.decode("utf-16").partition("\n")[2])
    space = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"
    for name, order in SCHEMA.items():
        elements = list(task.iter(f"{space}{name}"))
        assert elements, name
        for element in elements:
            found = [child.tag.removeprefix(space) for child in element]
            assert len(found) == len(set(found))
            assert order is _ANY_ORDER or found == [each for each in order if each in found], name
    text = {element.tag.removeprefix(space): element.text for element in task.iter()}
    wanted = {
        "UserId": r"DESK\alice",
        "LogonType": "InteractiveToken",
        "RunLevel": "LeastPrivilege",
        "ExecutionTimeLimit": "PT0S",
        "MultipleInstancesPolicy": "IgnoreNew",
        "StopIfGoingOnBatteries": "false",
        "DisallowStartIfOnBatteries": "false",
        "Interval": "PT1M",
    }
    assert {name: text[name] for name in wanted} == wanted
    assert text["Command"] == "/opt/no such/python"
    assert (text["Arguments"] or "").startswith("-P -m seatpool.cli run --port 8081")
    assert (text["Arguments"] or "").endswith('"a \\"b\\" %h $HOME \\ c"')
    assert any("setx SEATPOOL_KEYRING" in line for line in kept.advice(made))
    assert list(kept.begin())[-1] == ("schtasks", "/Create", "/TN", "seatpool", "/XML", str(kept.file), "/F")
    assert list(kept.end())[-1] == ("schtasks", "/Delete", "/TN", "seatpool", "/F")
    assert (kept.state().running, kept.state().starts) == (True, True)
    absent = keeper(machine("Windows", tmp_path))
    assert (list(absent.end()), absent.state().starts) == ([], False)
