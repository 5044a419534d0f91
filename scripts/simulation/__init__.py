"""What the simulation of `tests/sim` says, for a person at a terminal.

main          arguments, progress, and the end
results       averages over seeds: tables, claims, JSON
plot          the same as bars, in an SVG file
"""
