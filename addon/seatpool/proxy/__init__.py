"""The only importer of mitmproxy: hooks, the replay layer, options and WebSocket messages."""

import gc

# What mitmproxy has loaded by now stays. To look through it for garbage while more is loaded took a tenth of a start.
gc.freeze()
