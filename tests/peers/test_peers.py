"""What is known of a peer, its line of small requests, and peers that come and go."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from jack.errors import JackError, PeerRefused, PeerUnreachable, PermanentError, TransientError
from jack.peers.collection import Peers
from jack.peers.peer import IF_RANGE_CHANCES, Peer
from jack.peers.peer_client import PeerEntry
from jack.support.http import Wire
from jack.support.waits import LONGEST_SILENCE_SECONDS, SEARCH_PAUSES
from tests.support.clock import FakeClock
from tests.support.known_peers import PAUSES, entry, peers_among
from tests.support.scripted_peer import Answer, ScriptedPeer
from tests.support.waiting import eventually

ANN, BOB = entry("http://ann", "ann"), entry("http://bob", "bob")
HANDSHAKE = "/handshake"


class Ear:
    """What the peers tell."""

    def __init__(self) -> None:
        self.gone_on: list[int] = []
        self.paused_by: list[str] = []
        self.new: list[str] = []

    def go_on(self, ids: Sequence[int]) -> None:
        self.gone_on.extend(ids)

    def paused(self, peer: Peer, error: JackError) -> None:
        self.paused_by.append(str(error))

    def joined(self, peer: Peer) -> None:
        self.new.append(peer.name)


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
def among(clock: FakeClock, ear: Ear) -> Iterator[Callable[..., Peers]]:
    made: list[Peers] = []

    def make(*entries: PeerEntry) -> Peers:
        made.append(peers_among(clock, *entries))
        made[-1].follow(ear)
        return made[-1]

    yield make
    for peers in made:
        peers.stop()
        assert peers.join(20)
        peers.close()


@pytest.fixture
def ann(among: Callable[..., Peers]) -> Peer:
    """Nobody is at her address."""
    return first(among(ANN))


def first(peers: Peers) -> Peer:
    return next(iter(peers))


def running(peers: Peers) -> None:
    """What is due now is done, also in the lines."""
    peers.timer.run_due()
    eventually(lambda: peers.is_idle)


# -- left alone ------------------------------------------------------------------------------------


def test_who_cannot_be_reached_is_left_alone_for_longer_each_time(
    ann: Peer, clock: FakeClock
) -> None:
    for failures in range(1, 6):
        pause = ann.failed(PeerUnreachable("gone"))
        assert pause is not None
        assert PAUSES.first <= pause <= PAUSES.after(failures + 1)
        assert (ann.closed_seconds, ann.why_closed) == (pause, "gone")
        clock.advance(pause)
        assert ann.closed_seconds == 0


def test_requests_that_fail_together_count_as_one_failure(
    ann: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random.Random, "random", lambda self: 1.0)
    assert [ann.failed(PeerUnreachable("gone")) for _ in range(3)] == [20.0, 20.0, 20.0]


def test_a_refused_key_is_asked_about_rarely(ann: Peer) -> None:
    assert ann.failed(PeerRefused("no")) == PAUSES.longest
    assert not ann.is_proven


def test_a_peer_that_names_a_time_is_there_and_left_alone_until_then(ann: Peer) -> None:
    assert ann.failed(TransientError("busy", retry_after_seconds=77.0)) == 77.0
    assert ann.is_proven
    assert ann.failing_seconds == 0


@pytest.mark.parametrize("error", [TransientError("HTTP 500"), PermanentError("HTTP 404")])
def test_an_error_about_one_file_says_nothing_about_the_peer(
    ann: Peer, ear: Ear, error: JackError
) -> None:
    ann.answered()
    assert ann.failed(error) is None
    assert (ann.closed_seconds, ann.is_proven, ear.paused_by) == (0, True, [])


def test_an_answer_ends_the_failures_and_is_said_once(
    ann: Peer, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for _ in range(3):
        clock.advance(ann.failed(PeerUnreachable("gone")) or 0)
    assert ann.failing_seconds > 0
    ann.answered()
    ann.answered()
    assert (ann.is_proven, ann.failing_seconds) == (True, 0)
    assert [line.partition(";")[0] for line in caplog.messages] == ["gone", "ann is back"]


def test_a_person_cuts_the_pause_short(ann: Peer) -> None:
    ann.failed(PeerUnreachable("gone"))
    ann.ask_now()
    assert ann.closed_seconds == 0


def test_if_range_is_sent_until_it_was_ignored_twice(ann: Peer) -> None:
    for _ in range(IF_RANGE_CHANCES):
        assert ann.honours_if_range()
        ann.note_if_range_ignored()
    assert not ann.honours_if_range()


# -- who waits -------------------------------------------------------------------------------------


def test_one_probe_goes_ahead_of_all_downloads_that_wait(
    among: Callable[..., Peers], ear: Ear
) -> None:
    with ScriptedPeer() as friend:
        peers = among(entry(friend.url))
        for number in range(30):
            first(peers).hold(number)
        eventually(lambda: first(peers).is_proven)
        running(peers)
        assert ear.gone_on == list(range(30))
        assert [request.path for request in friend.requests] == [HANDSHAKE]


def test_who_does_not_answer_the_probe_is_asked_again_in_its_time(
    among: Callable[..., Peers], ear: Ear, clock: FakeClock
) -> None:
    with ScriptedPeer() as friend:
        friend.script(HANDSHAKE, Answer(503, {"Retry-After": "100"}))
        peers = among(entry(friend.url))
        first(peers).hold(1)
        eventually(lambda: ear.paused_by)
        running(peers)
        clock.advance(99)
        running(peers)
        assert ear.gone_on == []
        clock.advance(1)
        running(peers)
        assert ear.gone_on == [1]


def test_what_settles_while_it_is_held_does_not_go_on(
    among: Callable[..., Peers], ear: Ear
) -> None:
    with ScriptedPeer() as friend:
        gate = threading.Event()
        friend.always(HANDSHAKE, Answer(pause_at=0, gate=gate))
        peers = among(entry(friend.url))
        first(peers).hold(1)
        first(peers).hold(2)
        first(peers).let_go([1])
        gate.set()
        eventually(lambda: ear.gone_on == [2])


# -- searches ask the same object ------------------------------------------------------------------


def test_an_answer_to_a_search_lets_the_downloads_go_on(
    among: Callable[..., Peers], ear: Ear, clock: FakeClock
) -> None:
    peers = among(ANN)
    pause = first(peers).failed(PeerUnreachable("gone"))
    first(peers).hold(7)
    first(peers).search_answered(everything=False)
    clock.advance(pause or 0)
    peers.timer.run_due()
    assert ear.gone_on == [7]


def test_a_search_that_cannot_reach_a_peer_holds_its_downloads_up(ann: Peer, ear: Ear) -> None:
    ann.search_failed(PeerUnreachable("gone"), everything=True)
    assert ann.closed_seconds > 0
    assert ear.paused_by == ["gone"]


def test_a_slow_search_says_nothing_about_files(ann: Peer, clock: FakeClock) -> None:
    ann.answered()
    ann.search_failed(TransientError("slow"), everything=False)
    assert (ann.closed_seconds, ann.is_proven) == (0, True)
    assert not ann.may_search(everything=False)
    clock.advance(SEARCH_PAUSES.first)
    assert ann.may_search(everything=False)


def test_a_peer_known_to_be_away_is_not_searched_but_for_a_look_now_and_then(
    clock: FakeClock, among: Callable[..., Peers], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random.Random, "random", lambda self: 1.0)
    monkeypatch.setattr("jack.peers.peer.LONGEST_SILENCE_SECONDS", 15.0)
    ann = first(among(ANN))
    assert ann.failed(PeerUnreachable("gone")) == 20.0
    assert not ann.may_search(everything=False)
    clock.advance(15)
    assert ann.may_search(everything=False)
    assert SEARCH_PAUSES.longest == LONGEST_SILENCE_SECONDS


def test_who_is_too_busy_for_one_thing_may_do_the_other(ann: Peer, clock: FakeClock) -> None:
    busy = TransientError("busy", retry_after_seconds=3600.0)
    ann.failed(busy)
    assert ann.may_search(everything=True), "a full upload place says nothing about searches"
    ann.ask_now()
    ann.search_failed(busy, everything=False)
    assert ann.closed_seconds == 0
    clock.advance(3599)
    assert not ann.may_search(everything=False)
    clock.advance(1)
    assert ann.may_search(everything=False)


def test_a_peer_that_answers_a_download_is_searched_again_at_once(ann: Peer) -> None:
    ann.failed(PeerRefused("no"))
    assert not ann.may_search(everything=False)
    ann.answered()
    assert ann.may_search(everything=False)


# -- its line --------------------------------------------------------------------------------------


def test_small_requests_run_one_after_another_and_a_bug_does_not_end_the_line(
    ann: Peer, caplog: pytest.LogCaptureFixture
) -> None:
    done, gate = list[int](), threading.Event()
    ann.line.submit(lambda: print(gate.wait(20) and 1 // 0))
    ann.line.submit(lambda: done.append(1))
    ann.line.submit(lambda: done.append(2))
    ann.line.submit(lambda: done.append(0), first=True)
    assert done == []
    gate.set()
    eventually(lambda: done == [0, 1, 2])
    assert "ZeroDivisionError" in caplog.text


def test_a_line_stands_still_while_its_peer_is_left_alone_and_others_go_on(
    among: Callable[..., Peers], clock: FakeClock
) -> None:
    peers, done = among(ANN, BOB), list[str]()
    ann, bob = peers
    pause = ann.failed(TransientError("busy", retry_after_seconds=50.0))
    ann.line.submit(lambda: done.append("ann"))
    bob.line.submit(lambda: done.append("bob"))
    eventually(lambda: done == ["bob"])
    assert ann.line.is_idle
    clock.advance(pause or 0)
    running(peers)
    assert done == ["bob", "ann"]


def test_a_peer_that_hangs_holds_up_no_other_line(among: Callable[..., Peers]) -> None:
    peers, gate, done = among(ANN, BOB), threading.Event(), threading.Event()
    ann, bob = peers
    ann.line.submit(lambda: print(gate.wait(20)))
    bob.line.submit(done.set)
    assert done.wait(10)
    gate.set()


def test_after_the_stop_nothing_new_begins(among: Callable[..., Peers]) -> None:
    peers, done = among(ANN), list[int]()
    peers.stop()
    first(peers).line.submit(lambda: done.append(1))
    first(peers).hold(1)
    assert peers.join(10)
    assert done == []
    assert first(peers).has_stub(("a", "b")), "none is taken any more"


# -- its stubs -------------------------------------------------------------------------------------


class Stub:
    def __init__(self) -> None:
        self.wire = Wire()


def test_stubs_beyond_the_room_are_asked_for_when_half_of_it_is_free(
    ann: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jack.peers.peer.MAX_STUBS", 4)
    keys = [(str(number), "x") for number in range(5)]
    assert [ann.open_stub(key, Stub()) for key in keys] == [True] * 4 + [False]
    assert [ann.close_stub(key) for key in keys[:4]] == [False, True, False, False]
    assert ann.open_stubs() == 0


# -- coming, changing, going -----------------------------------------------------------------------


def test_peers_are_found_by_id_and_come_in_the_order_of_the_config(
    among: Callable[..., Peers],
) -> None:
    peers = among(ANN, BOB)
    found = peers.get(BOB.id)
    assert found is not None
    assert found.name == "bob"
    assert [peer.name for peer in peers] == ["ann", "bob"]
    assert (peers.get("00000000"), peers.name("00000000")) == (None, "00000000")


def test_a_new_peer_is_told_of_and_asked_like_the_others(
    among: Callable[..., Peers], ear: Ear
) -> None:
    peers = among(ANN)
    with ScriptedPeer() as friend:
        peers.put(entry(friend.url, "cid"))
        assert (ear.new, len(peers)) == (["cid"], 2)
        list(peers)[1].hold(1)
        eventually(lambda: friend.requests)
        eventually(lambda: peers.is_idle)


def test_a_changed_key_is_used_at_once_although_the_old_one_was_refused(
    among: Callable[..., Peers], ear: Ear
) -> None:
    with ScriptedPeer(api_key="right") as friend:
        peers = among(entry(friend.url, key="wrong"))
        first(peers).hold(1)
        eventually(lambda: ear.paused_by)
        eventually(lambda: peers.is_idle)
        peers.put(entry(friend.url, key="right"))
        eventually(lambda: first(peers).is_proven)
        running(peers)
        assert ear.gone_on == [1]
        assert len(peers) == 1


def test_what_waits_for_a_peer_that_is_removed_goes_on_without_it(
    among: Callable[..., Peers], ear: Ear
) -> None:
    peers, done = among(ANN, BOB), threading.Event()
    ann = first(peers)
    ann.failed(TransientError("busy", retry_after_seconds=3600.0))
    ann.hold(3)
    ann.line.submit(done.set)
    peers.remove(ANN.id)
    assert done.wait(10), "whoever stands in its line finds that it is gone"
    assert ear.gone_on == [3]
    assert [peer.name for peer in peers] == ["bob"]
    peers.remove(ANN.id)
