"""What is not known to be harmless is replaced, wherever it stands; equal things equally; and structure stays."""

import base64
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatpool.providers.codex import frames as codex_frames
from seatpool.providers.copilot import frames as copilot_frames
from seatpool.providers.recording import known
from seatpool.providers.recording.counting import COUNTING
from seatpool.providers.recording.flows import Piece, Taken, TakenAnswer, TakenMessage, read
from seatpool.providers.recording.heads import PHRASES
from seatpool.providers.recording.redacting import recorded
from seatpool.providers.recording.redaction import Redactor
from seatpool.providers.recording.values import ENUMS
from seatpool.providers.registry import provider_of

KEY = bytes(range(32))
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
OPAQUE = st.text(LETTERS, min_size=10, max_size=40).map(lambda t: f"{t[:5]}7Qz{t[5:]}")
"""Never made of a protocol's words alone: hypothesis would find those."""
WORDS = st.lists(
    st.sampled_from(["please", "fix", "the", "salary", "of", "Grüße", "response", "model", "tokens"]), min_size=4
)
SECRETS = st.one_of(
    OPAQUE.map("gho_{}".format),
    OPAQUE.map("resp_{}".format),
    OPAQUE.map("sk-{}".format),
    OPAQUE.map("user-{}".format),
    OPAQUE.map("x-{}".format),
    OPAQUE.map("gpt-{}".format),
    OPAQUE.map("response.{}".format),
    OPAQUE.map("{}@example.com".format),
    OPAQUE.map("/home/{}/project/main.py".format),
    OPAQUE.map(r"C:\Users\{}\x.py".format),
    OPAQUE.map("https://example.com/{}?q=1".format),
    OPAQUE.map("git@github.com:{}/repo.git".format),
    WORDS.map(lambda words: " ".join([*words, "Zanzibar"])),
    st.text(min_size=8, max_size=60).filter(lambda t: len(set(t)) > 5).map(lambda t: f"{t.strip()}Qzx"),
    st.uuids().map(str),
    st.ip_addresses().map(str).filter(lambda t: len(t) > 8),
    st.integers(10**8 + 1, 10**9 - 1).map(str),  # 10**8 stands for every number of nine digits
)
NAMES = st.one_of(
    st.sampled_from(sorted({*ENUMS, "name", "id", "text", "content", "used_percent", "model", "arguments"})),
    st.sampled_from(sorted(COUNTING)),
)
HEADER_NAMES = st.one_of(
    st.sampled_from(sorted(PHRASES)),
    st.sampled_from(
        [
            "authorization",
            "cookie",
            "set-cookie",
            "x-forwarded-for",
            "host",
            "date",
            "retry-after",
            "x-codex-turn-metadata",
            "x-codex-routing-hint",
            "x-quota-snapshot-chat",
            "content-type",
            "copilot-session-token",
            "x-codex-primary-used-percent",
            "location",
            ":authority",
        ]
    ),
)


def jwt(claims: dict[str, Any]) -> str:
    parts = ({"alg": "RS256", "typ": "JWT"}, claims)
    return ".".join([*(base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in parts), "c2ln"])


def taken(**parts: Any) -> Taken:
    given = {"headers": (), "body": b"", "answers": (), "path": "/responses", "host": "api.githubcopilot.com", **parts}
    return Taken(1.0, "copilot", "responses", "POST", given.pop("host"), given.pop("path"), "HTTP/2.0", **given)


def answer(kind: str, content: bytes) -> TakenAnswer:
    return TakenAnswer(200, "HTTP/2.0", (("content-type", kind),), (Piece(1.0, content),), 1.0)


def asked(kind: str, content: str) -> Taken:
    return taken(headers=(("content-type", kind),), body=content.encode("utf-8", "replace"))


def clean(text: str) -> str:
    return "".join(c for c in text if c.isprintable())


PLACES: dict[str, Callable[[str, str], Taken]] = {
    "a JSON value": lambda n, s: asked("application/json", json.dumps({n: s})),
    "a JSON list": lambda n, s: asked("application/json", json.dumps({n: [{n: [s]}]})),
    "a JSON key": lambda n, s: asked("application/json", json.dumps({n: {s: {"status": "ok"}}})),
    "JSON in a text": lambda n, s: asked("application/json", json.dumps({n: json.dumps({n: s, s: 1})})),
    "a form's value": lambda n, s: asked("application/x-www-form-urlencoded", f"{n}={s}"),
    "text": lambda n, s: asked("text/plain", s),
    "a query": lambda n, s: taken(path=f"/responses?{n}={s}"),
    "a query's name": lambda n, s: taken(path=f"/responses?{s}={n}"),
    "a path": lambda n, s: taken(path=f"/responses/{s}"),
    "an event's data": lambda n, s: taken(
        answers=(answer("text/event-stream", f"data: {json.dumps({n: s})}\n\n".encode()),)
    ),
    "an event": lambda n, s: taken(
        answers=(
            answer(
                "text/event-stream", f"event: {clean(s)}\ndata: {clean(s)}\nid: {clean(s)}\n: {clean(s)}\n\n".encode()
            ),
        )
    ),
    "a cut event": lambda n, s: taken(
        answers=(answer("text/event-stream", ('data: {"' + n + '":"' + clean(s)).encode()),)
    ),
    "a message": lambda n, s: taken(messages=(TakenMessage(1, True, True, json.dumps({n: s}).encode()),)),
    "a message of text": lambda n, s: taken(messages=(TakenMessage(1, False, False, s.encode("utf-8", "replace")),)),
    "a claim": lambda n, s: taken(
        headers=(("authorization", f"Bearer {jwt({n: s, 'https://api.openai.com/auth': {n: s}})}"),)
    ),
    "a claim's name": lambda n, s: asked("application/json", json.dumps({"access_token": jwt({s: n})})),
}


def shown(flow: Taken) -> str:
    """The line, as it is and without its escapes."""
    line = msgspec.json.encode(recorded(flow, Redactor(KEY)))
    assert list(read([line]))
    texts: list[str] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            for name, each in value.items():
                walk(name)
                walk(each)
        elif isinstance(value, list):
            for each in value:
                walk(each)
        else:
            texts.append(str(value))

    walk(json.loads(line))
    return "\n".join([line.decode(), *texts])


@pytest.mark.parametrize("place", PLACES)
@settings(max_examples=60, deadline=None)
@given(name=NAMES, secret=SECRETS)
def test_no_secret_survives_wherever_it_stands(place: str, name: str, secret: str) -> None:
    assert clean(secret) not in shown(PLACES[place](name, secret)), place


@settings(max_examples=300, deadline=None)
@given(
    name=HEADER_NAMES, secret=SECRETS, before=st.sampled_from(["", "Bearer ", "a=", "codex/1.2.3 (", "model=", "tid="])
)
def test_no_secret_survives_in_a_header(name: str, secret: str, before: str) -> None:
    value = before + clean(secret)
    flow = taken(headers=((name, value),), answers=(TakenAnswer(200, "HTTP/2.0", ((name, value),), (), 1.0),))
    assert clean(secret) not in shown(flow)


@given(secret=SECRETS)
def test_no_secret_survives_as_the_name_of_a_header_or_a_host(secret: str) -> None:
    flow = taken(headers=((secret, "x"),), host=secret)
    assert clean(secret) not in shown(flow)


def test_equal_secrets_get_equal_placeholders_in_one_recording_and_others_in_the_next() -> None:
    redactor, other = Redactor(KEY), Redactor(KEY[::-1])
    token = "gho_aVeryLongToken1234567890"
    held = redactor.heads.header("authorization", f"Bearer {token}")
    assert held == f"Bearer {redactor.values.text('token', token)}" == "Bearer gho_" + redactor.names.mark(token)
    assert redactor.values.text("token", token) != redactor.values.text("token", token + "x")
    assert redactor.values.text("token", token) != other.values.text("token", token)


def test_short_pieces_of_text_cannot_be_counted() -> None:
    redactor = Redactor(KEY)
    assert redactor.values.text("delta", "the ") == redactor.values.text("delta", "cats") == "redacted-4"
    assert redactor.values.text("user_id", "tom") != redactor.values.text("user_id", "ann"), "ids have to be told apart"


def test_a_token_keeps_what_it_is_built_of() -> None:
    shown = Redactor(KEY).heads.header(
        "authorization",
        "Bearer "
        + jwt(
            {"exp": 1795260000, "email": "a@b.example", "https://api.openai.com/auth": {"chatgpt_plan_type": "plus"}}
        ),
    )
    assert shown.startswith('Bearer jwt:{"alg":"RS256","typ":"JWT"}.{"exp":1795260000,"email":"redacted-16-')
    assert '"https://api.openai.com/auth":{"chatgpt_plan_type":"plus"}' in shown


KEPT = (
    ("user-agent", "codex_cli_rs/0.169.0 (Debian 13.0.0; x86_64) vscode/1.2.3"),
    ("content-type", "text/event-stream"),
    ("x-codex-routing-hint", "model=gpt-5.3-codex;tier=priority"),
    ("x-codex-primary-used-percent", "12.5"),
    ("x-codex-primary-reset-at", "1795260000"),
    ("retry-after", "30"),
    ("date", "Sat, 21 Nov 2026 17:22:38 GMT"),
    ("x-quota-snapshot-chat", "ent=300&ov=0.0&ovPerm=true&rem=99.5&rst=2026-12-01T00:00:00Z"),
    ("editor-version", "vscode/1.104.2"),
    ("copilot-integration-id", "vscode-chat"),
    ("authorization", "Bearer "),
)


@pytest.mark.parametrize(("name", "value"), KEPT)
def test_a_header_that_says_what_is_calling_or_what_is_left_stays(name: str, value: str) -> None:
    assert Redactor(KEY).heads.header(name, value) == value


MODELS = (
    "gpt-5.3-codex",
    "gpt-4o-mini-2024-07-18",
    "claude-sonnet-4.5",
    "o3",
    "gpt-41-copilot",
    "gemini-2.5-pro",
    "gpt-x",
)


def test_models_stay_and_what_could_be_anything_does_not() -> None:
    redactor = Redactor(KEY)
    assert [redactor.names.model(model) for model in MODELS] == list(MODELS)
    assert redactor.names.model("acme-secret-7b") != "acme-secret-7b"


def test_every_name_that_this_version_knows_can_stand_in_a_recording() -> None:
    redactor = Redactor(KEY)
    names = {*known.CODES, *(t for types in known.TYPES.values() for t in types)}
    assert {n for n in names if redactor.values.text("type", n) != n} == set()
    members = {*known.MEMBERS, *(m for members in known.MEMBERS.values() for m in members)}
    headers = {header for some in known.HEADERS.values() for header in some}
    assert {n for n in {*members, *headers} if redactor.names.key(n) != n} == set()


def test_whatever_the_providers_tables_name_is_known() -> None:
    silent = {kind.decode() for kind in copilot_frames._SILENT}
    tables = {*codex_frames.SILENT, *codex_frames.OVER, *codex_frames.READERS, *copilot_frames._TERMINAL, *silent}
    assert tables <= known.TYPES["responses"]


def test_a_companys_own_host_is_told_by_its_kind_alone() -> None:
    redactor = Redactor(KEY)
    for host in ("chatgpt.com", "api.business.githubcopilot.com:443", "copilot-proxy.githubusercontent.com"):
        assert redactor.heads.host(host) == host
    shown = redactor.heads.host("copilot-api.acme-rockets.ghe.com")
    assert shown == f"copilot-api.{redactor.names.mark('acme-rockets')}.ghe.com"
    assert provider_of(shown) is not None
