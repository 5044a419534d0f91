"""The pool beside other programs that spread requests over accounts: `./scripts/bench --peer NAME`.

peer          what a peer is, and what is compared
installing    from the package index into a virtual environment of its own
codex_lb      codex-lb
litellm       LiteLLM's proxy
comparing     the rounds, and what they come to
"""

from collections.abc import Mapping
from types import MappingProxyType

from scripts.benchmark.peers.codex_lb import CODEX_LB
from scripts.benchmark.peers.litellm import LITELLM
from scripts.benchmark.peers.peer import Peer

PEERS: Mapping[str, Peer] = MappingProxyType({peer.name: peer for peer in (CODEX_LB, LITELLM)})

__all__ = ["PEERS", "Peer"]
