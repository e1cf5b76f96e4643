"""Friends that are down, silent or busy delay nobody but themselves; *arr servers likewise."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone

import pytest
import requests

from jack.model import DownloadStatus
from tests.scenarios.harness import (
    KEY,
    KIB,
    PATIENCE_SECONDS,
    Jack,
    content,
    cut,
    peer_entry,
    server_entry,
)
from tests.support.fake_arr import FakeArr
from tests.support.ports import Port
from tests.support.scripted_peer import Answer, Request, ScriptedPeer, file_path, item_path
from tests.support.waiting import eventually

S = DownloadStatus
SIZE = 600 * KIB
HOUR = 3600
SLOTS = 3
STALE = 2 * SLOTS
SILENT_SECONDS = 30.0
"""For so long a single request waits for the first byte of an answer."""


def silent_url(stack: ExitStack) -> str:
    """A friend whose system takes connections and whose jack never answers."""
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=64))
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


class Meter:
    """Counts how many files a peer is sending at once."""

    def __init__(self, peer: ScriptedPeer) -> None:
        self._peer = peer
        self._lock = threading.Lock()
        self._under_way: list[Request] = []
        self.most = 0

    def __call__(self, request: Request) -> Answer:
        answer = self._peer.honest(request)
        with self._lock:
            self._under_way = [r for r in self._under_way if r.sent < SIZE] + [request]
            self.most = max(self.most, len(self._under_way))
        return answer


def test_three_dead_friends_do_not_delay_the_downloads_of_a_good_one(
    new_jack: Callable[..., Jack],
    new_peer: Callable[[], ScriptedPeer],
    port: Port,
    stack: ExitStack,
) -> None:
    good, busy = new_peer(), new_peer()
    silent = silent_url(stack)
    busy.always("/handshake", Answer(503, {"Retry-After": str(HOUR)}))
    dead = {"refusing": port.url, "silent": silent, "busy": busy.url}
    you = new_jack(
        downloads={"maxConcurrentDownloads": SLOTS},
        peers=[peer_entry("good", good.url), *(peer_entry(n, url) for n, url in dead.items())],
    )
    stale = 0
    for name, url in dead.items():  # enough of them to fill all slots, and more that just came
        for number in range(STALE):
            item = f"c:movie:{name}{number}"
            busy.always(file_path(item), Answer(503, {"Retry-After": str(HOUR)}))
            stale = you.plant(f"{item}.torrent", url, item, f"{name} {number}.mkv", SIZE)
        item = f"c:movie:{name}-new"
        busy.always(item_path(item), Answer(503, {"Retry-After": str(HOUR)}))
        you.drop(f"{item}.torrent", url, item)
    meter, bodies = Meter(good), {}
    for number in range(5):
        item, name = f"c:movie:{number}", f"Good {number}.mkv"
        bodies[name] = content(SIZE, seed=number)
        good.offer(item, bodies[name], filename=name)
        good.always(file_path(item), meter)
        you.drop(f"{item}.torrent", good.url, item)
    you.start()
    eventually(
        lambda: sum(row.status is S.COMPLETED for row in you.rows()) == len(bodies),
        SILENT_SECONDS - 5,  # one silent answer waited for would take longer
        "the good friend's downloads",
    )
    for name, body in bodies.items():
        assert you.file(name).read_bytes() == body
    assert 1 <= meter.most <= SLOTS
    others = [row for row in you.rows() if row.id <= stale]
    assert len(others) == 3 * STALE
    assert {row.status for row in others} <= {S.QUEUED, S.WAITING, S.DOWNLOADING}
    assert len(you.rows()) == 3 * STALE + len(bodies), "the new stubs have no row yet"
    eventually(
        lambda: len(you.stubs()) == 3 * (STALE + 1), PATIENCE_SECONDS, "the end of the good stubs"
    )
    # The busy one was asked by what was under way at the same time, not once per file.
    eventually(
        lambda: all(row.next_attempt_at for row in you.rows() if row.filename.startswith("busy")),
        PATIENCE_SECONDS,
        "the pause of the busy friend",
    )
    asked = [request.path for request in busy.requests]
    assert len(asked) <= len({"a handshake", "a new stub"}) + SLOTS, asked
    assert you.stop() == 0


@pytest.mark.fault("N1")
def test_a_friend_who_is_down_at_the_grab_brings_the_file_when_he_is_back(
    new_jack: Callable[..., Jack], port: Port
) -> None:
    friend = new_jack("friend", jack={"internalUrl": port.url, "apiKey": KEY})
    video = friend.folder / "video"
    video.mkdir()
    body = content(SIZE)
    (video / "Film (2020).mkv").write_bytes(body)
    friend.configure(downloads=None, library=[{"folder": str(video)}])
    you = new_jack("you", peers=[peer_entry("friend", port.url)])
    friend.start()
    item = found_item(port.url)
    assert friend.stop() == 0
    you.start()
    stub = you.drop("Film.torrent", port.url, item)
    eventually(lambda: "cannot be reached" in you.log, PATIENCE_SECONDS, "the first try")
    assert you.rows() == []
    assert stub.exists()
    friend.start()
    you.row(1, S.COMPLETED)
    assert you.file().read_bytes() == body
    eventually(lambda: not stub.exists(), PATIENCE_SECONDS, "the end of the stub")


def found_item(url: str) -> str:
    answer = requests.get(
        f"{url}/peer/search", headers={"X-Api-Key": KEY}, timeout=PATIENCE_SECONDS
    )
    (item,) = answer.json()["items"]
    return str(item["id"])


def test_a_grab_outlives_a_restart_while_the_friend_is_down(
    new_jack: Callable[..., Jack], peer: ScriptedPeer
) -> None:
    body, item = content(SIZE), "c:movie:1"
    peer.offer(item, body)
    peer.always(item_path(item), Answer(500))
    you = new_jack(peers=[peer_entry("friend", peer.url)])
    you.drop("Film.torrent", peer.url, item)
    you.start()
    eventually(lambda: len(peer.requests_to(item_path(item))) > 1, PATIENCE_SECONDS, "two tries")
    you.kill()
    assert you.rows() == []
    assert you.stubs() == {"Film.torrent"}
    peer.always(item_path(item), None)
    you.start()
    you.row(1, S.COMPLETED)
    assert you.file().read_bytes() == body


def test_a_pause_a_friend_asked_for_survives_a_restart(
    new_jack: Callable[..., Jack], new_peer: Callable[[], ScriptedPeer]
) -> None:
    busy, good, item = new_peer(), new_peer(), "c:movie:1"
    for peer in (busy, good):
        peer.offer(item, content(SIZE))
    busy.script(file_path(item), Answer(503, {"Retry-After": str(HOUR)}))
    you = new_jack(peers=[peer_entry("busy", busy.url), peer_entry("good", good.url)])
    you.start()
    begun = datetime.now(timezone.utc)
    you.drop("Film.torrent", busy.url, item)
    due = you.row(1, S.WAITING).next_attempt_at
    assert due is not None
    latest = datetime.now(timezone.utc) + timedelta(seconds=HOUR)
    assert begun + timedelta(seconds=HOUR - 1) <= due <= latest
    assert you.stop() == 0
    asked = len(busy.requests)
    you.start()
    good.offer(item, content(SIZE), filename="Other (2021).mkv")
    you.drop("Other.torrent", good.url, item)
    you.row(2, S.COMPLETED)  # so the new process had the time to ask, had it wanted to
    row = you.row(1)
    assert (row.status, row.next_attempt_at) == (S.WAITING, due)
    assert len(busy.requests) == asked
    assert "busy answered HTTP 503" in you.run("why", "1").stdout


@pytest.mark.fault("N6")
def test_a_link_that_drops_again_and_again_loses_no_received_byte(
    new_jack: Callable[..., Jack], peer: ScriptedPeer
) -> None:
    size, item = 4_000_000, "c:movie:1"
    body = content(size)
    peer.offer(item, body, etag='"v1"')
    peer.always(file_path(item), cut(peer, 700_000))
    you = new_jack(peers=[peer_entry("friend", peer.url)])
    you.start()
    you.drop("Film.torrent", peer.url, item)
    row = you.row(1, S.COMPLETED)
    assert you.file().read_bytes() == body
    assert row.attempts == len(peer.requests_to(file_path(item))) == 6


def test_an_arr_that_is_down_at_completion_is_asked_again_when_it_is_back(
    new_jack: Callable[..., Jack], peer: ScriptedPeer, new_arr: Callable[[str], FakeArr]
) -> None:
    sonarr, item = new_arr("sonarr"), "c:episode:1"
    peer.offer(item, content(SIZE), filename="Series S01E02.mkv", category=5000)
    you = new_jack(
        peers=[peer_entry("friend", peer.url)],
        servers=[server_entry("Sonarr", "sonarr", sonarr.url, sonarr.api_key)],
    )
    sonarr.go_down()
    you.start()
    you.drop("Episode.torrent", peer.url, item)
    row = you.row(1, S.COMPLETED, lambda row: row.next_attempt_at is not None)
    assert "Sonarr" in str(row.error)
    assert "asked again" in you.run("why", "1").stdout
    assert "Episode.torrent" not in you.stubs()
    sonarr.come_back()
    you.row(1, S.IMPORT_QUEUED)
    assert sonarr.scanned == [str(you.file("Series S01E02.mkv"))]


def test_a_failing_radarr_that_may_have_grabbed_it_is_waited_for(
    new_jack: Callable[..., Jack], peer: ScriptedPeer, new_arr: Callable[[str], FakeArr]
) -> None:
    healthy, failing, item = new_arr("radarr"), new_arr("radarr"), "c:movie:1"
    peer.offer(item, content(SIZE))
    you = new_jack(
        peers=[peer_entry("friend", peer.url)],
        servers=[
            server_entry("Second", "radarr", failing.url, failing.api_key),
            server_entry("First", "radarr", healthy.url, healthy.api_key),
        ],
    )
    with failing.answering(503, "<html>starting</html>"):
        you.start()
        you.drop("Film.torrent", peer.url, item)
        you.row(1, S.COMPLETED, when=lambda row: "Second" in (row.error or ""))
        assert you.stop() == 0
    assert failing.commands == healthy.commands == []
    you.start()  # which resumes the handover at once
    failing.wait_for_commands(1, PATIENCE_SECONDS)
    assert failing.scanned == [str(you.file())]
    healthy.wait_for_commands(1, PATIENCE_SECONDS)
    assert len(healthy.commands) == 1
