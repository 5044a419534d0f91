"""`scripts/prove`: plays the simulated worlds of `tests/proof`."""
