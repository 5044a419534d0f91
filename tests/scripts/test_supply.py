"""`scripts/audit` and `scripts/release`: what seatpool is made of, and that a release is what its tag says."""

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from scripts.supply import licences, locks, online, release, sbom
from scripts.supply.audit import FINE, main
from scripts.supply.locks import LOCKS, Pin

from tests.harness import REPOSITORY

HASH = f"--hash=sha256:{'0' * 64}"
SCRIPTS = REPOSITORY / "scripts"
NOWHERE = "http://127.0.0.1:9/"


def pins(name: str = "requirements.lock") -> list[Pin]:
    return list(locks.read((SCRIPTS / name).read_text()))


def test_the_locks_may_be_relied_on_as_far_as_can_be_told_offline(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--offline"]) == FINE, capsys.readouterr().out
    assert capsys.readouterr().out.count("pinned with hashes") == len(LOCKS)


def test_every_package_of_a_lock_is_read() -> None:
    for name in LOCKS:
        lines = (SCRIPTS / name).read_text().splitlines()
        assert len(pins(name)) == sum(line[0].isalnum() for line in lines), "one or the other counts wrong"


SIX, WINDOWS = "six==1.17.0", 'colorama==0.4.6 ; sys_platform == "win32"'
FAULTY = {
    "a pin without a hash": (f"{SIX}\n", ["six"], ["six: 1.17.0 has no hash"]),
    "a version that is open": (f"six>=1 \\\n    {HASH}\n", ["six"], ["pins nothing: six>=1"]),
    "a weak hash": (f"{SIX} \\\n    --hash=md5:{'0' * 32}\n", ["six"], [f"six: what is --hash=md5:{'0' * 32}?"]),
    "an option": ("--index-url https://example.com\n", [], ["pins nothing: --index-url https://example.com"]),
    "older than pyproject.toml, which asks for more": (
        f"{SIX} \\\n    {HASH}\n",
        ["six", "h11"],
        ["h11: pyproject.toml asks for it, and it is not locked"],
    ),
    "older than pyproject.toml, which asks for a newer one": (
        f"{SIX} \\\n    {HASH}\n",
        ["six>=2"],
        ["six: pyproject.toml asks for >=2, and 1.17.0 is locked"],
    ),
    "older than pyproject.toml, which asks no more": (
        f"{SIX} \\\n    {HASH}\n",
        [],
        ["six: locked, and nobody asks for it"],
    ),
    "a version that was not tested": (
        f"six==1.16.0 \\\n    {HASH}\n",
        ["six"],
        ["six: 1.16.0 is locked, and not what .venv has"],
    ),
    "pinned twice": (
        f"{SIX} \\\n    {HASH}\nsix==1.16.0 ; python_version > '3' \\\n    {HASH}\n",
        ["six==1.16.0"],
        ["six: pinned twice for one machine", "six: 1.16.0 is locked, and not what .venv has"],
    ),
    "without what another package needs": (
        f"h2=={version('h2')} \\\n    {HASH}\nhpack=={version('hpack')} \\\n    {HASH}\n",
        ["h2"],
        ["hyperframe: h2 asks for it, and it is not locked"],
    ),
    "nothing": (f"{SIX} \\\n    {HASH}\n{WINDOWS} \\\n    {HASH}\n", ["six>=1"], []),
}


@pytest.mark.parametrize(("text", "asked", "faults"), FAULTY.values(), ids=FAULTY)
def test_what_is_wrong_with_a_lock_is_told(text: str, asked: list[str], faults: list[str]) -> None:
    assert locks.faults_of(text, [Requirement(each) for each in asked]) == faults


@pytest.mark.parametrize(
    ("told", "fine"),
    [
        ("MIT", True),
        ("Apache-2.0 OR GPL-3.0-only", True),
        ("MIT AND (LGPL-2.1-only)", True),
        ("MIT AND GPL-3.0-only", False),
        ("AGPL-3.0-only", False),
        ("Proprietary", False),
    ],
)
def test_a_licence_is_fine_when_one_of_its_choices_is(told: str, fine: bool) -> None:
    assert licences.is_fine(told) is fine


def test_a_package_that_nobody_knows_has_no_licence() -> None:
    unknown = Pin("seatpool-is-made-of-no-such-thing", pins()[0].version, None, ())
    assert licences.faults_of([unknown]) == ["seatpool-is-made-of-no-such-thing: its licence is not known"]


# -- what is asked of others


@contextmanager
def index(yanked: bool, folder: Path) -> Iterator[tuple[str, Pin]]:
    """A package index with one package, on loopback."""
    wheel = folder / "tiny-1.0-py3-none-any.whl"
    with ZipFile(wheel, "w") as made:
        info = "tiny-1.0.dist-info"
        made.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        made.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        made.writestr(f"{info}/RECORD", "")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    mark = ' data-yanked="it eats files"' if yanked else ""
    page = f'<!DOCTYPE html><a href="/{wheel.name}#sha256={digest}"{mark}>{wheel.name}</a>'.encode()

    class Index(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = page if self.path == "/simple/tiny/" else wheel.read_bytes()
            self.send_response(200)
            self.send_header("content-type", "text/html" if body == page else "application/octet-stream")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Index) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        (pin,) = locks.read(f"tiny==1.0 --hash=sha256:{digest}".replace(" --", " \\\n    --"))
        yield f"http://127.0.0.1:{server.server_port}/simple/", pin
        server.shutdown()


@pytest.fixture
def own_index(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Nothing of the machine's own way to packages."""
    for name in [name for name in os.environ if name.startswith("PIP_") or name.upper().endswith("_PROXY")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_RETRIES", "0")
    return monkeypatch


@pytest.mark.parametrize("yanked", [False, True], ids=["there", "taken back"])
def test_a_release_that_was_taken_back_is_found(own_index: pytest.MonkeyPatch, tmp_path: Path, yanked: bool) -> None:
    with index(yanked, tmp_path) as (address, pin):
        own_index.setenv("PIP_INDEX_URL", address)
        told = ["tiny: 1.0 has been taken back by its authors"] if yanked else []
        assert online.taken_back([pin]) == online.Answer(told, {})
        if not yanked:
            other = Pin(pin.name, pin.version, None, ("f" * 64,))
            (fault,) = online.taken_back([other]).faults
            assert "offers another file" in fault


def test_what_nobody_answers_is_never_taken_for_good_news(own_index: pytest.MonkeyPatch) -> None:
    own_index.setenv("PIP_INDEX_URL", NOWHERE)
    own_index.setenv("HTTPS_PROXY", NOWHERE)
    some = pins()[:2]
    for answer in (online.taken_back(some), online.vulnerable(SCRIPTS / "requirements.lock", some)):
        assert answer.faults == []
        assert {pin.name for pin in some} <= answer.unasked.keys() and all(answer.unasked.values())


def test_known_vulnerabilities_are_told_with_their_cure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A program stands in for pip-audit, and says what that one's documentation shows."""
    said = [
        {"name": "a", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"], "aliases": []}]},
        {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-2", "fix_versions": [], "aliases": []}]},
        {"name": "c", "version": "3", "vulns": []},
        {"name": "d", "skip_reason": "who is d?"},
    ]
    (tmp_path / "pip_audit.py").write_text(f"print({json.dumps(json.dumps({'dependencies': said}))})")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    answer = online.vulnerable(tmp_path / "lock", [])
    assert answer.faults == ["a: 1 has PYSEC-1, mended in 1.1", "b: 2 has PYSEC-2, not mended yet"]
    assert answer.unasked == {"d": "who is d?"}


# -- a release


def git(*arguments: str, cwd: Path) -> None:
    who = {f"GIT_{role}_{what}": "x@example.com" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    subprocess.run(["git", *arguments], cwd=cwd, check=True, capture_output=True, env={**os.environ, **who})


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is here, under a tag."""
    folder = tmp_path_factory.mktemp("tagged")
    argv = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "addon", "scripts", "*.toml", "*.md"]
    for name in subprocess.run(argv, cwd=REPOSITORY, check=True, capture_output=True).stdout.decode().split("\0")[:-1]:
        if (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((REPOSITORY / name).read_bytes())
    git("init", "-q", cwd=folder)
    git("add", ".", cwd=folder)
    git("commit", "-qm", "x", cwd=folder)
    git("tag", "v9.8.7", cwd=folder)
    git("tag", "nightly", cwd=folder)
    return folder


def made(
    repository: Path, *arguments: str | Path, umask: int = 0o022, **env: str
) -> "subprocess.CompletedProcess[str]":
    """`./scripts/release`, in the environment that runs the tests."""
    argv = [sys.executable, "-m", "scripts.supply.release", *map(str, arguments), "--repository", str(repository)]
    kept = {**os.environ, "PYTHONPATH": str(REPOSITORY), **env}
    return subprocess.run(argv, capture_output=True, text=True, cwd=REPOSITORY, env=kept, umask=umask, check=False)


@pytest.fixture(scope="module")
def released(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("released")
    ran = made(repository, "v9.8.7", "--into", folder)
    assert ran.returncode == 0, ran.stderr
    return folder


def test_who_builds_a_tag_elsewhere_at_another_time_as_somebody_else_gets_the_same_bytes(
    repository: Path, released: Path, tmp_path: Path
) -> None:
    clone, temporary = tmp_path / "a clone", tmp_path / "t"
    temporary.mkdir()
    git("clone", "-q", str(repository), str(clone), cwd=tmp_path)
    elsewhere = {
        "TZ": "Asia/Tokyo",
        "LC_ALL": "POSIX",
        "LANG": "tr_TR",
        "PYTHONHASHSEED": "7",
        "TMPDIR": str(temporary),
    }
    ran = made(clone, "v9.8.7", "--verify", released, umask=0o077, SOURCE_DATE_EPOCH="1", **elsewhere)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.count("the same bytes") == 5
    assert list(temporary.iterdir()) == []


def test_what_was_changed_in_a_release_is_told(
    released: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel, *others = sorted(released.iterdir(), key=lambda path: path.suffix != ".whl")
    (tmp_path / wheel.name).write_bytes(wheel.read_bytes()[:-1] + b"!")
    assert release.compare([wheel, *others], tmp_path) == 1
    told = capsys.readouterr().out
    assert f"{wheel.name}: DIFFERS" in told and told.count("MISSING") == len(others)


def test_the_sums_are_those_of_all_its_files(released: Path) -> None:
    sums = dict(reversed(line.split("  ")) for line in (released / release.SUMS).read_text().splitlines())
    assert sums.keys() == {path.name for path in released.iterdir()} - {release.SUMS}
    for name, told in sums.items():
        assert hashlib.sha256((released / name).read_bytes()).hexdigest() == told


def test_the_bill_of_materials_names_every_package_with_its_hashes_licence_and_needs(released: Path) -> None:
    text = (released / "seatpool-9.8.7.cdx.json").read_text()
    assert sbom.wrong(text) is None
    assert sbom.wrong(text.replace('"bomFormat"', '"bomform"')) is not None, "the schema is looked at"
    bill = json.loads(text)
    parts = {part["name"]: part for part in bill["components"]}
    for pin in pins():
        part = parts[pin.name]
        assert {each["content"] for each in part["hashes"]} == {*pin.hashes}
        assert part["licenses"], pin.name
    needs = {each["ref"]: each.get("dependsOn", []) for each in bill["dependencies"]}
    asked = {canonicalize_name(each.name) for each in locks.wanted(locks.project(), ())}
    assert {ref.partition("==")[0] for ref in needs["seatpool==9.8.7"]} == asked
    assert any(ref.startswith("mitmproxy-rs==") for ref in needs[f"mitmproxy=={parts['mitmproxy']['version']}"])


@pytest.mark.parametrize(
    ("tag", "says"), [("nightly", "is not a release's tag"), ("v1.0.0", "v1.0.0"), ("v9.8.7rc1", "not a release's tag")]
)
def test_nothing_but_a_releases_tag_is_released(
    repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], tag: str, says: str
) -> None:
    assert release.main([tag, "--into", str(tmp_path / "into"), "--repository", str(repository)]) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("release: ") and says in err and err.count("\n") == 1
    assert not (tmp_path / "into").exists()


def test_a_tag_with_another_lock_is_built_where_that_is_checked_out(
    repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clone = tmp_path / "clone"
    git("clone", "-q", str(repository), str(clone), cwd=tmp_path)
    with (clone / "scripts" / "requirements.lock").open("a") as lock:
        lock.write("# older\n")
    git("commit", "-qam", "y", cwd=clone)
    git("tag", "v9.8.8", cwd=clone)
    assert release.main(["v9.8.8", "--into", str(tmp_path / "into"), "--repository", str(clone)]) == 1
    assert "check v9.8.8 out" in capsys.readouterr().err


@pytest.mark.parametrize(("said", "code"), [("--help", 0), ("--offline", 2)])
def test_whatever_is_said_to_the_script_that_locks_nothing_is_locked(tmp_path: Path, said: str, code: int) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "bin").mkdir()
    copy, uv = tmp_path / "scripts" / "lock", tmp_path / "bin" / "uv"
    copy.write_bytes((SCRIPTS / "lock").read_bytes())
    uv.write_text(f"#!/bin/sh\ntouch '{tmp_path}/locked'\n")
    uv.chmod(0o755)
    path = f"{uv.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(["bash", copy, said], env={**os.environ, "PATH": path}, capture_output=True, text=True)
    assert (done.returncode, (tmp_path / "locked").exists()) == (code, False)
    assert "./scripts/lock" in done.stdout
