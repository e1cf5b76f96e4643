"""From a stub to a row: the friend's answer decides, and no grab is lost."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from jack.model import DownloadStatus, Stub, connector_id
from tests.downloads.world import World, held
from tests.support.scripted_peer import Answer, ScriptedPeer, item_path
from tests.support.waiting import eventually

S = DownloadStatus
ITEM = "c:movie:1"
FILM = bytes(range(256)) * 40
GOOD: dict[str, Any] = {
    "id": ITEM,
    "title": "Film",
    "filename": "Film (2020).mkv",
    "category": 2000,
    "size": len(FILM),
}


def answer(value: object, **options: Any) -> Answer:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Answer(200, {"Content-Type": "application/json"}, body, **options)


def asked(peer: ScriptedPeer) -> int:
    return len(peer.requests_to(item_path(ITEM)))


def test_a_stub_becomes_a_row_and_a_file(running: World) -> None:
    peer = running.friend()
    peer.offer(ITEM, FILM)
    running.start()
    stub = running.drop(peer)
    row = running.until(S.COMPLETED)
    assert row.dest_path.read_bytes() == FILM
    assert (row.peer_name, row.item_id, row.attempts) == ("ann", ITEM, 1)
    eventually(lambda: not stub.exists())


def test_there_is_no_row_before_the_friend_has_answered(running: World) -> None:
    peer, gate = running.friend(), threading.Event()
    peer.offer(ITEM, FILM)
    body = json.dumps(GOOD).encode()
    peer.script(item_path(ITEM), Answer(200, {}, body, pause_at=5, gate=gate))
    running.start()
    stub = running.drop(peer)
    eventually(lambda: asked(peer))
    assert running.rows() == []
    assert stub.exists()
    gate.set()
    running.until(S.COMPLETED)


def test_a_friend_who_is_down_at_the_grab_loses_nothing(
    stepped: World, lines: Callable[[], list[str]]
) -> None:
    peer = stepped.friend()
    peer.offer(ITEM, FILM)
    peer.script(item_path(ITEM), *[Answer(503)] * 3)
    stepped.start()
    stub = stepped.drop(peer)
    for tries in (1, 2, 3):
        eventually(lambda tries=tries: asked(peer) == tries)
        assert stub.exists()
        assert stepped.rows() == []
        eventually(lambda: stepped.is_put_off)
        assert asked(peer) == tries, "asked again before its time"
        stepped.advance(10)
    stepped.until(S.COMPLETED)
    assert len(waits(lines())) == 1, "one line for one outage"


def test_a_stub_whose_friend_is_down_is_listed_with_the_reason_and_the_next_look(
    stepped: World,
) -> None:
    url = stepped.absent_friend("ann")
    stepped.start()
    stepped.drop(url)
    eventually(lambda: any(stub.next_look for stub in stepped.waiting_stubs()))
    [waiting] = stepped.waiting_stubs()
    assert (waiting.name, waiting.details.stub) == ("a.torrent", Stub(connector_id(url), ITEM))
    assert "ann" in waiting.why
    assert waiting.next_look is not None
    assert waiting.next_look > stepped.now()


def test_a_stub_whose_friend_does_not_answer_yet_is_listed(running: World) -> None:
    peer, gate = running.friend(), threading.Event()
    peer.script(item_path(ITEM), held(gate))
    running.start()
    running.drop(peer)
    [waiting] = eventually(running.waiting_stubs)
    assert (waiting.why, waiting.next_look) == ("ann is asked what it is", None)
    gate.set()


def waits(said: list[str]) -> list[str]:
    return [line for line in said if "asked about again" in line]


def test_a_friend_who_cannot_be_reached_is_asked_again_with_backoff(stepped: World) -> None:
    peer = stepped.friend()
    peer.offer(ITEM, FILM)
    peer.close()
    stepped.start()
    stub = stepped.drop(peer)
    eventually(lambda: stepped.known_peer(peer).closed_seconds == 10)
    assert stub.exists()
    assert stepped.rows() == []
    back = peer.back()
    try:
        stepped.advance(10)
        stepped.until(S.COMPLETED)
    finally:
        back.close()


def test_what_the_friend_does_not_have_is_parked_with_a_line(
    running: World, lines: Callable[[], list[str]]
) -> None:
    peer = running.friend()
    running.start()
    stub = running.drop(peer)
    eventually(lambda: running.parked == ["a.torrent"])
    assert not stub.exists()
    assert running.rows() == []
    (said,) = eventually(lambda: [line for line in lines() if "refused" in line])
    assert "HTTP 404" in said
    assert "failed/a.torrent" in said


def test_a_parked_stub_dropped_again_is_asked_about_again(running: World) -> None:
    peer = running.friend()
    running.start()
    running.drop(peer)
    eventually(lambda: running.parked == ["a.torrent"])
    peer.offer(ITEM, FILM)
    running.drop_again(running.watch / "failed" / "a.torrent")
    running.until(S.COMPLETED)


@pytest.mark.fault("P16")
def test_a_stub_of_an_unknown_friend_stays_and_is_taken_when_the_config_has_him(
    running: World,
) -> None:
    peer = running.friend()
    peer.offer(ITEM, FILM)
    known, running.peers = running.peers, []
    running.start()
    stub = running.drop(peer)
    [waiting] = eventually(running.waiting_stubs)
    assert (waiting.name, waiting.details.stub) == ("a.torrent", Stub(connector_id(peer.url), ITEM))
    assert "not in the config" in waiting.why
    running.stop()
    assert stub.exists()
    assert peer.requests == []
    running.peers = known
    running.start()
    running.until(S.COMPLETED)


@pytest.mark.fault("W11")
def test_a_stub_taken_away_before_the_friend_answered_is_dropped(stepped: World) -> None:
    peer = stepped.friend()
    peer.offer(ITEM, FILM)
    peer.script(item_path(ITEM), Answer(500))
    stepped.start()
    stub = stepped.drop(peer)
    eventually(lambda: stepped.is_put_off)
    stub.unlink()
    stepped.advance(10)
    eventually(lambda: stepped.known_peer(peer).open_stubs() == 0)
    assert (asked(peer), stepped.rows()) == (1, [])
    stepped.drop(peer)
    stepped.until(S.COMPLETED)


@pytest.mark.fault("P1")
def test_unsafe_names_are_parked_and_nothing_is_written(running: World) -> None:
    names = ["../evil.mkv", "a/b.mkv", "a\\b.mkv", "film.exe", ".hidden.mkv", "x\u202egpj.mkv"]
    peer = running.friend()
    for number, name in enumerate(names):
        peer.offer(f"c:movie:{number}", FILM, filename=name, title="Film")
    running.start()
    for number in range(len(names)):
        running.drop(peer, f"c:movie:{number}", name=str(number))
    eventually(lambda: len(running.parked) == len(names))
    assert running.rows() == []
    assert list(running.completed.iterdir()) == []
    assert not (running.root / "evil.mkv").exists()


def test_more_than_max_file_bytes_is_parked(running: World) -> None:
    running.settings["max_file_bytes"] = 1000
    peer = running.friend()
    peer.offer(ITEM, FILM)
    running.start()
    running.drop(peer)
    eventually(lambda: running.parked == ["a.torrent"])
    assert running.rows() == []


@pytest.mark.parametrize("told", [0, 10])
def test_less_than_a_tenth_of_what_was_offered_is_refused(
    running: World, lines: Callable[[], list[str]], told: int
) -> None:
    """The stub says 10,000 bytes, the friend has 45, whatever his metadata say."""
    peer = running.friend()
    peer.offer(ITEM, bytes(45), size=45 if told else 0)
    running.start()
    running.drop(peer, size=10_000)
    eventually(lambda: running.parked == ["a.torrent"])
    eventually(lambda: any("9.8 KiB were offered, 45 B are there" in line for line in lines()))
    assert list(running.completed.iterdir()) == []


def test_a_file_of_a_tenth_of_what_was_offered_is_taken(running: World) -> None:
    peer = running.friend()
    peer.offer(ITEM, bytes(1000))
    running.start()
    running.drop(peer, size=10_000)
    running.until(S.COMPLETED)


NESTED = b'{"id":' + b"[" * 5000 + b"]" * 5000 + b"}"
HOSTILE = {
    "negative size": answer({**GOOD, "size": -1}),
    "huge size": answer({**GOOD, "size": 2**60}),
    "size as text": answer({**GOOD, "size": "10"}),
    "size as a fraction": answer({**GOOD, "size": 1.5}),
    "size true": answer({**GOOD, "size": True}),
    "no size": answer({key: GOOD[key] for key in GOOD if key != "size"}),
    "name as a list": answer({**GOOD, "filename": ["x.mkv"]}),
    "empty name": answer({**GOOD, "filename": ""}),
    "unknown category": answer({**GOOD, "category": 3000}),
    "a list": answer([GOOD]),
    "nothing": answer(b""),
    "not JSON": answer(b"<html>"),
    "not UTF-8": answer(b'{"id": "\xff"}'),
    "NaN": answer(b'{"size": NaN}'),
    "5000 deep": answer(NESTED),
    "2 MiB": answer({**GOOD, "padding": "x" * 2 * 1024 * 1024}),
    "2 MiB without a length": answer(b" " * 2 * 1024 * 1024, chunked=True),
    "wrong id": answer({**GOOD, "id": "c:movie:2"}),
    "compressed": Answer(
        200, {"Content-Encoding": "gzip"}, gzip.compress(json.dumps(GOOD).encode())
    ),
    "a redirect": Answer(302, {"Location": "http://127.0.0.1:9/"}),
    "204": Answer(204),
    "not HTTP": Answer(raw=b"hello, this is not HTTP at all\r\n\r\n"),
}


@pytest.mark.fault("P10")
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_metadata_never_becomes_a_row(running: World, kind: str) -> None:
    peer = running.friend()
    peer.offer(ITEM, FILM)
    peer.always(item_path(ITEM), HOSTILE[kind])
    running.start()
    running.drop(peer)
    eventually(lambda: running.parked == ["a.torrent"])
    assert running.rows() == []
    assert list(running.completed.iterdir()) == []
    assert asked(peer) == 2, "nonsense is an accident once"


def test_metadata_that_makes_no_sense_once_is_asked_for_again(running: World) -> None:
    peer = running.friend()
    peer.offer(ITEM, FILM)
    peer.script(item_path(ITEM), HOSTILE["not JSON"], Answer(500), HOSTILE["not JSON"])
    running.start()
    running.drop(peer)
    running.until(S.COMPLETED)
    assert asked(peer) == 4


@pytest.mark.fault("H22")
def test_a_refused_key_pauses_the_friend_and_not_every_grab(stepped: World) -> None:
    peer = stepped.friend(key="a wrong key")
    stepped.start()
    for number in range(30):
        stepped.drop(peer, f"c:movie:{number}", name=str(number))
    known = stepped.known_peer(peer)
    eventually(lambda: known.closed_seconds > 0)
    eventually(lambda: known.open_stubs() == 30)
    assert len(peer.requests) == 1
    assert "does not accept our key" in known.why_closed


def test_a_friend_who_hangs_delays_no_other_friends_grabs(running: World) -> None:
    hanging, good = running.friend("hanging"), running.friend("good")
    hanging.always(item_path(ITEM), Answer(200, length=100, pause_at=0))
    good.offer(ITEM, FILM)
    running.start()
    running.drop(hanging, name="a")
    eventually(lambda: asked(hanging))
    running.drop(good, name="b")
    running.until(S.COMPLETED)
    assert running.parked == []


def test_a_bug_while_resolving_leaves_the_stub_and_a_traceback(
    running: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def bug(name: str) -> str:
        raise ZeroDivisionError

    peer = running.friend()
    peer.offer(ITEM, FILM)
    monkeypatch.setattr("jack.downloads.grabs.safe_filename", bug)
    running.start()
    stub = running.drop(peer)
    eventually(lambda: "ZeroDivisionError" in caplog.text)
    assert stub.exists()
    monkeypatch.undo()
    running.drop(peer, name="another")
    running.until(S.COMPLETED)
