"""A stub goes in, a file comes out, and the right Radarr or Sonarr is told."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from jack.model import DownloadStatus, connector_id
from tests.scenarios.harness import (
    KEY,
    KIB,
    PATIENCE_SECONDS,
    Jack,
    content,
    paused,
    peer_entry,
    server_entry,
    stub_bytes,
)
from tests.support.fake_arr import FakeArr
from tests.support.ports import Port
from tests.support.scripted_peer import ScriptedPeer, file_path, item_path
from tests.support.waiting import eventually

S = DownloadStatus
FILM = "Film (2020).mkv"
EPISODE = "Series S01E02.mkv"
SIZE = 1500 * KIB
FIELDS = set(
    "id status torrentFilename peerId peerName itemId filename destPath partPath releaseSize"
    " expectedBytes expectedBytesSource expectedBytesMismatch downloadedBytes attempts"
    " nextAttemptAt error startedAt updatedAt completedAt why receivedBytes"
    " bytesPerSecond etaSeconds paused".split()
)
UTC_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


class Household:
    """You with a Radarr and a Sonarr, and a friend whose jack shares a film and an episode."""

    def __init__(self, you: Jack, friend: Jack, port: Port, radarr: FakeArr, sonarr: FakeArr):
        self.you, self.friend, self.port = you, friend, port
        self.radarr, self.sonarr = radarr, sonarr
        self.bytes = {FILM: content(SIZE), EPISODE: content(300 * KIB, seed=2)}
        for name, data in self.bytes.items():
            (friend.folder / "video" / name).write_bytes(data)
        friend.start()

    def item(self, filename: str) -> str:
        """The id under which the friend shares that file."""
        answer = requests.get(
            f"{self.port.url}/peer/search", headers={"X-Api-Key": KEY}, timeout=PATIENCE_SECONDS
        )
        return next(str(i["id"]) for i in answer.json()["items"] if i["filename"] == filename)

    def arrived(self, filename: str, stub: str) -> None:
        """Everything that is promised of a download that went well."""
        row = self.you.row(1, S.IMPORT_QUEUED)
        assert row.filename == filename
        assert self.you.file(filename).read_bytes() == self.bytes[filename]
        assert not self.you.part(filename).exists()
        assert stub not in self.you.stubs()
        assert not self.you.failed.exists()
        assert len(self.you.rows()) == 1


@pytest.fixture
def household(
    new_jack: Callable[..., Jack], port: Port, new_arr: Callable[[str], FakeArr]
) -> Household:
    radarr, sonarr = new_arr("radarr"), new_arr("sonarr")
    friend = new_jack("friend", jack={"internalUrl": port.url, "apiKey": KEY})
    (friend.folder / "video").mkdir()
    friend.configure(downloads=None, library=[{"folder": str(friend.folder / "video")}])
    you = new_jack("you", peers=[peer_entry("friend", port.url)])
    mapped = [{"jack": str(you.folder), "arr": "/data"}]
    you.configure(
        servers=[
            server_entry("Radarr", "radarr", radarr.url, radarr.api_key, pathMap=mapped),
            server_entry("Sonarr", "sonarr", sonarr.url, sonarr.api_key, pathMap=mapped),
        ]
    )
    return Household(you, friend, port, radarr, sonarr)


def by_copying(whole: Path, target: Path) -> None:
    shutil.copyfile(whole, target)


def by_moving(whole: Path, target: Path) -> None:
    whole.rename(target)


def by_linking(whole: Path, target: Path) -> None:
    os.link(whole, target)


@pytest.mark.parametrize("put", [by_copying, by_moving, by_linking])
def test_a_stub_put_into_the_folder_becomes_a_file_and_an_import(
    household: Household, put: Callable[[Path, Path], None]
) -> None:
    # The scan is far away: it is the file event that brings it.
    household.you.configure(downloads={"rescanIntervalMs": 600_000})
    household.you.start()
    whole = household.you.folder / "whole"
    whole.write_bytes(stub_bytes(household.port.url, household.item(FILM)))
    put(whole, household.you.watch / "Film.torrent")
    household.arrived(FILM, "Film.torrent")
    household.radarr.wait_for_commands(1)
    assert [command["body"] for command in household.radarr.commands] == [
        {"name": "DownloadedMoviesScan", "path": f"/data/completed/{FILM}"}
    ]
    assert household.sonarr.commands == []


def test_a_stub_that_lies_there_at_start_is_taken(household: Household) -> None:
    household.you.drop("Film.torrent", household.port.url, household.item(FILM))
    household.you.start()
    household.arrived(FILM, "Film.torrent")


@pytest.mark.fault("W4")
def test_polling_finds_a_stub_without_any_file_event(household: Household) -> None:
    household.you.configure(downloads={"watchMode": "poll", "rescanIntervalMs": 200})
    household.you.start()
    assert "scan only (watchMode: poll)" in household.you.log
    household.you.drop("Film.torrent", household.port.url, household.item(FILM))
    household.arrived(FILM, "Film.torrent")


@pytest.mark.fault("W15")
def test_an_episode_is_handed_to_sonarr_only(household: Household) -> None:
    household.you.start()
    household.you.drop("Episode.torrent", household.port.url, household.item(EPISODE))
    household.arrived(EPISODE, "Episode.torrent")
    household.sonarr.wait_for_commands(1)
    assert [command["body"] for command in household.sonarr.commands] == [
        {"name": "DownloadedEpisodesScan", "path": f"/data/completed/{EPISODE}"}
    ]
    assert household.radarr.commands == []


def test_status_as_json_has_every_field_that_is_promised(household: Household) -> None:
    item = household.item(FILM)
    household.you.start()
    household.you.drop("Film.torrent", household.port.url, item)
    household.you.row(1, S.IMPORT_QUEUED)
    while_running = household.you.status()
    assert household.you.stop() == 0
    assert household.you.status() == while_running
    (found,) = while_running
    assert set(found) == FIELDS
    dest = str(household.you.file())
    expected = {"id": 1, "status": "import_queued", "torrentFilename": "Film.torrent"}
    expected |= {"peerId": connector_id(household.port.url), "peerName": "friend", "itemId": item}
    expected |= {"filename": FILM, "destPath": dest, "partPath": f"{dest}.part"}
    expected |= {"releaseSize": SIZE, "expectedBytes": SIZE, "downloadedBytes": SIZE}
    expected |= {"expectedBytesMismatch": False, "attempts": 1}
    expected |= {"error": None}
    assert {name: found[name] for name in expected} == expected
    assert found["expectedBytesSource"] in {"content_length", "content_range"}
    for name in ("startedAt", "updatedAt", "completedAt", "nextAttemptAt"):
        assert UTC_TIME.fullmatch(found[name]), name
    assert found["startedAt"] <= found["completedAt"] <= found["updatedAt"]
    assert "import" in found["why"]


@pytest.fixture
def you(new_jack: Callable[..., Jack], peer: ScriptedPeer) -> Jack:
    return new_jack(peers=[peer_entry("friend", peer.url)])


@pytest.mark.fault("W1")
def test_a_stub_written_in_place_is_looked_at_again_when_it_is_whole(
    you: Jack, peer: ScriptedPeer
) -> None:
    body = content(200 * KIB)
    peer.offer("c:movie:1", body)
    you.start()
    whole = stub_bytes(peer.url, "c:movie:1")
    with (you.watch / "Film.torrent").open("wb") as stub:
        stub.write(whole[: len(whole) // 2])
        stub.flush()
        # When this one has been judged, the half stub has been looked at as well.
        (you.folder / "other").write_bytes(b"d7:comment5:othere")
        (you.folder / "other").rename(you.watch / "other.torrent")
        eventually(lambda: "other.torrent" in you.log, PATIENCE_SECONDS, "the look at both")
        assert peer.requests == []
        assert you.rows() == []
        assert "Film.torrent" not in you.log
        stub.write(whole[len(whole) // 2 :])
    you.row(1, S.COMPLETED)
    assert you.file().read_bytes() == body
    eventually(lambda: "Film.torrent" not in you.stubs(), PATIENCE_SECONDS, "the stub's end")


@pytest.mark.fault("P23")
def test_other_files_stay_untouched_and_are_named_once_over_many_scans(
    new_jack: Callable[..., Jack], peer: ScriptedPeer
) -> None:
    you = new_jack(
        downloads={"watchMode": "poll", "rescanIntervalMs": 100},
        peers=[peer_entry("friend", peer.url)],
    )
    you.watch.mkdir()
    others = {
        "Foreign.torrent": b"d7:comment6:a film4:infod6:lengthi1e4:name1:xee",
        "notes.txt": b"not a torrent at all",
        ".hidden.torrent": stub_bytes(peer.url, "c:movie:9"),
        "caf\udce9.torrent": b"d7:comment3:hume",
    }
    for name, data in others.items():
        (you.watch / name).write_bytes(data)
    (you.watch / "folder.torrent").mkdir()
    you.start()
    for number in range(1, 4):  # each of these is found by a scan of its own
        peer.offer(f"c:movie:{number}", content(KIB), filename=f"Film {number}.mkv")
        you.drop(f"Film {number}.torrent", peer.url, f"c:movie:{number}")
        you.row(number, S.COMPLETED)
    assert you.stop() == 0
    for name, data in others.items():
        assert (you.watch / name).read_bytes() == data
    assert (you.watch / "folder.torrent").is_dir()
    assert you.log.count("Foreign.torrent") == 1
    assert "notes.txt" not in you.log
    assert ".hidden.torrent" not in you.log
    assert len(you.rows()) == 3
    assert peer.requests_to(item_path("c:movie:9")) == []


def test_a_stub_of_an_unknown_peer_is_said_once_and_taken_when_the_config_has_it(
    new_jack: Callable[..., Jack], new_peer: Callable[[], ScriptedPeer]
) -> None:
    known, later = new_peer(), new_peer()
    for peer in (known, later):
        peer.offer("c:movie:1", content(KIB))
    you = new_jack(
        downloads={"watchMode": "poll", "rescanIntervalMs": 100},
        peers=[peer_entry("known", known.url)],
    )
    you.start()
    stranger = you.drop("Stranger.torrent", later.url, "c:movie:1")
    for number in range(1, 4):
        known.offer(f"c:movie:{number}", content(KIB), filename=f"Film {number}.mkv")
        you.drop(f"Film {number}.torrent", known.url, f"c:movie:{number}")
        you.row(number, S.COMPLETED)
    assert you.log.count("Stranger.torrent") == 1
    assert connector_id(later.url) in you.log
    assert stranger.exists()
    assert later.requests == []
    assert you.stop() == 0
    you.configure(peers=[peer_entry("known", known.url), peer_entry("later", later.url)])
    you.start()
    row = you.row(4, S.COMPLETED)
    assert row.peer_name == "later"
    eventually(lambda: not stranger.exists(), PATIENCE_SECONDS, "the end of the stub")


def test_two_stubs_of_one_release_are_fetched_once_and_both_complete(
    new_jack: Callable[..., Jack], peer: ScriptedPeer, new_arr: Callable[[str], FakeArr]
) -> None:
    radarr, gate, body = new_arr("radarr"), threading.Event(), content(SIZE)
    peer.offer("c:movie:1", body)
    peer.script(file_path("c:movie:1"), paused(peer, SIZE // 2, gate))
    you = new_jack(
        peers=[peer_entry("friend", peer.url)],
        servers=[server_entry("Radarr", "radarr", radarr.url, radarr.api_key)],
    )
    you.start()
    you.drop("One.torrent", peer.url, "c:movie:1")
    you.row(1, S.DOWNLOADING)
    you.drop("Two.torrent", peer.url, "c:movie:1")
    assert you.row(2, S.WAITING).blocked_by == 1
    assert "Waiting for download 1" in you.run("why", "2").stdout
    eventually(lambda: peer.requests_to(file_path("c:movie:1")), PATIENCE_SECONDS, "the request")
    gate.set()
    you.row(1, S.IMPORT_QUEUED)
    you.row(2, S.IMPORT_QUEUED)
    assert you.file().read_bytes() == body
    assert not you.part().exists()
    eventually(lambda: not you.stubs(), PATIENCE_SECONDS, "the end of both stubs")
    assert len(peer.requests_to(file_path("c:movie:1"))) == 1


def test_two_releases_of_one_name_arrive_at_once_without_waiting_for_each_other(
    you: Jack, peer: ScriptedPeer
) -> None:
    first, second, gate = content(SIZE), content(SIZE, seed=2), threading.Event()
    peer.offer("c:movie:1", first)
    peer.offer("c:movie:2", second)
    peer.script(file_path("c:movie:1"), paused(peer, SIZE // 2, gate))
    you.start()
    you.drop("One.torrent", peer.url, "c:movie:1")
    you.row(1, S.DOWNLOADING)
    you.drop("Two.torrent", peer.url, "c:movie:2")
    other = you.row(2, S.COMPLETED)
    assert you.row(1, S.DOWNLOADING)
    mark = hashlib.sha256(f"{connector_id(peer.url)}:c:movie:2".encode()).hexdigest()[:8]
    assert other.dest_path.name == f"{you.file().stem}.{mark}{you.file().suffix}"
    assert other.dest_path.read_bytes() == second
    gate.set()
    you.row(1, S.COMPLETED)
    assert you.file().read_bytes() == first
    assert not you.part().exists()
    eventually(lambda: not you.stubs(), PATIENCE_SECONDS, "the end of both stubs")
    assert not you.failed.exists()
