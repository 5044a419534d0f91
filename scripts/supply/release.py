"""`./scripts/release`: everything that a release consists of, out of a tag and of nothing else."""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from scripts.supply import locks, sbom

DESCRIPTION = """\
Builds a release of a tag: the wheel, the source archive, its bill of materials (CycloneDX), the lock with the hashes of
all that it needs, and SHA256SUMS of these. Who builds the same tag gets the same bytes, wherever and whenever; so
anybody can see that a release is what its tag says.
"""
EXAMPLES = """\
examples:
  ./scripts/release v1.2.3                     into dist/
  ./scripts/release v1.2.3 --into FOLDER
  ./scripts/release v1.2.3 --verify FOLDER     build it again, and compare with what is in a folder
"""
TAG = re.compile(r"v(\d+\.\d+\.\d+)")
SUMS = "SHA256SUMS"


class Refused(Exception):
    """Nothing was released; the text says why."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run. Returns the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        with tempfile.TemporaryDirectory(prefix="seatpool-release-") as folder:
            made = build(arguments.tag, Path(folder), arguments.repository)
            if arguments.verify is not None:
                return compare(made, arguments.verify)
            arguments.into.mkdir(parents=True, exist_ok=True)
            for path in made:
                shutil.copyfile(path, arguments.into / path.name)
                print(arguments.into / path.name)
    except Refused as refused:
        print(f"release: {refused}", file=sys.stderr)
        return 1
    return 0


def build(tag: str, folder: Path, repository: Path) -> list[Path]:
    """Everything, in a folder of its own. Raises `Refused`."""
    found = TAG.fullmatch(tag)
    if found is None:
        raise Refused(f"{tag} is not a release's tag, such as v1.2.3")
    source, into = folder / "source", folder / "release"
    _git("clone", "--quiet", "--no-checkout", str(repository), str(source), cwd=folder)
    _git("checkout", "--quiet", f"refs/tags/{tag}", cwd=source)
    text = (source / "scripts" / "requirements.lock").read_text()
    # Licences, and who needs whom, are read in the packages that are installed here.
    if text != (locks.ROOT / "scripts" / "requirements.lock").read_text():
        raise Refused(f"the lock of {tag} is another one than here; check {tag} out, and build it there")
    epoch = _git("log", "-1", "--format=%ct", cwd=source)
    environment = {**os.environ, "SOURCE_DATE_EPOCH": epoch, "LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "0"}
    _run([sys.executable, "-m", "hatchling", "build", "--directory", str(into)], cwd=source, env=environment)
    version = found[1]
    if not (into / f"seatpool-{version}.tar.gz").exists():
        raise Refused(f"{tag} calls itself {[path.name for path in into.iterdir()]}")
    bill = sbom.bill(
        version,
        datetime.fromtimestamp(int(epoch), UTC),
        list(locks.read(text)),
        locks.wanted(locks.project(source), ()),
    )
    if (error := sbom.wrong(bill)) is not None:
        raise Refused(f"the bill of materials is unsound: {error}")
    (into / f"seatpool-{version}.cdx.json").write_text(bill)
    (into / f"seatpool-{version}-requirements.lock").write_text(text)
    made = sorted(into.iterdir())
    (into / SUMS).write_text("".join(f"{_sum(path)}  {path.name}\n" for path in made))
    return [*made, into / SUMS]


def compare(made: Sequence[Path], folder: Path) -> int:
    """Tell which files are in a folder, byte by byte. Returns the exit code."""
    wrong = 0
    for path in made:
        other = folder / path.name
        same = other.is_file() and other.read_bytes() == path.read_bytes()
        print(f"{path.name}: {'the same bytes' if same else 'DIFFERS' if other.is_file() else 'MISSING'}")
        wrong += not same
    return 1 if wrong else 0


def _sum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _git(*arguments: str, cwd: Path) -> str:
    return _run(["git", *arguments], cwd=cwd)


def _run(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    ran = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise Refused(f"{' '.join(argv[:4])}: {' | '.join(ran.stderr.strip().splitlines()[-3:])}")
    return ran.stdout.strip()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./scripts/release",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("tag", help="such as v1.2.3")
    parser.add_argument("--into", type=Path, default=locks.ROOT / "dist", metavar="FOLDER", help="default: dist")
    parser.add_argument("--verify", type=Path, metavar="FOLDER", help="compare with this instead")
    parser.add_argument(
        "--repository", type=Path, default=locks.ROOT, metavar="FOLDER", help="where the tag is; default: this one"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
