"""The only orchestrator: chooses, recovers, refreshes, remembers. Knows no proxy and no SQL."""
