"""Our key goes to the friend it belongs to and nowhere else, and redirects lead nowhere."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from jack.errors import JackError
from jack.model import DownloadStatus as S
from jack.peers.peer_client import PeerClient, PeerEntry
from jack.peers.query import Question
from jack.support.http import Wire
from tests.scenarios.harness import PATIENCE_SECONDS, Jack, cut, peer_entry, stub_bytes
from tests.support.scripted_peer import Answer, ScriptedPeer, file_path, item_path
from tests.support.waiting import eventually
from tests.transfer.rig import FILE, ITEM, Rig, film

KEY = "K-SENTINEL-4f1d-6ac2"
OTHER = "X-SENTINEL-77aa"
BODY = film(300_000)
STATUSES = [300, 301, 302, 303, 305, 307, 308]


@pytest.fixture
def elsewhere() -> Iterator[ScriptedPeer]:
    """Another origin, which must hear nothing."""
    with ScriptedPeer() as other:
        yield other
        assert other.requests == []


def targets(other: ScriptedPeer) -> list[str]:
    """Where a redirect might lead; the last ones lead nowhere at all."""
    local = other.url.removeprefix("http:")
    own = [f"{other.url}/api/v3/command", local, f"http://user:{KEY}@127.0.0.1:{other.port}/"]
    return [*own, "file:///etc/passwd", "/loop", "", "http://[", "http://\xff/", "gopher://x:1/"]


@pytest.mark.fault("H21", "P17")
@pytest.mark.parametrize("status", STATUSES)
def test_no_kind_of_redirect_of_a_file_leads_anywhere(
    rig: Rig, elsewhere: ScriptedPeer, status: int
) -> None:
    for target in targets(elsewhere):
        also = {"Refresh": f"0; url={target}", "Link": f"<{target}>; rel=canonical"}
        rig.peer.script(FILE, Answer(status, {"Location": target, **also}, b"moved"))
        with pytest.raises(JackError) as caught:
            rig.attempt()
        for secret in (KEY, "api/v3", "user", "passwd"):
            assert secret not in str(caught.value)
    assert len(rig.asked()) == len(targets(elsewhere)), "each was asked once, and not again"


@pytest.mark.fault("H21", "P17")
@pytest.mark.parametrize("status", STATUSES)
def test_nor_does_one_of_metadata_a_search_or_a_handshake(
    peer: ScriptedPeer, elsewhere: ScriptedPeer, status: int
) -> None:
    client = PeerClient(PeerEntry("00000000", "ann", peer.url, KEY), connections=2)
    with contextlib.closing(client):
        for target in targets(elsewhere):
            peer.script(item_path(ITEM), Answer(status, {"Location": target}))
            peer.script("/peer/search", Answer(status, {"Location": target}))
            peer.script("/handshake", *[Answer(status, {"Location": target})] * 2)
            with pytest.raises(JackError):
                client.get_release(ITEM, Wire())
            with pytest.raises(JackError):
                client.search(Question(), Wire())
            with pytest.raises(JackError):
                client.handshake(Wire())
            client.probe(Wire())


STUBS = {
    "an address": "http://169.254.169.254/latest/meta-data",
    "this machine": "http://127.0.0.1:{port}/",
    "a path": "../../peer/search",
    "another item": "x/../../../../handshake",
    "a query": "c:movie:1?apikey=x#y",
}


@pytest.mark.fault("P16")
def test_a_stub_cannot_make_jack_ask_anybody_or_anything_else(
    tmp_path: Path, peer: ScriptedPeer, elsewhere: ScriptedPeer
) -> None:
    """The friend must stand in the config; what the stub calls an item stays one path segment."""
    jack = Jack(tmp_path / "you", peers=[peer_entry("ann", peer.url, KEY)])
    with contextlib.closing(jack):
        jack.start()
        foreign = jack.folder / "whole"
        foreign.write_bytes(stub_bytes(elsewhere.url, "c:movie:1"))
        foreign.rename(jack.watch / "foreign.torrent")
        for name, item in STUBS.items():
            jack.drop(f"{name}.torrent", peer.url, item.format(port=elsewhere.port))
        parked = {f"{name}.torrent" for name in STUBS}
        eventually(
            lambda: jack.failed.is_dir() and {p.name for p in jack.failed.iterdir()} == parked,
            PATIENCE_SECONDS,
            "the end of the stubs",
        )
        assert jack.stop() == 0
        assert jack.stubs() == {"foreign.torrent"}
    asked = {request.path for request in peer.requests} - {"/handshake"}
    assert asked == {item_path(item.format(port=elsewhere.port)) for item in STUBS.values()}


def echoes(peer: ScriptedPeer) -> dict[str, S]:
    """A friend who throws our keys back wherever he can. Item -> how it ends."""
    both = f"{KEY} {OTHER}"
    peer.offer("1", BODY, filename="A.mkv", etag=f'"{KEY}"', title=f"A {both}", edition=OTHER)
    peer.script(file_path("1"), cut(peer, 200_000))
    peer.offer("2", BODY, filename=f"B {KEY}.mkv")
    peer.offer("3", BODY, filename="C.mkv")
    home = f"http://{KEY}.{OTHER}.example:80/"
    peer.script(file_path("3"), *[Answer(302, {"Location": home})] * 2)
    peer.offer("4", BODY, filename="D.mkv")
    lies = [{"Content-Length": KEY}, {"Content-Type": f"text/html+{KEY}"}, {"Content-Range": KEY}]
    lies += [{"Retry-After": KEY}, {KEY: "x"}, {"Content-Encoding": KEY}]
    peer.script(
        file_path("4"),
        *[Answer(500, lie, KEY.encode(), length=None) for lie in lies],
        Answer(raw=f"HTTP/1.1 500 {both}\r\n\r\n".encode()),
        Answer(raw=f"HTTP/1.1 200 OK\r\n{both}\r\n\r\n".encode()),
    )
    peer.offer("5", BODY, filename="E.mkv")
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in KEY)
    told = json.dumps({"id": "KEY", "title": OTHER, "filename": "F.mkv", "category": 2000})
    peer.always(item_path("5"), Answer(body=told.replace("KEY", escaped).encode()))
    return {"1": S.COMPLETED, "2": S.COMPLETED, "3": S.FAILED, "4": S.COMPLETED}


@pytest.mark.fault("P18")
@pytest.mark.parametrize("options", [(), ("--log-json",)], ids=["text", "json"])
def test_a_key_that_is_thrown_back_appears_nowhere(tmp_path: Path, options: tuple[str]) -> None:
    with ScriptedPeer(api_key=KEY) as peer:
        ends = echoes(peer)
        entry = peer_entry("ann", peer.url, KEY, headers={"X-Extra": OTHER})
        jack = Jack(tmp_path / "you", peers=[entry])
        with contextlib.closing(jack):
            jack.start("--log-level", "trace", *options)
            for number, (item, status) in enumerate(ends.items(), start=1):
                jack.drop(f"{item}.torrent", peer.url, item)
                jack.row(number, status)
            jack.drop("5.torrent", peer.url, "5")
            eventually(lambda: (jack.failed / "5.torrent").exists(), PATIENCE_SECONDS, "the fifth")
            commands = [["status", "--json"], ["status", "--all"], *(["why", n] for n in "34")]
            told = "".join(d.stdout + d.stderr for d in (jack.run(*args) for args in commands))
            assert jack.stop() == 0
            names = "\n".join(str(path) for path in jack.folder.rglob("*"))
            held = {path: path.read_text("latin-1") for path in jack.state.iterdir()}
            texts = {"the log": jack.log, "commands": told, "names": names, **held}
        assert all(r.headers["x-extra"] == OTHER for r in peer.requests), "they were at work"
    for place, text in texts.items():
        for secret in (KEY, OTHER):
            assert secret.lower() not in text.lower(), place
