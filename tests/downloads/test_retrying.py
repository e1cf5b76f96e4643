"""The retry loop over real sockets: counts, waits, and what is final."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime

import pytest

from jack.model import DownloadStatus, WaitReason
from tests.downloads.world import KEY, World, held
from tests.support.clock import FakeClock
from tests.support.scripted_peer import Answer, Request, Script, ScriptedPeer, file_path, item_path
from tests.support.waiting import eventually

S = DownloadStatus
ITEM = "c:movie:1"
FILM = bytes(range(256)) * 400
PATH = file_path(ITEM)


def cut(peer: ScriptedPeer, after: int) -> Script:
    return lambda request: replace(peer.honest(request), cut_after=after)


def asked(peer: ScriptedPeer, item: str = ITEM) -> int:
    return len(peer.requests_to(file_path(item)))


def started(world: World, *script: Script) -> ScriptedPeer:
    """A friend with one film whose file answers by the script first; the stub is dropped."""
    peer = world.friend()
    peer.offer(ITEM, FILM, etag='"v1"')
    peer.script(PATH, *script)
    world.start()
    world.drop(peer)
    return peer


def test_every_attempt_is_counted_in_the_row(running: World) -> None:
    peer = started(running, Answer(500), Answer(502), Answer(503), Answer(408), Answer(425))
    row = running.until(S.COMPLETED)
    assert (row.attempts, asked(peer)) == (6, 6)
    assert row.dest_path.read_bytes() == FILM


def test_as_many_fruitless_attempts_as_configured_and_no_more(running: World) -> None:
    running.settings["max_download_attempts"] = 4
    peer = started(running, *[Answer(500)] * 9)
    row = running.until(S.FAILED)
    assert (row.attempts, asked(peer)) == (4, 4)
    assert "4 attempts in a row brought next to nothing" in (row.error or "")


def test_a_download_that_makes_progress_is_tried_more_often_than_configured(running: World) -> None:
    running.settings["max_download_attempts"] = 2
    peer = running.friend()
    film = FILM * 4
    drops = [cut(peer, 70_000), Answer(500)] * 5
    peer.offer(ITEM, film, etag='"v1"')
    peer.script(PATH, *drops)
    running.start()
    running.drop(peer)
    row = running.until(S.COMPLETED)
    assert row.attempts == 11
    assert row.dest_path.read_bytes() == film


def test_backoff_grows_between_base_and_maximum(stepped: World) -> None:
    stepped.settings |= {"retry_max_delay_seconds": 40.0}
    peer = started(stepped, *[Answer(500)] * 4)
    highest = [20, 40, 40, 40]
    for tries, most in enumerate(highest, start=1):
        row = stepped.until(S.WAITING, attempts=tries, wait_reason=WaitReason.RETRY)
        assert row.next_attempt_at is not None
        delay = (row.next_attempt_at - stepped.now()).total_seconds()
        assert 10 <= delay <= most
        stepped.settle()
        stepped.advance(delay + 0.001)
    stepped.until(S.COMPLETED, attempts=5)
    assert asked(peer) == 5


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_honoured_exactly(stepped: World, clock: FakeClock, form: str) -> None:
    until = clock.now() + timedelta(seconds=77)
    value = "77" if form == "seconds" else format_datetime(until, usegmt=True)
    peer = started(stepped, Answer(429, {"Retry-After": value}))
    row = stepped.until(S.WAITING, wait_reason=WaitReason.COOLDOWN)
    assert row.next_attempt_at == until
    stepped.settle()
    stepped.advance(76.9)
    assert stepped.row().status is S.WAITING
    assert asked(peer) == 1
    stepped.advance(0.2)
    stepped.until(S.COMPLETED, attempts=2)


@pytest.mark.parametrize(
    ("value", "seconds"), [("999999", 6 * 3600), ("-5", 10), ("soon", 10), ("0", 10)]
)
def test_retry_after_is_clamped_and_nonsense_means_the_usual_backoff(
    stepped: World, value: str, seconds: float
) -> None:
    started(stepped, Answer(503, {"Retry-After": value}))
    row = stepped.until(S.WAITING)
    assert row.next_attempt_at == stepped.now() + timedelta(seconds=seconds)


@pytest.mark.fault("H25")
def test_retry_after_cools_down_the_friend_and_not_one_file(stepped: World) -> None:
    peer = stepped.friend()
    other = stepped.friend("other")
    for number in (1, 2):
        peer.offer(f"c:movie:{number}", FILM, filename=f"f{number}.mkv", title="F")
    other.offer("c:movie:3", FILM, filename="f3.mkv")
    peer.script(PATH, Answer(429, {"Retry-After": "100"}))
    stepped.start()
    stepped.drop(peer, ITEM, "a")
    stepped.until(S.WAITING, wait_reason=WaitReason.COOLDOWN)
    before = len(peer.requests)
    stepped.drop(peer, "c:movie:2", "b")
    stepped.drop(other, "c:movie:3", "c")
    eventually(lambda: (stepped.completed / "f3.mkv").exists())
    stepped.settle()
    stepped.advance(99)
    assert len(peer.requests) == before
    stepped.advance(1.1)
    eventually(lambda: (stepped.completed / "f1.mkv").exists())
    eventually(lambda: (stepped.completed / "f2.mkv").exists())


def test_a_row_that_is_already_there_is_not_asked_during_the_cooldown(
    stepped: World,
) -> None:
    stepped.settings["max_concurrent_downloads"] = 1
    peer = stepped.friend()
    gate = threading.Event()
    for number in (1, 2):
        peer.offer(f"c:movie:{number}", FILM, filename=f"f{number}.mkv", title="F")
    # The first file's answer is held back until the second file stands in line behind it.
    peer.script(PATH, held(gate, Answer(429, {"Retry-After": "100"})))
    stepped.start()
    stepped.drop(peer, ITEM, "a")
    stepped.drop(peer, "c:movie:2", "b")
    eventually(lambda: len(stepped.rows()) == 2)
    gate.set()
    row = stepped.until(S.WAITING, 2, wait_reason=WaitReason.COOLDOWN)
    assert asked(peer, "c:movie:2") == 0
    assert row.attempts == 0
    assert row.next_attempt_at is not None
    assert "HTTP 429" in stepped.why(2)
    stepped.settle()
    stepped.settle()
    stepped.advance(101)
    stepped.until(S.COMPLETED, 1)
    stepped.until(S.COMPLETED, 2)


PERMANENT = [400, 402, 404, 405, 406, 410, 411, 414, 415, 418, 422, 451]


@pytest.mark.fault("H23")
@pytest.mark.parametrize("status", PERMANENT)
def test_other_4xx_are_final_at_once(running: World, status: int) -> None:
    peer = started(running, Answer(status))
    row = running.until(S.FAILED)
    assert (row.attempts, asked(peer)) == (1, 1)
    assert f"HTTP {status}" in (row.error or "")


@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 507, 520, 599])
def test_statuses_that_pass_are_tried_again(running: World, status: int) -> None:
    peer = started(running, Answer(status))
    assert running.until(S.COMPLETED).attempts == 2
    assert asked(peer) == 2


@pytest.mark.fault("N4")
def test_short_bodies_and_broken_lines_are_tried_again_from_the_last_byte(
    running: World,
) -> None:
    peer = running.friend()
    peer.offer(ITEM, FILM, etag='"v1"')
    peer.script(PATH, cut(peer, 30000), cut(peer, 20000), Answer(500, reset=True))
    running.start()
    running.drop(peer)
    row = running.until(S.COMPLETED)
    assert row.dest_path.read_bytes() == FILM
    assert [request.range for request in peer.requests_to(PATH)][:3] == [
        None,
        "bytes=30000-",
        "bytes=50000-",
    ]


@pytest.mark.fault("H22")
@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_pauses_the_friend_and_burns_no_attempts(stepped: World, status: int) -> None:
    stepped.settings["max_concurrent_downloads"] = 1
    peer = stepped.friend()
    count = 20
    for number in range(count):
        peer.offer(f"c:movie:{number}", FILM, filename=f"f{number}.mkv", title="F")
        peer.always(file_path(f"c:movie:{number}"), Answer(status))
    gate = threading.Event()
    peer.script(file_path("c:movie:0"), held(gate, Answer(status)))
    stepped.start()
    for number in range(count):
        stepped.drop(peer, f"c:movie:{number}", name=f"s{number:02d}")
    eventually(lambda: len(stepped.rows()) == count)
    gate.set()
    eventually(
        lambda: all(
            row.wait_reason in {WaitReason.REFUSED, WaitReason.COOLDOWN} for row in stepped.rows()
        )
    )
    files = [request for request in peer.requests if request.path.endswith("/file")]
    assert len(files) == 1, "one answer speaks for all files of that friend"
    assert {row.attempts for row in stepped.rows()} == {0}
    assert "does not accept our key" in stepped.why(1)


def test_when_the_key_is_right_again_everything_goes_on(stepped: World) -> None:
    peer = started(stepped, Answer(401))
    row = stepped.until(S.WAITING, wait_reason=WaitReason.REFUSED)
    assert row.next_attempt_at == stepped.now() + timedelta(seconds=10)
    stepped.settle()
    stepped.advance(10)
    stepped.until(S.COMPLETED)
    assert [request.path for request in peer.requests[-2:]] == ["/handshake", PATH]


@pytest.mark.fault("H21")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed_and_the_target_hears_nothing(
    running: World, status: int, lines: Callable[[], list[str]]
) -> None:
    target = ScriptedPeer()
    running.friends.append(target)
    secret_path = "/elsewhere?token=abc"
    peer = started(running, *[Answer(status, {"Location": target.url + secret_path})] * 5)
    row = running.until(S.FAILED)
    assert target.requests == []
    assert asked(peer) == 2
    assert "redirect" in (row.error or "")
    assert "second answer in a row that makes no sense" in (row.error or "")
    assert not any("token=abc" in line for line in [*lines(), row.error or ""])


def test_nonsense_between_sense_is_forgiven(running: World) -> None:
    nonsense = Answer(302, {"Location": "http://127.0.0.1:9/"})
    started(running, nonsense, Answer(500), nonsense, Answer(500), nonsense)
    assert running.until(S.COMPLETED).attempts == 6


def test_nonsense_after_new_bytes_is_an_accident_again(running: World) -> None:
    page = Answer(200, {"Content-Type": "text/html"}, b"<html>log in</html>")
    peer = running.friend()
    peer.offer(ITEM, FILM, etag='"v1"')
    peer.script(PATH, page, cut(peer, 20000), page, cut(peer, 20000), page)
    running.start()
    running.drop(peer)
    running.until(S.COMPLETED, attempts=6)


def test_never_more_transfers_than_slots_also_across_retries(running: World) -> None:
    running.settings["max_concurrent_downloads"] = 2
    peer = running.friend()
    lock, now, most = threading.Lock(), [0], [0]
    enough = threading.Event()

    def counted(request: Request) -> Answer:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
            if now[0] == 2:
                enough.set()
        enough.wait(20)
        with lock:
            now[0] -= 1
            failing = len(peer.requests_to(request.path)) < 3
        return Answer(500) if failing else peer.honest(request)

    for number in range(8):
        peer.offer(f"c:movie:{number}", FILM, filename=f"f{number}.mkv", title="F")
        peer.always(file_path(f"c:movie:{number}"), counted)
    running.start()
    for number in range(8):
        running.drop(peer, f"c:movie:{number}", name=str(number))
    eventually(lambda: sum(row.status is S.COMPLETED for row in running.rows()) == 8)
    assert most[0] == 2
    assert {row.attempts for row in running.rows()} == {3}


def test_never_more_transfers_than_slots_after_a_restart(running: World) -> None:
    running.settings["max_concurrent_downloads"] = 2
    peer = running.friend()
    gate = threading.Event()
    film = FILM[:1000]

    def stuck(request: Request) -> Answer:
        paused = Answer(200, {}, film, pause_at=500, gate=gate)
        return peer.honest(request) if gate.is_set() else paused

    for number in range(1, 9):
        peer.offer(f"c:movie:{number}", film, filename=f"film-{number}.mkv", title="F")
        peer.always(file_path(f"c:movie:{number}"), stuck)
        running.row_of(peer, number)
    running.start()
    parts = running.completed
    eventually(lambda: sum(part.stat().st_size == 500 for part in parts.glob("*.part")) == 2)
    assert files(peer) == 2
    running.stop()
    running.start()
    eventually(lambda: files(peer) == 4)
    eventually(lambda: sum(row.attempts for row in running.rows()) == 4)
    assert files(peer) == 4
    gate.set()
    eventually(lambda: sum(row.status is S.COMPLETED for row in running.rows()) == 8)


def files(peer: ScriptedPeer) -> int:
    return sum(request.path.endswith("/file") for request in peer.requests)


@pytest.mark.fault("R5")
def test_a_short_rest_gives_its_slot_to_whoever_wants_it(running: World) -> None:
    running.settings |= {
        "max_concurrent_downloads": 1,
        "retry_base_delay_seconds": 4.5,
        "retry_max_delay_seconds": 4.5,
    }
    failing, good = running.friend("failing"), running.friend("good")
    failing.offer(ITEM, FILM, filename="a.mkv")
    failing.script(PATH, Answer(500))
    good.offer(ITEM, FILM, filename="b.mkv")
    running.start()
    running.drop(failing, name="a")
    running.until(S.WAITING, 1, wait_reason=WaitReason.RETRY)
    running.drop(good, name="b")
    second = running.until(S.COMPLETED, 2)
    first = running.row(1)
    waits = first.completed_at is None or second.completed_at is None
    assert waits or first.completed_at > second.completed_at


@pytest.mark.fault("H14")
def test_a_size_other_than_the_releases_is_looked_up_once_more_and_flagged(
    running: World,
) -> None:
    peer = running.friend()
    peer.offer(ITEM, FILM, size=len(FILM) + 5)
    peer.script(PATH, cut(peer, 5000))
    running.start()
    running.drop(peer)
    row = running.until(S.COMPLETED)
    assert row.dest_path.read_bytes() == FILM
    assert (row.expected_bytes, row.expected_bytes_mismatch) == (len(FILM), True)
    assert row.expected_bytes_source == "content_length"
    looks = "for the stub, once more, and before the final name"
    assert len(peer.requests_to(item_path(ITEM))) == 3, looks


def test_a_size_in_metadata_that_was_only_out_of_date_is_corrected(running: World) -> None:
    peer = running.friend()
    peer.offer(ITEM, FILM)
    old = peer.honest(Request("GET", item_path(ITEM), {"x-api-key": KEY}))
    told = {**json.loads(bytes(old.body)), "size": 77}
    peer.script(item_path(ITEM), replace(old, body=json.dumps(told).encode()))
    running.start()
    running.drop(peer)
    row = running.until(S.COMPLETED)
    assert (row.release_size, row.expected_bytes_mismatch) == (len(FILM), False)


def test_metadata_that_cannot_be_read_again_delays_nothing(running: World) -> None:
    peer = running.friend()
    peer.offer(ITEM, FILM, size=77)
    first = peer.honest(Request("GET", item_path(ITEM), {"x-api-key": KEY}))
    peer.script(item_path(ITEM), first, Answer(500))
    running.start()
    running.drop(peer)
    assert running.until(S.COMPLETED).expected_bytes_mismatch


@pytest.mark.fault("H11")
def test_a_friend_who_ignores_if_range_is_asked_without_it_after_two_chances(
    running: World,
) -> None:
    peer = running.friend()
    peer.offer(ITEM, FILM, etag='"v1"')

    def whole_again(request: Request) -> Answer:
        if "if-range" in request.headers:
            request = replace(request, headers={"x-api-key": KEY})
        return replace(peer.honest(request), cut_after=9000)

    peer.script(PATH, *[whole_again] * 4)
    running.start()
    running.drop(peer)
    running.until(S.COMPLETED)
    assert ["if-range" in request.headers for request in peer.requests_to(PATH)] == [
        False,
        True,
        True,
        False,
        False,
    ]
