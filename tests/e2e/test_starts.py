"""A proxy starts with the pool or not at all, whatever is wrong with what it was told."""

import json
import resource
import subprocess
from pathlib import Path

import pytest

from tests.harness import POOL_ADDON, Mitmdump

UNWILLING = """
from mitmproxy import ctx, exceptions

def configure(updated):
    if "pool_max_attempts" in updated and ctx.options.pool_max_attempts == 7:
        raise exceptions.OptionsError("seven is too many")
"""
"""A script that refuses what is set, where mitmproxy tells nobody: while another one is loaded."""

REPLACING = """
import asyncio
from pathlib import Path

def running():
    global telling
    watching = [task for task in asyncio.all_tasks() if "/addon/pool.py" in task.get_name()]
    Path("addon/pool.py").unlink()
    telling = asyncio.create_task(tell(*watching))

async def tell(watching):
    await asyncio.wait([watching])
    print("nobody looks" if watching.cancelled() else "it was found gone", flush=True)
"""
"""A script that takes the pool's file away, as an installer does, and tells what becomes of who looks at that."""


def refused(folder: Path, *said: str, first: Path | None = None, yaml: str = "") -> list[str]:
    """What a start says that ends by itself; `first` is a script that is loaded before the pool."""
    arguments = [word for each in said for word in ("--set", each)]
    scripts = ("-s", str(POOL_ADDON)) if first is not None else ()
    proxy = Mitmdump(
        folder, addon=first or POOL_ADDON, arguments=(*scripts, *arguments), env={"SEATPOOL_KEYRING": "off"}
    )
    (folder / "confdir").mkdir()
    (folder / "confdir/config.yaml").write_text(yaml)
    with pytest.raises(RuntimeError, match="logged during startup, exiting"), proxy:
        pass
    assert not (folder / "pool.db").exists(), "nothing is begun with what nobody has meant"
    own = [line.partition("] ")[2] for line in proxy.log if line.startswith("[")]
    words = [line for line in own if not line.startswith(("Loading script", "HTTP(S) proxy"))]
    assert not [line for line in proxy.log if "Traceback" in line], proxy.log
    return words


WHETHER = "say one of: true, false"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("pool_rotate_on_limit=False", f"pool_rotate_on_limit=False: {WHETHER}"),
        ("pool_page_port=80a", "pool_page_port=80a: say a port from 1 to 65535, or 0 for none"),
        ("pool_max_attempts=77", "pool_max_attempts=77: say a number from 1 to 10"),
        ("pool_on_failure=Block", "pool_on_failure=Block: say one of: passthrough, block"),
        ("pool_rules=~no-such-user/r", "~no-such-user/r: no user of this machine has the name behind the ~"),
        ("pool_on_failur=block", "pool_on_failur: there is no such option; the nearest is pool_on_failure"),
        (
            "pool_strategy=round_robin",
            "pool_strategy=round_robin: say one of: quota, drain, round-robin, least-busy, priority, weighted",
        ),
    ],
)
def test_a_slip_ends_the_start_with_one_line(tmp_path: Path, said: str, told: str) -> None:
    assert refused(tmp_path, said) == [told]


def test_every_slip_in_a_file_is_told_at_once(tmp_path: Path) -> None:
    yaml = "pool_max_wait_s: 10\npool_learn: 1\npool_max_attempts: true\n"
    assert refused(tmp_path, yaml=yaml) == [
        f"pool_learn=1: {WHETHER}",
        "pool_max_attempts=true: say a number from 1 to 10",
    ]


def test_a_choice_is_looked_at_in_a_file_as_well(tmp_path: Path) -> None:
    told = refused(tmp_path, yaml="pool_on_failure: blcok\n")
    assert told == ["pool_on_failure=blcok: say one of: passthrough, block"]


def test_numbers_in_a_file_need_no_quotes(tmp_path: Path) -> None:
    (tmp_path / "confdir").mkdir()
    (tmp_path / "confdir/config.yaml").write_text("pool_max_wait_s: 10\npool_hold_s: 1.5\n")
    with Mitmdump(tmp_path, env={"SEATPOOL_KEYRING": "off"}) as proxy:
        proxy.wait_log("action=start")


@pytest.mark.parametrize("said", ["passthrough", "block"])
def test_an_empty_pool_says_what_becomes_of_requests_and_every_way_to_fill_it(tmp_path: Path, said: str) -> None:
    with Mitmdump(tmp_path, options={"pool_on_failure": said}, env={"SEATPOOL_KEYRING": "off"}) as proxy:
        proxy.wait_log(f"action={said} reason=no-account: no account yet; add one with: seatpool login codex")


def test_whatever_keeps_the_pool_from_being_loaded_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "unwilling.py").write_text(UNWILLING)
    told = refused(tmp_path, "pool_max_attempts=7", first=tmp_path / "unwilling.py")
    assert told == ["seatpool was not loaded: seven is too many"]


def test_the_pool_stays_while_its_files_are_replaced(tmp_path: Path) -> None:
    """mitmproxy would take out what a script has given once the script's file is gone, or another."""
    addon, replacing = tmp_path / "addon/pool.py", tmp_path / "replacing.py"
    addon.parent.mkdir()
    addon.write_bytes(POOL_ADDON.read_bytes())
    replacing.write_text(REPLACING)
    env = {"SEATPOOL_KEYRING": "off", "PYTHONPATH": str(POOL_ADDON.parent)}
    with Mitmdump(tmp_path, addon=addon, arguments=("-s", str(replacing)), env=env) as proxy:
        proxy.wait_log("^nobody looks$")
        ran = subprocess.run(["curl", "-sx", proxy.url, "http://seatpool.test/about"], capture_output=True, check=True)
    assert json.loads(ran.stdout)["program"] == "seatpool"
    assert not [line for line in proxy.log if "Removing script" in line or "Traceback" in line]


def test_an_option_of_another_mitmproxy_is_told_and_ends_nothing(tmp_path: Path) -> None:
    with Mitmdump(tmp_path, options={"ssl_version_server": "secure"}, env={"SEATPOOL_KEYRING": "off"}) as proxy:
        proxy.wait_log("action=ignored options=ssl_version_server reason=unknown")


def test_it_has_more_files_than_it_began_with(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    proxy = Mitmdump(tmp_path, env={"SEATPOOL_KEYRING": "off"})
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        proxy.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    try:
        assert resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE)[0] > 256
    finally:
        proxy.stop()
