"""The only importer of mitmproxy: hooks, the replay layer, options and WebSocket messages."""
