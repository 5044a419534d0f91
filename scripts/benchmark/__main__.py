"""`python scripts/benchmark`: what `scripts/bench` runs."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2])  # the repository, for `tests` and this package

from scripts.benchmark.main import main  # noqa: E402 # the line above has to come first

if __name__ == "__main__":
    sys.exit(main())
