"""How HTTP is spoken to clients and upstreams: mitmproxy's own layers, able to hold back, replay and move."""
