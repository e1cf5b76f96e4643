"""Two versions of one size are never joined, whatever a peer tells of its file or does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jack.errors import TransientError
from jack.model import Validator
from jack.transfer.compare import OVERLAP_BYTES
from tests.support.scripted_peer import Answer, Request, ScriptedPeer
from tests.support.waiting import eventually
from tests.transfer.rig import DATED, ETAG, EVERY_WAY, FILE, ITEM, WAY_NAMES, Rig, Running, film

SIZE = 3 * OVERLAP_BYTES
HALF = 2 * OVERLAP_BYTES + 12_345
BODY = film(SIZE)
OTHER = film(SIZE, seed=2)
ways = pytest.mark.parametrize("way", EVERY_WAY, ids=WAY_NAMES)


@pytest.fixture(autouse=True)
def half(rig: Rig, peer: ScriptedPeer) -> None:
    """Most of the file is on disk, of a peer that names no version of it."""
    peer.offer(ITEM, BODY)
    rig.had(BODY[:HALF], expected=SIZE)


@ways
def test_without_a_strong_validator_the_last_mebibyte_is_compared_and_not_written_again(
    rig: Rig, way: frozenset[object]
) -> None:
    outcome = rig.attempt(way)  # type: ignore[arg-type]
    assert rig.asked() == [f"bytes={HALF - OVERLAP_BYTES}-"]
    assert not outcome.restarted
    assert (rig.progress.start_offset, rig.progress.end_offset) == (HALF, SIZE)
    assert rig.dest.read_bytes() == BODY


@ways
def test_another_file_of_the_same_size_starts_anew_and_the_row_says_why(
    rig: Rig, peer: ScriptedPeer, way: frozenset[object]
) -> None:
    peer.offer(ITEM, OTHER)
    assert rig.attempt(way).restarted  # type: ignore[arg-type]
    (reason,) = rig.row.reasons
    assert "the file at the peer has changed" in reason
    assert rig.asked() == [f"bytes={HALF - OVERLAP_BYTES}-", None]
    assert rig.dest.read_bytes() == OTHER


def test_one_byte_that_differs_just_before_the_offset_is_another_file(
    rig: Rig, peer: ScriptedPeer
) -> None:
    other = bytearray(BODY)
    other[HALF - 1] ^= 1
    peer.offer(ITEM, bytes(other))
    assert rig.attempt().restarted
    assert rig.dest.read_bytes() == bytes(other)


@pytest.mark.parametrize("have", [1, 5000, OVERLAP_BYTES])
def test_a_short_beginning_is_compared_from_the_first_byte_on(
    rig: Rig, peer: ScriptedPeer, have: int
) -> None:
    rig.had(BODY[:have], expected=SIZE)
    assert not rig.attempt().restarted
    assert rig.asked() == ["bytes=0-"]
    rig.dest.unlink()
    rig.had(BODY[:have], expected=SIZE)
    peer.offer(ITEM, OTHER)
    assert rig.attempt().restarted
    assert rig.dest.read_bytes() == OTHER


def test_a_peer_that_ignores_ranges_and_is_asked_from_the_first_byte_on_is_compared_too(
    rig: Rig, peer: ScriptedPeer
) -> None:
    rig.had(BODY[:5000], expected=SIZE)
    peer.script(FILE, Answer(200, body=BODY))
    assert not rig.attempt().restarted
    assert rig.dest.read_bytes() == BODY


@pytest.mark.parametrize(
    "versions", [{"etag": 'W/"v1"'}, {"last_modified": DATED}], ids=["weak ETag", "date"]
)
def test_a_weak_etag_or_a_date_does_not_tie_an_answer_to_what_is_on_disk(
    rig: Rig, peer: ScriptedPeer, versions: dict[str, str]
) -> None:
    rig.had(BODY[:HALF], expected=SIZE, **versions)
    peer.offer(ITEM, OTHER, **versions)
    assert rig.attempt().restarted
    assert rig.dest.read_bytes() == OTHER


def test_with_a_strong_etag_no_byte_is_sent_twice(rig: Rig, peer: ScriptedPeer) -> None:
    rig.had(BODY[:HALF], expected=SIZE, etag=ETAG)
    peer.offer(ITEM, BODY, etag=ETAG)
    assert not rig.attempt().restarted
    assert rig.asked() == [f"bytes={HALF}-"]


def test_a_peer_that_has_lost_its_etag_meanwhile_is_compared_before_anything_is_appended(
    rig: Rig, peer: ScriptedPeer
) -> None:
    rig.had(BODY[:HALF], expected=SIZE, etag=ETAG)
    peer.script(FILE, lambda r: Answer(206, _span(HALF), OTHER[HALF:]))
    peer.offer(ITEM, OTHER)
    rig.use_if_range = False
    assert rig.attempt().restarted
    assert rig.asked() == [f"bytes={HALF}-", f"bytes={HALF - OVERLAP_BYTES}-", None]
    assert rig.dest.read_bytes() == OTHER


def _span(start: int) -> dict[str, str]:
    return {"Content-Range": f"bytes {start}-{SIZE - 1}/{SIZE}"}


@pytest.mark.parametrize("cut", [0, 1000, OVERLAP_BYTES, OVERLAP_BYTES + 70_000])
def test_a_connection_that_ends_while_bytes_are_compared_loses_none(rig: Rig, cut: int) -> None:
    rig.peer.script(FILE, lambda r: replace(rig.peer.honest(r), cut_after=cut))
    with pytest.raises(TransientError, match="bytes early"):
        rig.attempt()
    assert rig.row.offset == HALF + max(0, cut - OVERLAP_BYTES)
    assert not rig.row.reasons
    rig.attempt()
    assert rig.dest.read_bytes() == BODY


def test_a_line_that_breaks_before_the_whole_overlap_has_come_gets_on_with_a_shorter_one(
    rig: Rig,
) -> None:
    """Each attempt that brought nothing halves what the next one compares, down to 64 KiB."""
    cut = lambda r: replace(rig.peer.honest(r), cut_after=300_000)  # noqa: E731
    rig.peer.script(FILE, cut, cut, cut)
    for rig.fruitless in range(3):
        with pytest.raises(TransientError, match="bytes early"):
            rig.attempt()
    assert rig.row.offset > HALF
    rig.fruitless = 1000
    rig.attempt()
    assert rig.asked() == [
        *(f"bytes={HALF - (OVERLAP_BYTES >> fruitless)}-" for fruitless in range(3)),
        f"bytes={HALF + 300_000 - OVERLAP_BYTES // 4 - 65_536}-",
    ]
    assert rig.dest.read_bytes() == BODY


def test_a_file_that_has_become_shorter_than_what_is_on_disk_starts_anew(
    rig: Rig, peer: ScriptedPeer
) -> None:
    """Its size had never been recorded: the offset alone tells that this is another one."""
    shorter = BODY[: HALF - 1000]
    rig.row.expected = None
    peer.offer(ITEM, shorter)
    assert rig.attempt().restarted
    assert rig.dest.read_bytes() == shorter


def test_bytes_that_are_not_from_just_now_are_asked_about_before_they_are_resumed(
    rig: Rig, peer: ScriptedPeer
) -> None:
    rig.is_old, rig.row.outdated = True, ["its publishDate is another one"]
    assert rig.attempt().restarted
    assert rig.row.reasons == ["its publishDate is another one"]
    assert rig.asked() == [None]
    assert rig.row.kinds()[0] == "outdated?"


@pytest.mark.parametrize("etag", [None, ETAG])
def test_bytes_from_just_now_or_with_a_strong_etag_are_resumed_without_asking(
    rig: Rig, peer: ScriptedPeer, etag: str | None
) -> None:
    rig.is_old = etag is not None
    peer.offer(ITEM, BODY, etag=etag)
    rig.row.validator = Validator(etag)
    rig.attempt()
    assert rig.row.kinds()[-1] == "outdated?"
    assert rig.row.kinds().count("outdated?") == 1


# -- before the final name -------------------------------------------------------------------------


def test_a_file_that_changed_while_its_last_bytes_were_under_way_starts_anew(
    rig: Rig, peer: ScriptedPeer
) -> None:
    def last_bytes(request: Request) -> Answer:
        peer.offer(ITEM, OTHER)
        return Answer(206, _span(HALF - OVERLAP_BYTES), BODY[HALF - OVERLAP_BYTES :])

    peer.script(FILE, last_bytes)
    rig.row.outdated = ["another ETag"]
    assert rig.attempt().restarted
    assert rig.row.reasons == ["another ETag"]
    assert rig.dest.read_bytes() == OTHER
    assert rig.row.kinds()[-1] == "outdated?", "the new one is asked about as well"


def test_a_file_that_an_earlier_attempt_had_brought_whole_is_asked_about_as_well(
    rig: Rig, peer: ScriptedPeer
) -> None:
    peer.offer(ITEM, OTHER)
    rig.had(BODY, expected=SIZE)
    rig.row.outdated = ["another ETag"]
    rig.attempt()
    assert rig.dest.read_bytes() == OTHER


def test_what_came_at_once_is_delivered_without_a_second_question(rig: Rig) -> None:
    rig.had(b"")
    rig.row.expected = None
    rig.attempt()
    assert "outdated?" not in rig.row.kinds()


def test_what_took_a_second_is_asked_about(rig: Rig, peer: ScriptedPeer) -> None:
    rig.had(b"")
    rig.row.expected = None
    answer = replace(Answer(body=BODY), pause_at=1000)
    peer.script(FILE, answer)
    running = Running(rig)
    eventually(lambda: bool(peer.requests_to(FILE)), what="the request")
    assert not answer.gate.wait(1.1)
    answer.gate.set()
    running.join()
    assert rig.row.kinds()[-1] == "outdated?"
    assert rig.dest.read_bytes() == BODY
