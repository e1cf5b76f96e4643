"""A friend who wants our memory, our disk or our eyes."""

from __future__ import annotations

import ast
import contextlib
import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import jack
from jack.errors import JackError, ProtocolError, TransientError
from jack.model import DownloadStatus as S
from jack.model import Release
from jack.peers.peer_client import MAX_SEARCH_BYTES, PeerClient, PeerEntry
from jack.peers.query import Question
from jack.support.clock import SystemClock
from jack.support.http import Wire
from tests.downloads.world import World, world
from tests.support.random_json import GOOD
from tests.support.scripted_peer import Answer, ScriptedPeer, file_path, item_path
from tests.support.waiting import eventually
from tests.transfer.rig import FILE, ITEM, Rig, film

SEARCH = "/peer/search"
MUCH_BYTES = 3 * 1024 * 1024
"""Of memory, for one answer of 0.3 MB; as objects these would take up to 20 MB."""


@pytest.fixture
def client(peer: ScriptedPeer) -> Iterator[PeerClient]:
    made = PeerClient(PeerEntry("00000000", "ann", peer.url, "the-key-for-ann"), connections=2)
    yield made
    made.close()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path, SystemClock()) as made:
        yield made


def memory_of(act: Callable[[], object]) -> int:
    """The most that was held at once while it ran, in bytes."""
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def list_of(item: bytes, size: int = 300_000) -> bytes:
    return b'{"items":[' + item * (size // len(item)) + b"{}]}"


def rich(key: str, value: bytes) -> bytes:
    """A release that is fine, but for one field beside those that count."""
    good = {name: GOOD[name] for name in ("id", "title", "filename", "category", "size")}
    return json.dumps({**good, key: "?"}).encode().replace(b'"?"', value) + b","


BOMBS = {
    "rich media": list_of(rich("mediaInfo", b'{"a":[' + b"[]," * 1_000 + b"[]]}")),
    "rich quality": list_of(rich("quality", b'{"a":[' + b"{}," * 1_000 + b"[]]}")),
    "many languages": list_of(rich("languages", b"[" + b'"ab",' * 1_000 + b'"ab"]')),
    "empty lists": list_of(b"[],"),
    "empty objects": list_of(b"{},"),
    "numbers": list_of(b"5,"),
    "nested lists": list_of(b"[[[[[[[[]]]]]]]],"),
    "one object of many members": b'{"items":[{' + b'"a":[],' * 200_000 + b'"b":1}]}',
    "one long string": b'{"items":["' + b"x" * 2_000_000 + b'"]}',
    "one deep nest": b'{"items":[' + b"[" * 1_000_000,
    "a long member before": b'{"other":' + list_of(b"[],"),
}


@pytest.mark.fault("P11", "P13")
@pytest.mark.parametrize("kind", BOMBS)
def test_the_answer_to_a_search_takes_little_memory_whatever_its_shape(
    peer: ScriptedPeer, client: PeerClient, kind: str
) -> None:
    peer.script(SEARCH, Answer(body=BOMBS[kind]))

    def ask() -> None:
        with contextlib.suppress(ProtocolError):
            client.search(Question(), Wire())

    assert memory_of(ask) < MUCH_BYTES


@pytest.mark.fault("P11", "P13")
@pytest.mark.parametrize("item", [b"[],", b"{},", b"5,", b"[[[[[[]]]]]],"])
def test_so_does_metadata(peer: ScriptedPeer, client: PeerClient, item: bytes) -> None:
    peer.script(item_path(ITEM), Answer(body=list_of(item, 900_000)))

    def ask() -> None:
        with pytest.raises(ProtocolError):
            client.get_release(ITEM, Wire())

    assert memory_of(ask) < MUCH_BYTES


@pytest.mark.fault("P11")
@pytest.mark.parametrize("field", ["mediaInfo", "edition", "languages"])
def test_what_is_kept_of_metadata_in_the_row_is_small(
    peer: ScriptedPeer, client: PeerClient, field: str
) -> None:
    much = {"mediaInfo": {"a": "x" * 20_000}, "edition": "x" * 20_000, "languages": ["x"] * 20_000}
    for extra, kept in (({field: much[field]}, False), ({field: GOOD[field]}, True)):
        peer.script(
            item_path(ITEM), Answer(body=json.dumps({**GOOD, "id": ITEM, **extra}).encode())
        )
        release = client.get_release(ITEM, Wire())
        assert (field in release.extra) is kept


@pytest.mark.fault("P11")
def test_a_catalog_of_a_million_releases_is_read_to_the_limit_and_no_further(
    peer: ScriptedPeer, client: PeerClient
) -> None:
    item = json.dumps(GOOD).encode() + b","
    padding = b" " * MAX_SEARCH_BYTES
    peer.script(SEARCH, Answer(body=b'{"items":[' + item * 2000 + padding + b"{}]}"))
    with pytest.raises(ProtocolError, match=f"more than {MAX_SEARCH_BYTES} bytes"):
        client.search(Question(), Wire())
    peer.script(SEARCH, Answer(body=b'{"items":[' + item * 2000 + b"{}]}"))
    assert len(client.search(Question(), Wire())) == 2000


@pytest.mark.fault("P9")
@pytest.mark.parametrize("chunked", [False, True])
def test_an_endless_body_brings_the_announced_size_and_then_the_connection_ends(
    rig: Rig, chunked: bool
) -> None:
    """The friend would send for ever; jack takes what it was told of, and hangs up."""
    body = film(200_000)
    endless = memoryview(body + bytes(40_000_000))
    rig.release_size = len(body)
    rig.peer.script(FILE, Answer(body=endless, length=None, chunked=chunked))
    rig.attempt()
    assert rig.dest.read_bytes() == body
    assert rig.peer.requests_to(FILE)[0].sent < 20_000_000


@pytest.mark.fault("P9")
def test_a_body_that_never_ends_cannot_grow_beyond_what_is_allowed(running: World) -> None:
    peer = running.friend()
    running.settings["max_file_bytes"] = 500_000
    peer.offer("c:movie:1", film(1000), filename="a.mkv")
    peer.always(file_path("c:movie:1"), Answer(body=memoryview(bytes(3_000_000)), length=3_000_000))
    running.start()
    running.drop(peer)
    row = running.until(S.FAILED)
    assert "maxFileBytes" in (row.error or "")
    assert list(running.completed.iterdir()) == []


@pytest.mark.fault("P18")
@pytest.mark.parametrize(
    "told",
    [
        {"name": "<script>alert(1)</script>", "version": "0.1.0"},
        {"name": "bob", "version": "0.1.0\u2028\n\x85"},
        {"name": "x" * 900_000, "version": "9" * 9 + ".0.0"},
        {"name": None, "version": "0.1.0" + "\x1b[31m"},
        {"version": ["0.1.0"]},
        ["jack"],
    ],
)
def test_what_a_friend_calls_itself_is_shown_nowhere(
    peer: ScriptedPeer, client: PeerClient, told: object
) -> None:
    peer.script("/handshake", Answer(body=json.dumps(told).encode()))
    try:
        version = client.handshake(Wire())
    except JackError as error:
        assert str(error).isprintable()
    else:
        assert version is None or len(version) < 40


NAMES = ["FILM.MKV", "film.mkv", "Film.mkv", "fi\u0301lm.mkv", "f\u00edlm.mkv", "\ufb01lm.mkv"]


@pytest.mark.fault("P1")
def test_names_that_differ_only_to_a_computer_do_not_meet(running: World) -> None:
    """In letter case, in the form of an accent, in a ligature: each keeps its own bytes."""
    peer = running.friend()
    for number, name in enumerate(NAMES):
        peer.offer(str(number), film(10_000 + number, seed=number), filename=name)
    running.start()
    for number in range(len(NAMES)):
        running.drop(peer, str(number), name=str(number))
    rows = [running.until(S.COMPLETED, number + 1) for number in range(len(NAMES))]
    for row in rows:
        number = int(row.item_id)
        assert row.dest_path.name == NAMES[number]
        assert row.dest_path.read_bytes() == film(10_000 + number, seed=number)


@pytest.mark.fault("P21")
def test_nothing_that_talks_to_others_parses_xml() -> None:
    """What writes XML escapes it by hand; only the pretend Radarr of the demo reads our own."""
    for path in Path(jack.__file__).parent.rglob("*.py"):
        names = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module or "")
        parsers = {name for name in names if name.partition(".")[0] in ("xml", "lxml", "xmlrpc")}
        allowed = {"xml.sax.saxutils"} | (
            {"xml.etree.ElementTree"} if "demo" in str(path) else set()
        )
        assert parsers <= allowed, path


SLOW = [b'{"items":[' + b" " * 10, b'{"items":[{"id":"' + b"x" * 10]


@pytest.mark.fault("P11")
@pytest.mark.parametrize("body", SLOW)
def test_an_answer_that_stops_in_the_middle_is_none(
    peer: ScriptedPeer, client: PeerClient, body: bytes
) -> None:
    peer.script(SEARCH, Answer(body=body, length=1000, cut_after=len(body)))
    with pytest.raises(TransientError):
        client.search(Question(), Wire())
    found: list[Release] = client.search(Question(), Wire())
    assert found == []


@pytest.mark.fault("H24")
@pytest.mark.parametrize(("misses", "asked"), [(1, 2), (2, 3), (3, 4)])
def test_a_friend_who_does_not_know_his_library_yet_is_asked_again(
    running: World, misses: int, asked: int
) -> None:
    peer = running.friend()
    peer.offer("c:movie:1", film(1000))
    peer.script(item_path("c:movie:1"), *[Answer(404)] * misses)
    running.start()
    running.drop(peer)
    running.until(S.COMPLETED)
    assert len(peer.requests_to(item_path("c:movie:1"))) == asked


@pytest.mark.fault("H24")
@pytest.mark.parametrize(("status", "asked"), [(404, 4), (410, 1), (400, 1)])
def test_what_he_still_does_not_know_is_refused_and_said_once(
    running: World, caplog: pytest.LogCaptureFixture, status: int, asked: int
) -> None:
    peer = running.friend()
    peer.always(item_path("c:movie:1"), Answer(status))
    running.start()
    running.drop(peer)

    def said() -> list[str]:
        lines = (record for record in caplog.records if record.levelname in ("WARNING", "ERROR"))
        return [line.getMessage() for line in lines if "a.torrent" in line.getMessage()]

    (line,) = eventually(said)
    assert f"does not have item 'c:movie:1' (HTTP {status})" in line
    assert running.parked == ["a.torrent"]
    assert len(peer.requests_to(item_path("c:movie:1"))) == asked
