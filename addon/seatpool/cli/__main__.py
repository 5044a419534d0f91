"""`python -m seatpool.cli`, for a clone that is not installed."""

from seatpool.cli.main import main

main(prog_name="seatpool")
