"""A mitmproxy that lacks what the addon is made of, as a newer one may, is named as the reason."""

import subprocess
import sys
import tomllib

import pytest

from seatpool.setup.code import MITMPROXY
from tests.harness import REPOSITORY


@pytest.mark.parametrize(
    ("lacking", "said"),
    [
        (
            "from mitmproxy.proxy.layers.http import HttpStream; del HttpStream.check_invalid",
            "type object 'HttpStream' has no attribute 'check_invalid'",
        ),
        (
            "import sys; sys.modules['mitmproxy.proxy.layers.websocket'] = None",
            "import of mitmproxy.proxy.layers.websocket halted; None in sys.modules",
        ),
    ],
)
def test_what_of_mitmproxy_is_missing_is_told_with_what_to_install(lacking: str, said: str) -> None:
    assert f" does not fit seatpool ({said}): install {MITMPROXY}" in last_line_of(lacking)


def test_what_else_is_missing_is_told_as_it_is() -> None:
    told = last_line_of("import sys; sys.modules['wsproto.events'] = None")
    assert told == "ModuleNotFoundError: import of wsproto.events halted; None in sys.modules"


def last_line_of(lacking: str) -> str:
    """What a load ends with where that was done before."""
    argv = [sys.executable, "-c", f"import mitmproxy.tools.main; {lacking}; import seatpool.proxy.loading"]
    env = {"PYTHONPATH": str(REPOSITORY / "addon")}
    ran = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    return ran.stderr.splitlines()[-1]


def test_it_is_the_mitmproxy_that_the_package_asks_for() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert MITMPROXY in project["dependencies"]
