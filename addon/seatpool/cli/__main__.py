"""The program `seatpool`, and `python -m seatpool.cli` for a clone that is not installed."""

import sys


def start() -> None:
    """Load the commands, which takes a good part of a second, and run one. Ctrl-C is no failure meanwhile."""
    try:
        from seatpool.cli.main import main
    except KeyboardInterrupt:
        sys.exit(130)  # as the commands themselves have it (common.INTERRUPTED)
    main(prog_name="seatpool")


if __name__ == "__main__":
    start()
