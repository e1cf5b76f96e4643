"""A friend's file that becomes another one: between two attempts, and while it is under way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from jack.downloads.row_ledger import MAX_RESTARTS
from jack.model import DownloadStatus
from jack.transfer import engine
from jack.transfer.compare import OVERLAP_BYTES
from tests.downloads.world import World, held
from tests.support.scripted_peer import Answer, Request, Script, ScriptedPeer, file_path, item_path
from tests.support.waiting import eventually
from tests.transfer.rig import film

S = DownloadStatus
ITEM = "c:movie:1"
PATH = file_path(ITEM)
SIZE = 2 * OVERLAP_BYTES + 100_000
CUT = OVERLAP_BYTES + 70_000
FILM = film(SIZE)
OTHER = film(SIZE, seed=2)
OTHER_HEAD = OTHER[:1000] + FILM[1000:]
"""Differs only where nothing is compared."""
DATE, LATER = "2026-01-01T10:00:00Z", "2026-01-01T12:00:30Z"


def cut(peer: ScriptedPeer, after: int = CUT) -> Script:
    return lambda request: replace(peer.honest(request), cut_after=after)


def interrupted(world: World, **offer: Any) -> ScriptedPeer:
    """Half of the film has come, of a friend that sends no ETag unless told so; the row waits."""
    peer = world.friend()
    peer.offer(ITEM, FILM, **{"publishDate": DATE, **offer})
    peer.script(PATH, cut(peer))
    world.start()
    world.drop(peer)
    world.until(S.WAITING, downloaded_bytes=CUT)
    return peer


def looks(peer: ScriptedPeer) -> int:
    return len(peer.requests_to(item_path(ITEM)))


def go_on(world: World, seconds: float) -> None:
    """Time goes by, and the next attempt begins."""
    world.settle()
    attempts = world.row().attempts
    world.advance(seconds)
    eventually(lambda: world.row().attempts > attempts)


def test_a_file_replaced_by_one_of_the_same_size_between_two_attempts_arrives_as_the_new_one(
    stepped: World, lines: Callable[[], list[str]]
) -> None:
    peer = interrupted(stepped)
    peer.offer(ITEM, OTHER, publishDate=DATE)
    go_on(stepped, 11)
    row = stepped.until(S.COMPLETED)
    assert row.dest_path.read_bytes() == OTHER
    assert (row.expected_bytes, row.restarts) == (SIZE, 1)
    assert any("the file at the peer has changed" in line for line in lines())


def test_what_is_compared_is_neither_lost_nor_counted_twice(stepped: World) -> None:
    peer = interrupted(stepped)
    go_on(stepped, 11)
    row = stepped.until(S.COMPLETED)
    assert row.dest_path.read_bytes() == FILM
    assert (row.attempts, row.restarts) == (2, 0)
    assert (row.expected_bytes, row.downloaded_bytes) == (SIZE, SIZE)
    assert [r.range for r in peer.requests_to(PATH)] == [None, f"bytes={CUT - OVERLAP_BYTES}-"]


@pytest.mark.parametrize(
    ("body", "offer"),
    [
        (OTHER_HEAD, {"publishDate": LATER}),
        (OTHER_HEAD, {"publishDate": DATE, "filename": "Film (2020) Remux.mkv"}),
        (OTHER_HEAD, {"publishDate": DATE, "size": SIZE + 5}),
    ],
    ids=["publishDate", "file name", "size"],
)
def test_a_resume_after_more_than_a_minute_reads_the_metadata_again_and_believes_it(
    stepped: World, body: bytes, offer: dict[str, Any], lines: Callable[[], list[str]]
) -> None:
    peer = interrupted(stepped)
    peer.offer(ITEM, body, **offer)
    go_on(stepped, 61)
    row = stepped.until(S.COMPLETED)
    assert row.dest_path.read_bytes() == body
    assert row.restarts == 1
    assert any("starts again from byte 0: the file at the peer has changed" in x for x in lines())


def test_a_resume_within_a_minute_asks_for_the_metadata_only_before_the_final_name(
    stepped: World,
) -> None:
    peer = interrupted(stepped)
    before = looks(peer)
    peer.script(PATH, cut(peer, OVERLAP_BYTES + 1))
    go_on(stepped, 30)
    stepped.until(S.WAITING, attempts=2)
    assert looks(peer) == before
    go_on(stepped, 11)
    stepped.until(S.COMPLETED)
    assert looks(peer) == before + 1


def test_after_a_restart_of_jack_nothing_is_known_to_be_from_just_now(stepped: World) -> None:
    peer = interrupted(stepped)
    stepped.stop()
    peer.offer(ITEM, OTHER_HEAD, publishDate=LATER)
    stepped.start()
    go_on(stepped, 11)
    assert stepped.until(S.COMPLETED).dest_path.read_bytes() == OTHER_HEAD


def test_metadata_that_cannot_be_had_stands_in_the_way_of_no_resume(stepped: World) -> None:
    peer = interrupted(stepped)
    peer.always(item_path(ITEM), Answer(500))
    go_on(stepped, 61)
    row = stepped.until(S.COMPLETED)
    assert (row.dest_path.read_bytes(), row.restarts) == (FILM, 0)


# -- before the final name -------------------------------------------------------------------------


def changes_at_the_end(peer: ScriptedPeer, **offer: Any) -> Script:
    """The rest of the old file, while the friend puts a new one in its place."""

    def script(request: Request) -> Answer:
        rest = peer.honest(request)
        peer.offer(ITEM, OTHER, **offer)
        return rest

    return script


@pytest.mark.parametrize("refusal", [None, Answer(405), Answer(404), Answer(200), Answer(501)])
def test_a_file_that_changed_while_its_end_was_under_way_is_fetched_anew(
    stepped: World, refusal: Answer | None
) -> None:
    """By the ETag of a HEAD, or by the release where the friend knows no HEAD."""
    peer = interrupted(stepped, etag='"v1"')
    if refusal is not None:
        peer.on_head(refusal)
    peer.script(PATH, changes_at_the_end(peer, etag='"v2"', publishDate=LATER))
    go_on(stepped, 11)
    row = stepped.until(S.COMPLETED)
    assert row.dest_path.read_bytes() == OTHER
    assert (row.restarts, row.validator.etag) == (1, '"v2"')


def test_a_friend_without_etags_is_asked_for_the_release_and_never_by_head(
    stepped: World,
) -> None:
    peer = interrupted(stepped)
    peer.script(PATH, changes_at_the_end(peer, publishDate=LATER))
    go_on(stepped, 11)
    row = stepped.until(S.COMPLETED)
    assert (row.dest_path.read_bytes(), row.restarts) == (OTHER, 1)
    assert not peer.requests_to(PATH, "HEAD")


def test_a_friend_that_is_gone_after_the_last_byte_holds_up_nothing(stepped: World) -> None:
    peer = interrupted(stepped, etag='"v1"')
    peer.on_head(Answer(503))
    peer.always(item_path(ITEM), Answer(503))
    go_on(stepped, 11)
    assert stepped.until(S.COMPLETED).dest_path.read_bytes() == FILM


def test_a_cancel_reaches_a_download_that_asks_before_the_final_name(stepped: World) -> None:
    peer = interrupted(stepped, etag='"v1"')
    gate = threading.Event()
    peer.on_head(held(gate))
    peer.always(item_path(ITEM), held(gate))
    go_on(stepped, 11)
    eventually(lambda: peer.requests_to(PATH, "HEAD"))
    stepped.steer("cancel")
    stepped.advance(5)
    row = stepped.until(S.CANCELLED)
    gate.set()
    assert not row.dest_path.exists()


def test_a_small_file_that_came_at_once_costs_no_second_question(running: World) -> None:
    peer = running.friend()
    peer.offer(ITEM, FILM[:5000], etag='"v1"')
    running.start()
    running.drop(peer)
    running.until(S.COMPLETED)
    assert not peer.requests_to(PATH, "HEAD")
    assert looks(peer) == 1, "for the stub"


def test_a_file_that_took_longer_is_asked_about_although_nothing_was_resumed(
    running: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "ASK_AGAIN_SECONDS", 0.0)
    peer = running.friend()
    peer.offer(ITEM, FILM, etag='"v1"')
    peer.script(PATH, changes_at_the_end(peer, etag='"v2"'))
    running.start()
    running.drop(peer)
    assert running.until(S.COMPLETED).dest_path.read_bytes() == OTHER


# -- bounds ----------------------------------------------------------------------------------------


def test_a_friend_whose_file_is_another_one_each_time_is_given_up_until_a_person_says_retry(
    running: World,
) -> None:
    """Each version gets further than all before it, so no attempt is fruitless."""
    peer = running.friend()
    size = 70_000 * (MAX_RESTARTS + 10)
    body = film(size)
    asked = []

    def another(request: Request) -> Answer:
        asked.append(request)
        return Answer(200, {"ETag": f'"v{len(asked)}"'}, body, cut_after=70_000 * len(asked))

    peer.offer(ITEM, body)
    peer.always(PATH, another)
    running.start()
    running.drop(peer)
    row = running.until(S.FAILED)
    assert row.error is not None
    assert "started again from byte 0" in row.error
    assert row.restarts == MAX_RESTARTS + 1
    peer.always(PATH, None)
    running.steer("retry")
    row = running.until(S.COMPLETED)
    assert row.dest_path.read_bytes() == body


@pytest.mark.parametrize("piece", [1, 60_000])
def test_attempts_that_bring_less_than_64_kib_are_fruitless(running: World, piece: int) -> None:
    running.settings["max_download_attempts"] = 3
    peer = running.friend()
    peer.offer(ITEM, FILM, etag='"v1"')
    peer.always(PATH, cut(peer, piece))
    running.start()
    running.drop(peer)
    row = running.until(S.FAILED)
    assert (row.attempts, row.downloaded_bytes) == (3, 3 * piece)


def test_attempts_that_bring_64_kib_are_fruitful_and_so_is_one_that_ends_the_file(
    running: World,
) -> None:
    running.settings["max_download_attempts"] = 2
    peer = running.friend()
    body = FILM[: 5 * 65_536 + 10]
    peer.offer(ITEM, body, etag='"v1"')
    peer.script(PATH, *[cut(peer, 65_536), Answer(500)] * 5)
    running.start()
    running.drop(peer)
    row = running.until(S.COMPLETED)
    assert (row.attempts, row.dest_path.read_bytes()) == (11, body)
