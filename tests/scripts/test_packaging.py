"""The package as `pipx` and `uv tool` install it: built of the source archive, run from anywhere. And the container."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from email.parser import HeaderParser
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from seatpool.cli.main import main
from tests.e2e.conftest import CODEX_BODY, CODEX_PATH, codex_headers
from tests.harness import REPOSITORY, Lab, Network
from tests.harness.namespace import why_no_namespaces
from tests.upstream import codex_login

CONTAINERFILE = (REPOSITORY / "scripts" / "Containerfile").read_text()


def hatchling(*arguments: str | Path, cwd: Path = REPOSITORY) -> str:
    """The build backend, as pip and uv call it."""
    argv = [sys.executable, "-m", "hatchling", *map(str, arguments)]
    return subprocess.run(argv, cwd=cwd, check=True, capture_output=True, text=True).stdout.strip()


def git(*arguments: str | Path, cwd: Path) -> None:
    author = {f"GIT_{role}_{what}": "x@example.com" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    author |= os.environ
    subprocess.run(
        ["git", *map(str, arguments)], cwd=cwd, check=True, capture_output=True, env={**os.environ, **author}
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the source archive, where there is no git; by pip, with what a build takes at hand already."""
    folder = tmp_path_factory.mktemp("dist")
    hatchling("build", "-t", "sdist", "-d", folder)
    (archive,) = folder.glob("*.tar.gz")
    argv = [sys.executable, "-m", "pip", "wheel", "-q", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*argv, archive, "-w", folder], check=True, cwd=folder)
    (made,) = folder.glob("*.whl")
    assert archive.name.removesuffix(".tar.gz") == made.name.removesuffix("-py3-none-any.whl")
    return made


def test_the_version_is_the_tags_and_there_is_one_without_tags_and_without_git(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    shutil.copy(REPOSITORY / "pyproject.toml", source)
    assert hatchling("version", cwd=source) == "0.1.dev0"
    git("init", "-q", cwd=source)
    git("add", ".", cwd=source)
    git("commit", "-qm", "x", cwd=source)
    assert re.fullmatch(r"0\.1\.dev1\+g[0-9a-f]+", hatchling("version", cwd=source))
    git("tag", "v9.8.7", cwd=source)
    assert hatchling("version", cwd=source) == "9.8.7"
    git("commit", "-qm", "y", "--allow-empty", cwd=source)
    assert hatchling("version", cwd=source).startswith("9.8.8.dev1+g")


def test_the_lock_has_what_the_wheel_asks_for(wheel: Path) -> None:
    with ZipFile(wheel) as files:
        (name,) = [name for name in files.namelist() if name.endswith(".dist-info/METADATA")]
        told = HeaderParser().parsestr(files.read(name).decode())
    lock = (REPOSITORY / "scripts" / "requirements.lock").read_text()
    locked = {found[1]: Version(found[2]) for found in re.finditer(r"^([a-z0-9-]+)==([^ ;]+)", lock, re.MULTILINE)}
    every = list(map(Requirement, told.get_all("Requires-Dist") or ()))
    always = [wanted for wanted in every if wanted.marker is None or wanted.marker.evaluate({"extra": ""})]
    extras = {wanted.name for wanted in every if wanted not in always}
    assert extras == {"matplotlib", "opentelemetry-proto", "psycopg"}, "extras are nobody's by default"
    for wanted in always:
        assert locked[wanted.name] in wanted.specifier, wanted
    assert told["Description-Content-Type"] == "text/markdown"


def test_the_prices_come_with_the_release(wheel: Path) -> None:
    with ZipFile(wheel) as files:
        assert b"[models]" in files.read("seatpool/cli/usage/prices.toml")


def installed(wheel: Path, folder: Path) -> Path:
    """A fresh environment with the wheel; its dependencies are those of the running one, which come from the lock."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    argv = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-index", "--no-deps", wheel]
    subprocess.run(argv, check=True)
    (packages,) = (folder / "lib").glob("python*/site-packages")
    (running,) = {path for path in sys.path if path.endswith("site-packages")}
    (packages / "dependencies.pth").write_text(running)
    (folder / "bin" / "mitmdump").write_text(f"#!{python}\nfrom mitmproxy.tools.main import mitmdump\nmitmdump()\n")
    (folder / "bin" / "mitmdump").chmod(0o755)
    return folder / "bin" / "seatpool"


async def test_an_installed_seatpool_runs_from_anywhere(wheel: Path, tmp_path: Path) -> None:
    if (reason := why_no_namespaces()) is not None:
        pytest.skip(f"this needs a namespace of its own: {reason}")
    seatpool = installed(wheel, tmp_path / "venv")
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    home.mkdir()
    elsewhere.mkdir()
    environ = {"HOME": str(home), "SEATPOOL_KEYRING": "off", "PYTHONPATH": ""}
    environ |= {f"XDG_{kind}_HOME": "" for kind in ("CONFIG", "DATA", "STATE", "CACHE")}
    with Lab(tmp_path / "lab") as lab:
        fakes = lab.upstream({"accounts": {"editor": {"provider": "codex"}, "alice": {"provider": "codex"}}})

        def says(*arguments: str | Path) -> str:
            ran = lab.run([seatpool, *arguments], env=environ, cwd=elsewhere)
            assert ran.returncode == 0, ran.stderr
            return ran.stdout

        assert says("--version").split()[-1] == wheel.name.split("-")[1]
        says("account", "import", codex_login(tmp_path / "login", "alice"), "--own", "--yes")
        options = ("--", "--set", f"ssl_verify_upstream_trusted_ca={fakes.ca}")
        proxy = lab.popen([seatpool, "run", *options], env=environ, cwd=elsewhere, stdout=subprocess.PIPE, text=True)
        assert proxy.stdout is not None
        assert any("listening at 127.0.0.1:8080" in line for line in proxy.stdout)
        authority = home / ".local/share/seatpool/ca/mitmproxy-ca-cert.pem"
        network = Network(authority, ("127.0.0.1", 8080), lab.connect)
        client = await network.http2("chatgpt.com")
        answer = await client.send("POST", CODEX_PATH, codex_headers(), CODEX_BODY)
        assert b"alice2 " in await answer.body()
        await client.close()
        loaded = lab.run(["cat", f"/proc/{proxy.pid}/cmdline"]).stdout
        assert f"{tmp_path}/venv" in loaded
        assert str(REPOSITORY) not in loaded
        lab.end(proxy)
    assert list(elsewhere.iterdir()) == []


def test_a_clones_command_takes_no_file_where_it_is_called_for_a_module(tmp_path: Path) -> None:
    """Such as the `click.py` of a repository that somebody has just cloned."""
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / ".venv" / "bin"
    elsewhere.mkdir()
    folder.mkdir(parents=True)
    (elsewhere / "click.py").write_text("raise SystemExit('taken')")
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    written = f'. "{REPOSITORY}/scripts/venv.sh"; write_launcher'
    subprocess.run(["bash", "-euc", written], check=True, cwd=tmp_path)
    environ = {**os.environ, "PYTHONPATH": str(REPOSITORY / "addon")}
    ran = subprocess.run(
        [folder / "seatpool", "--version"], cwd=elsewhere, env=environ, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout.partition(",")[0]) == (0, "seatpool"), ran.stderr


def test_the_container_file_copies_and_runs_what_is_there() -> None:
    for line in re.findall(r"^COPY (?!--from)(.+)$", CONTAINERFILE, re.MULTILINE):
        *sources, _ = line.split()
        assert all((REPOSITORY / source).exists() for source in sources), line
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    assert project["project"]["readme"] in CONTAINERFILE
    assert 'ENTRYPOINT ["seatpool"]' in CONTAINERFILE and "seatpool" in project["project"]["scripts"]
    assert {"run", "login"} <= set(main.commands)
    (python,) = re.findall(r"python:([\d.]+)-", CONTAINERFILE)
    assert Version(python) in Requirement(f"python{project['project']['requires-python']}").specifier


def test_the_container_is_for_users_whom_nobody_has_listed_and_its_own_is_told_by_number() -> None:
    """OpenShift runs it as anybody in group 0; Kubernetes with `runAsNonRoot` refuses a user who is only named."""
    assert re.findall(r"^USER (.+)$", CONTAINERFILE, re.MULTILINE) == ["1000"]
    assert "install -d -o 1000 -g 0 -m 0770 /data" in CONTAINERFILE
