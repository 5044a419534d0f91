"""Recordings of flows that hold nothing of a person's: how they are made, how they look, and what is new in one."""
