"""What is said of a pool with nobody in it, by commands, the page and a proxy's log alike."""

EMPTY_POOL = (
    "no account yet; add one with: seatpool login codex, seatpool login copilot, or seatpool account import PATH"
)
