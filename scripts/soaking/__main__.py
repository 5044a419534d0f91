"""`python scripts/soaking`: what `scripts/soak` runs."""

import sys
from pathlib import Path

root = Path(__file__).resolve().parents[2]
sys.path[:1] = [str(root), str(root / "addon")]  # the repository, for `tests` and this package, and the product

from scripts.soaking.main import main  # noqa: E402 # the lines above have to come first

if __name__ == "__main__":
    sys.exit(main())
