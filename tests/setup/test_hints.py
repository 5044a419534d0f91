"""What is told at a start of the way to the world that a shell names."""

import platform
from pathlib import Path

import pytest

from seatpool.setup.hints import hints, not_followed, typed_as
from tests.harness import REPOSITORY

OWN = "http://127.0.0.1:8081"


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"HTTPS_PROXY": "http://corp:3128/"}, "where HTTPS_PROXY is the only way out: {}http://corp:3128"),
        ({"https_proxy": "corp:3128"}, "where https_proxy is the only way out: {}http://corp:3128"),
        ({"ALL_PROXY": "HTTPS://corp"}, "where ALL_PROXY is the only way out: {}https://corp"),
        (
            {"HTTPS_PROXY": "http://me:FAKE/SE@CRET@corp:3128"},
            "where HTTPS_PROXY is the only way out: {}http://corp:3128 --upstream-auth USER:PASSWORD",
        ),
        ({"HTTPS_PROXY": "http://127.0.0.1:3128"}, "where HTTPS_PROXY is the only way out: {}http://127.0.0.1:3128"),
        # Its own, that of another one of the same kind, one that mitmproxy cannot go through, and none.
        ({"HTTPS_PROXY": "http://localhost:8081"}, None),
        ({"HTTPS_PROXY": "http://127.0.0.1:8080"}, None),
        ({"ALL_PROXY": "socks5://corp:1080"}, None),
        ({"HTTPS_PROXY": ""}, None),
        ({}, None),
    ],
)
def test_another_way_out_is_named_and_never_its_password(environ: dict[str, str], said: str | None) -> None:
    hint = not_followed(environ, OWN)
    wanted = said.format("seatpool run -- --mode upstream:") if said is not None else None
    assert (hint.strip() if hint is not None else None) == wanted


def test_who_has_a_clone_alone_is_told_how_its_commands_are_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert typed_as() == f"what is called seatpool here is {REPOSITORY / 'scripts' / 'seatpool'}"
    (tmp_path / "seatpool").write_text("#!/bin/sh\n")
    (tmp_path / "seatpool").chmod(0o755)
    assert typed_as() is None


def test_variables_are_set_as_the_systems_own_shell_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    file = Path("/home/it's/ca.pem")
    monkeypatch.setattr(platform, "system", lambda: "Windows")
    assert "$env:HTTPS_PROXY = 'http://127.0.0.1:8081'; $env:NODE_EXTRA_CA_CERTS = '" in hints(OWN, file)
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    assert "export HTTPS_PROXY=http://127.0.0.1:8081 NODE_EXTRA_CA_CERTS='" in hints(OWN, file)
