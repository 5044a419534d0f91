"""`python -m tests.faults` (with `addon` on the path) brings the README's appendix in step with the table."""

from tests.faults.readme import README, in_step

if __name__ == "__main__":
    README.write_text(in_step(README.read_text()))
