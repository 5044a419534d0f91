"""A browser that is told of nothing but the PAC file, which the proxy serves."""

import sys
from collections.abc import Callable

import pytest

from tests.e2e.conftest import Scene
from tests.harness import REPOSITORY
from tests.harness.browser import Chromium, find_chromium

PAC = "http://127.0.0.1:8080/seatpool.pac"


def test_the_proxy_serves_it_to_whoever_asks_itself(scene: Scene) -> None:
    told = [sys.executable, "-m", "seatpool.cli", "pac"]
    printed = scene.lab.run(told, env={"PYTHONPATH": str(REPOSITORY / "addon")}).stdout
    assert "PROXY 127.0.0.1:8080; DIRECT" in printed
    got = scene.lab.run(["curl", "-sSi", PAC]).stdout
    head, _, body = got.partition("\n\n") if "\r" not in got else got.partition("\r\n\r\n")
    assert "application/x-ns-proxy-autoconfig" in head
    assert body == printed
    through = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--proxy", scene.proxy.url]
    assert scene.lab.run([*through, "http://example.com:80/seatpool.pac"]).stdout != "200", "other hosts' are theirs"


@pytest.mark.skipif(find_chromium() is None, reason="no Chromium on this machine")
def test_a_browser_goes_through_the_proxy_and_on_without_it(start: Callable[..., Scene]) -> None:
    scene = start()
    with Chromium(scene.lab, flags=(f"--proxy-pac-url={PAC}",)) as browser:

        def visit(host: str) -> int:
            """How many connections the proxy has opened to that host since it started."""
            asked = len(scene.fakes.journal(host=host))
            said = browser.call("Page.navigate", url=f"https://{host}/page")
            assert not said.get("errorText"), said
            assert len(scene.fakes.journal(host=host)) > asked
            return sum(f"server connect {host}:443" in line for line in scene.proxy.log)

        assert visit("example.com") == 0
        assert visit("chatgpt.com") == 1
        scene.proxy.kill()
        assert visit("chatgpt.com") == 1
        assert visit("us.chatgpt.com") == 0
