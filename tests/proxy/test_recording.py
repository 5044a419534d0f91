"""What is listened to while a person records, and what is not while nobody does."""

import asyncio
import gzip
import json
import os
import time
import zlib
from pathlib import Path

import brotli
import pytest
import zstandard
from mitmproxy.test import taddons, tflow

from seatpool.providers.recording.flows import read
from seatpool.providers.registry import provider_of
from seatpool.proxy.exchange import Exchanges
from seatpool.proxy.recorder import _decoded
from seatpool.proxy.recording import Recording
from seatpool.setup import recording as wishes

EVENTS = b"".join(b'data: {"type":"response.output_text.delta","delta":"%d"}\n\n' % i for i in range(50))
CODINGS = {"gzip": gzip.compress, "zstd": zstandard.compress, "br": brotli.compress, "deflate": zlib.compress}


@pytest.mark.parametrize("coding", CODINGS)
def test_a_compressed_stream_is_decoded_piece_by_piece(coding: str) -> None:
    packed = CODINGS[coding](EVENTS)
    pieces = [(float(at), packed[at : at + 7]) for at in range(0, len(packed), 7)]
    decoded = _decoded(pieces, coding)
    assert b"".join(data for _, data in decoded) == EVENTS
    assert [ms for ms, _ in decoded] == [ms for ms, _ in pieces]
    assert _decoded([(0.0, b"no such thing")], coding) == [] or coding == "br"
    assert _decoded(pieces, "rot13") == []


async def test_nothing_listens_until_it_is_wished_and_after_it_has_ended(tmp_path: Path) -> None:
    exchanges, file, out = Exchanges(), tmp_path / "recording.json", tmp_path / "flows.jsonl"
    os.close(os.open(out, os.O_CREAT, 0o600))
    provider = provider_of("chatgpt.com")
    assert provider is not None
    with taddons.context() as context:
        chain = list(context.master.addons.chain)
        recording = Recording(exchanges, lambda: file)
        recording.start()
        assert list(context.master.addons.chain) == chain
        wish = wishes.Wish(str(out), bytes(32), ("chatgpt.com",), time.time())
        wishes.put(file, wish)
        recording._look()
        assert len(context.master.addons.chain) == len(chain) + 2
        flow = tflow.tflow(resp=True)
        flow.request.host, flow.request.path = "chatgpt.com", "/backend-api/codex/responses"
        flow.request.headers["authorization"] = "Bearer gho_aVeryLongToken1234567890"
        exchanges.begin(flow, provider, flow.request.pretty_host)
        other = tflow.tflow()
        for each in (flow, other):
            await context.master.addons.trigger_event(_hook("RequestHeaders", each))
        await context.master.addons.trigger_event(_hook("Response", flow))  # an answer that no upstream gave
        wishes.put(file, wishes.Wish(wish.file, wish.key, wish.hosts, wish.began, ending=True))
        recording._look()
        assert list(context.master.addons.chain) == chain
        recording.stop()
        await asyncio.get_running_loop().shutdown_default_executor()
    (told,) = read(out.read_bytes().split(b"\n"))
    assert (told.request.host, told.answers[0].own, told.outcome) == ("chatgpt.com", True, "ok")
    assert "VeryLong" not in json.dumps(out.read_text())


def _hook(name: str, flow: object) -> object:
    from mitmproxy.proxy.layers.http import _hooks

    return getattr(_hooks, f"Http{name}Hook")(flow)
