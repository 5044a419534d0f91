"""Pure decisions. Standard library only: no clock, no I/O, no logging, no async."""
