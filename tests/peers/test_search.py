"""All friends asked at once: one deadline, cool-downs, and nobody's answer believed unseen."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from jack.model import MOVIES, TV, Release
from jack.peers import search as search_module
from jack.peers.peer_client import MAX_SEARCH_BYTES
from jack.peers.query import Offer, Question, SearchQuery, matcher, questions, words
from jack.peers.search import PeerSearch
from jack.support.waits import SEARCH_PAUSES
from tests.support.clock import FakeClock
from tests.support.known_peers import entry, peers_among
from tests.support.scripted_peer import Answer, Request, ScriptedPeer
from tests.support.waiting import eventually

SEARCH = "/peer/search"
MATRIX = SearchQuery(frozenset({MOVIES}), tmdb_id=603)
EVERYTHING = SearchQuery()
PATIENT_SECONDS = 20.0
SHORT_SECONDS = 1.5
FIRST_COOLDOWN_SECONDS = SEARCH_PAUSES.first


class Friends:
    """Scripted peers by name, and searches among them."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.peers: dict[str, ScriptedPeer] = {}
        self.known = peers_among(clock)
        self._searches: list[PeerSearch] = []

    def add(self, name: str, **options: Any) -> ScriptedPeer:
        self.peers[name] = peer = ScriptedPeer(**options)
        self.known.put(entry(peer.url, name))
        return peer

    def search(self, deadline_seconds: float = PATIENT_SECONDS) -> PeerSearch:
        made = PeerSearch(self.known, self.clock, deadline_seconds)
        self._searches.append(made)
        return made

    def close(self) -> None:
        for made in self._searches:
            assert made.stop(20)
        self.known.close()
        for peer in self.peers.values():
            peer.close()


@pytest.fixture
def friends(clock: FakeClock) -> Iterator[Friends]:
    before = set(threading.enumerate())
    made = Friends(clock)
    yield made
    made.close()
    eventually(lambda: not search_threads() - before, what="the end of every search thread")


def search_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("search ")}


def offer_matrix(peer: ScriptedPeer, item_id: str = "c:movie:1", **changes: Any) -> None:
    peer.offer(item_id, b"x", filename="The Matrix (1999).mkv", **{"tmdbId": 603, **changes})


def sources(offers: list[Offer]) -> list[str]:
    return [offer.peer_name for offer in offers]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


# -- many friends ----------------------------------------------------------------------------------


def test_what_several_friends_offer_appears_once_per_friend_in_their_order(
    friends: Friends,
) -> None:
    for name in ("ann", "bob"):
        offer_matrix(friends.add(name))
    offers = friends.search().find(MATRIX)
    assert sources(offers) == ["ann", "bob"]
    assert [offer.peer_id for offer in offers] == [peer.id for peer in friends.known]
    assert {offer.release.title for offer in offers} == {"The Matrix (1999)"}


def test_all_friends_are_asked_at_the_same_time(friends: Friends) -> None:
    meeting = threading.Barrier(3, timeout=20)

    def answer_when_all_are_here(request: Request) -> Answer:
        meeting.wait()
        return friends.peers["ann"].honest(request)

    offer_matrix(friends.add("ann"))
    for name in ("bob", "cid"):
        friends.add(name)
    for peer in friends.peers.values():
        peer.always(SEARCH, answer_when_all_are_here)
    assert sources(friends.search().find(MATRIX)) == ["ann", "bob", "cid"]


def test_without_friends_there_is_nothing(friends: Friends) -> None:
    assert friends.search().find(EVERYTHING) == []


def test_a_search_for_no_category_asks_nobody(friends: Friends) -> None:
    peer = friends.add("ann")
    assert friends.search().find(SearchQuery(frozenset(), tmdb_id=603)) == []
    assert peer.requests == []


# -- slow and dead friends -------------------------------------------------------------------------


@pytest.mark.parametrize("hangs", ["before the headers", "in the body"])
def test_a_friend_who_hangs_costs_the_answer_only_its_own_results(
    friends: Friends, hangs: str
) -> None:
    offer_matrix(friends.add("ann"))
    slow = friends.add("slow")
    gate = threading.Event()

    def wait(request: Request) -> Answer:
        gate.wait(30)
        return slow.honest(request)

    body = Answer(body=b'{"items": []}', pause_at=5, gate=gate)
    slow.always(SEARCH, wait if hangs == "before the headers" else body)
    before = time.monotonic()
    offers = friends.search(SHORT_SECONDS).find(MATRIX)
    took = time.monotonic() - before
    try:
        assert sources(offers) == ["ann"]
        assert SHORT_SECONDS <= took < 15
        eventually(lambda: not search_threads(), 15, "the end of the aborted request")
        assert not gate.is_set()
    finally:
        gate.set()


def test_a_friend_who_is_down_is_left_alone_for_a_growing_while_and_logged_once(
    friends: Friends, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    offer_matrix(friends.add("ann"))
    bob = friends.add("bob")
    offer_matrix(bob)
    bob.always(SEARCH, Answer(503))
    search = friends.search()

    def asked_after(seconds: float) -> bool:
        friends.clock.advance(seconds)
        before = len(bob.requests)
        assert "ann" in sources(search.find(MATRIX))
        return len(bob.requests) > before

    assert asked_after(0)
    assert not asked_after(FIRST_COOLDOWN_SECONDS - 1)
    assert asked_after(1)
    assert not asked_after(2 * FIRST_COOLDOWN_SECONDS - 1)
    assert asked_after(1)
    assert [line for line in warnings(caplog) if "bob" in line] == [
        "bob answered HTTP 503 for a search; searches go without it until it answers again,"
        " next look in 15 s"
    ]
    bob.always(SEARCH, None)
    assert asked_after(4 * FIRST_COOLDOWN_SECONDS)
    back = [r.getMessage() for r in caplog.records if r.levelno == logging.INFO]
    assert back == ["bob is back; searches ask it again"]
    assert asked_after(0)


def test_a_closed_port_and_a_late_answer_put_a_friend_into_cooldown(friends: Friends) -> None:
    friends.add("gone").close()
    late = friends.add("late")
    gate = threading.Event()
    late.always(SEARCH, Answer(body=b"{}", pause_at=0, gate=gate))
    search = friends.search(SHORT_SECONDS)
    assert search.find(MATRIX) == []
    before = time.monotonic()
    assert search.find(MATRIX) == []
    assert time.monotonic() - before < SHORT_SECONDS
    assert len(late.requests) == 1


def test_a_friend_is_not_asked_before_the_time_it_has_named(friends: Friends) -> None:
    ann = friends.add("ann")
    offer_matrix(ann)
    ann.script(SEARCH, Answer(429, {"Retry-After": "100"}))
    search = friends.search()
    assert search.find(MATRIX) == []
    friends.clock.advance(99)
    assert search.find(MATRIX) == []
    friends.clock.advance(1)
    assert sources(search.find(MATRIX)) == ["ann"]


def test_a_friend_whose_whole_list_is_too_slow_is_still_asked_by_id(
    friends: Friends, caplog: pytest.LogCaptureFixture
) -> None:
    ann = friends.add("ann")
    offer_matrix(ann)
    ann.script(SEARCH, Answer(500))
    search = friends.search()
    assert search.find(EVERYTHING) == []
    assert sources(search.find(MATRIX)) == ["ann"]
    assert search.find(EVERYTHING) == []
    assert "only searches by id ask it" in caplog.text
    friends.clock.advance(FIRST_COOLDOWN_SECONDS)
    assert sources(search.find(EVERYTHING)) == ["ann"]


def test_a_friend_who_refuses_our_key_is_left_alone_altogether(friends: Friends) -> None:
    ann = friends.add("ann", api_key="another")
    search = friends.search()
    assert search.find(EVERYTHING) == []
    assert search.find(MATRIX) == []
    assert len(ann.requests) == 1


def test_what_a_friend_has_said_before_it_hangs_counts(friends: Friends) -> None:
    ann = friends.add("ann")
    offer_matrix(ann)
    gate = threading.Event()
    ann.script(SEARCH, ann.honest, Answer(body=b"{}", pause_at=0, gate=gate))
    search = friends.search(SHORT_SECONDS)
    query = SearchQuery(tmdb_id=603, imdb_id="tt0133093")
    assert sources(search.find(query)) == ["ann"]
    assert sources(search.find(query)) == ["ann"]


def test_a_bug_met_in_one_answer_is_logged_and_costs_the_others_nothing(
    friends: Friends, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    offer_matrix(friends.add("ann"))
    friends.add("bob")

    def broken(question: Question, wire: object) -> list[Release]:
        raise ZeroDivisionError

    monkeypatch.setattr(list(friends.known)[1].client, "search", broken)
    assert sources(friends.search().find(MATRIX)) == ["ann"]
    assert any(r.exc_info for r in caplog.records)


def test_requests_under_way_at_one_friend_are_limited(
    friends: Friends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_module, "ASKS_PER_PEER", 1)
    ann = friends.add("ann")
    offer_matrix(ann)
    gate = threading.Event()
    ann.script(SEARCH, Answer(body=b'{"items": []}', pause_at=0, gate=gate))
    search = friends.search()
    first = threading.Thread(target=search.find, args=(MATRIX,))
    first.start()
    try:
        eventually(lambda: ann.requests)
        assert search.find(MATRIX) == []
        assert len(ann.requests) == 1
    finally:
        gate.set()
        first.join(20)
    assert sources(search.find(MATRIX)) == ["ann"]


def test_stop_ends_what_is_under_way_and_blames_nobody(
    friends: Friends, caplog: pytest.LogCaptureFixture
) -> None:
    ann = friends.add("ann")
    gate = threading.Event()
    ann.always(SEARCH, Answer(body=b"{}", pause_at=0, gate=gate))
    search = friends.search(60.0)
    found: list[list[Offer]] = []
    asking = threading.Thread(target=lambda: found.append(search.find(MATRIX)))
    asking.start()
    eventually(lambda: ann.requests)
    assert search.stop(20)
    asking.join(20)
    assert not search_threads()
    assert found == [[]]
    assert search.find(MATRIX) == []
    assert warnings(caplog) == []


# -- strange answers -------------------------------------------------------------------------------


@pytest.mark.fault("P11")
@pytest.mark.parametrize(
    "answer",
    [
        Answer(body=b"<html>"),
        Answer(body=b"[]"),
        Answer(body=b'{"items": 5}'),
        Answer(body=b"[" * 100_000),
        Answer(302, {"Location": "http://127.0.0.1:1/"}),
        Answer(401),
        Answer(404),
        Answer(204),
        Answer(body=b"{}", headers={"Content-Encoding": "gzip"}),
        Answer(body=b'{"items": []', length=5000, cut_after=5),
        Answer(raw=b"SSH-2.0-OpenSSH\r\n"),
        Answer(body=b'{"items": [], "x": "' + b"x" * MAX_SEARCH_BYTES + b'"}'),
    ],
    ids=range(12),
)
def test_a_senseless_answer_is_skipped(friends: Friends, answer: Answer) -> None:
    offer_matrix(friends.add("ann"))
    friends.add("odd").always(SEARCH, answer)
    search = friends.search()
    assert sources(search.find(MATRIX)) == ["ann"]
    assert sources(search.find(EVERYTHING)) == ["ann"]


def test_one_bad_release_does_not_cost_the_good_ones(friends: Friends) -> None:
    ann = friends.add("ann")
    good = {"id": "a:movie:1", "title": "T", "filename": "t.mkv", "category": 2000, "size": 1}
    items = [{**good, "id": ""}, {**good, "category": 3000}, None, good]
    ann.always(SEARCH, Answer(body=json.dumps({"items": items}).encode()))
    assert [offer.release.id for offer in friends.search().find(EVERYTHING)] == ["a:movie:1"]


def test_what_was_not_asked_for_is_left_out(friends: Friends) -> None:
    ann = friends.add("ann")
    offer_matrix(ann)
    offer_matrix(ann, "c:movie:2", tmdbId=604, title="Another")
    assert [o.release.id for o in friends.search().find(MATRIX)] == ["c:movie:1"]


def test_duplicates_in_one_friends_answer_appear_once(friends: Friends) -> None:
    ann = friends.add("ann")
    release = {"title": "S.S01E01-E02", "filename": "s.mkv", "category": 5000, "size": 9}
    both = [{**release, "id": f"c:episode:{n}", "season": 1, "episode": n} for n in (1, 2)]
    other = {**release, "id": "c:episode:3", "size": 10}
    body = {"items": [*both, both[0], other]}
    ann.always(SEARCH, Answer(body=json.dumps(body).encode()))
    search = friends.search()
    assert [o.release.id for o in search.find(EVERYTHING)] == ["c:episode:1", "c:episode:3"]
    second = search.find(SearchQuery(season=1, episode=2))
    assert [o.release.id for o in second] == ["c:episode:2"]


# -- what is asked ---------------------------------------------------------------------------------


def test_the_request_names_the_ids_and_the_key(friends: Friends) -> None:
    ann = friends.add("ann", prefix="/behind/a/proxy")
    friends.search().find(SearchQuery(frozenset({TV}), tvdb_id=7, season=1, episode=2))
    (request,) = ann.requests
    assert request.path == f"{SEARCH}?tvdbId=7&season=1&episode=2"
    assert request.headers["x-api-key"] == "key"


def test_every_id_is_a_question_of_its_own_because_peers_look_at_one_only() -> None:
    query = SearchQuery(imdb_id="tt0133093", tmdb_id=603, tvdb_id=7, season=0, episode=3)
    assert [question.parameters() for question in questions(query)] == [
        {"tvdbId": "7", "season": "0", "episode": "3"},
        {"tmdbId": "603", "season": "0", "episode": "3"},
        {"imdbId": "tt0133093", "season": "0", "episode": "3"},
    ]


def test_a_text_search_asks_for_everything() -> None:
    assert questions(SearchQuery(text="matrix", season=1)) == (Question(),)


def test_the_year_of_a_daily_show_is_not_asked_for_as_a_season() -> None:
    query = SearchQuery(tvdb_id=7, season=2024, aired=date(2024, 1, 15))
    assert questions(query) == (Question(tvdb_id=7),)


def test_pages_and_text_searches_share_one_list_for_a_moment(friends: Friends) -> None:
    ann = friends.add("ann")
    offer_matrix(ann)
    search = friends.search()

    def requests_for(query: SearchQuery, fresh: bool) -> int:
        before = len(ann.requests)
        assert sources(search.find(query, fresh=fresh)) == ["ann"]
        return len(ann.requests) - before

    assert requests_for(EVERYTHING, fresh=True) == 1
    assert requests_for(EVERYTHING, fresh=False) == 0
    assert requests_for(SearchQuery(text="matrix"), fresh=False) == 0
    assert requests_for(MATRIX, fresh=False) == 1
    assert requests_for(EVERYTHING, fresh=True) == 1
    friends.clock.advance(60)
    assert requests_for(EVERYTHING, fresh=False) == 1


# -- what matches ----------------------------------------------------------------------------------


def film(title: str = "The Matrix (1999)", **changes: Any) -> Release:
    return Release("i", title, "f.mkv", MOVIES, 1, **changes)


def episode(title: str = "Show.S01E02", **changes: Any) -> Release:
    known = {"tvdb_id": 7, "season": 1, "episode": 2, **changes}
    return Release("i", title, "f.mkv", TV, 1, **known)


@pytest.mark.parametrize(
    ("query", "release", "expected"),
    [
        (SearchQuery(), film(), True),
        (SearchQuery(frozenset({TV})), film(), False),
        (SearchQuery(tmdb_id=603), film(tmdb_id=603), True),
        (SearchQuery(tmdb_id=603), film(tmdb_id=604), False),
        (SearchQuery(tmdb_id=603), film(), False),
        (SearchQuery(imdb_id="tt0133093"), film(imdb_id="tt0133093"), True),
        (SearchQuery(imdb_id="0133093"), film(imdb_id="tt0133093"), True),
        (SearchQuery(imdb_id="tt0133093"), film(imdb_id="tt133094"), False),
        (SearchQuery(tmdb_id=603, imdb_id="tt0133093"), film(imdb_id="tt0133093"), True),
        (SearchQuery(tmdb_id=603, imdb_id="tt0133093"), film(tmdb_id=603), True),
        (SearchQuery(tmdb_id=603, imdb_id="tt1"), film(tmdb_id=1, imdb_id="tt603"), False),
        (SearchQuery(tvdb_id=7, season=1), episode(), True),
        (SearchQuery(tvdb_id=7, season=1, episode=2), episode(), True),
        (SearchQuery(tvdb_id=7, season=1, episode=3), episode(), False),
        (SearchQuery(tvdb_id=7, season=2, episode=2), episode(), False),
        (SearchQuery(tvdb_id=7, season=0), episode(season=0), True),
        (SearchQuery(tvdb_id=7, season=0), episode(season=None), False),
        (SearchQuery(season=2024, aired=date(2024, 1, 15)), episode("S.2024.01.15"), True),
        (SearchQuery(season=2024, aired=date(2024, 1, 15)), episode("S - 2024-01-16"), False),
        (SearchQuery(season=2024, aired=date(2024, 1, 15)), episode(season=2024), False),
        (SearchQuery(season=2024), episode("S 2024 01 15", season=9), True),
        (SearchQuery(season=2024), episode(season=2024), True),
        (SearchQuery(season=2024), episode("S.2024.13.45", season=9), False),
        (SearchQuery(text="matrix 1999"), film(), True),
        (SearchQuery(text="MATRIX The"), film(), True),
        (SearchQuery(text="matr"), film(), False),
        (SearchQuery(text="amelie"), film("Amélie"), True),
        (SearchQuery(text="Amélie"), film("Amelie"), True),
        (SearchQuery(text="Law and Order 5"), episode("Law & Order - 05"), True),
        (SearchQuery(text="greys anatomy"), episode("Grey\u2019s_Anatomy.S01"), True),
        (SearchQuery(text="grosse"), film("Große"), True),
        (SearchQuery(tvdb_id=8, text="show"), episode(), False),
    ],
)
def test_only_what_is_asked_for_matches(
    query: SearchQuery, release: Release, expected: bool
) -> None:
    assert matcher(query)(release) is expected


def test_words_have_no_accents_case_or_leading_zeros() -> None:
    assert words("Élève 007: C'EST_là & 00") == {"eleve", "7", "cest", "la", "and", "0"}
