"""The list of the stubs in the folder that nobody has taken yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from jack.blackhole.drops import OpenStub, Verdict
from jack.blackhole.stub import build_stub, info_hash
from tests.blackhole.conftest import PEER, Recipient, a_stub
from tests.support.clock import START, FakeClock
from tests.support.stepped_intake import SteppedIntake

StubBytes = Callable[[int], bytes]


@dataclass(frozen=True)
class Remark:
    why: str


def test_a_stub_without_room_says_what_it_is_and_that_others_go_first(
    intake: SteppedIntake,
    folder: Path,
    recipient: Recipient,
    set_mtime: Callable[[Path, float], None],
) -> None:
    data = build_stub(a_stub(7), "Big Buck Bunny 1080p", 1234)
    (folder / "X.torrent").write_bytes(data)
    set_mtime(folder / "X.torrent", 1_700_000_000)
    recipient.verdict = Verdict.LATER
    intake.scan()
    [waiting] = intake.waiting_stubs()
    assert (waiting.name, waiting.details.stub) == ("X.torrent", a_stub(7))
    assert (waiting.details.title, waiting.details.size) == ("Big Buck Bunny 1080p", 1234)
    assert waiting.details.info_hash == info_hash(data)
    assert waiting.since == datetime.fromtimestamp(1_700_000_000, timezone.utc)
    assert waiting.why == "other stubs of the same friend are asked about first"
    assert waiting.next_look is None


def test_a_stub_put_off_says_why_and_when_it_is_asked_about_again(
    intake: SteppedIntake, folder: Path, recipient: Recipient, clock: FakeClock, whole: bytes
) -> None:
    (folder / "X.torrent").write_bytes(whole)
    intake.scan()
    assert intake.waiting_stubs() == [], "it is taken"
    intake.reasons.again("X.torrent", 30.0, Remark("ann answered 500"))
    intake.step(0)
    due = clock.now() + timedelta(seconds=30)
    clock.advance(10)
    [waiting] = intake.waiting_stubs()
    assert (waiting.why, waiting.next_look) == ("ann answered 500", due)
    clock.advance(20)
    intake.step(0)
    assert intake.waiting_stubs() == []
    assert len(recipient.got()) == 2


def test_a_stub_whose_friend_is_being_asked_says_so(
    intake: SteppedIntake, folder: Path, recipient: Recipient, clock: FakeClock, whole: bytes
) -> None:
    (folder / "X.torrent").write_bytes(whole)
    intake.step(0)
    recipient.opened = {"X.torrent": OpenStub("ann cannot be reached", 40.0)}
    [waiting] = intake.waiting_stubs()
    assert waiting.why == "ann cannot be reached"
    assert waiting.next_look == clock.now() + timedelta(seconds=40)


def test_a_stub_of_an_unknown_friend_waits_until_he_is_known(
    intake: SteppedIntake, folder: Path, recipient: Recipient, stub_bytes: StubBytes
) -> None:
    for number in (1, 2):
        (folder / f"{number}.torrent").write_bytes(stub_bytes(number))
    recipient.verdict = Verdict.UNKNOWN_PEER
    intake.scan()
    assert {waiting.name for waiting in intake.waiting_stubs()} == {"1.torrent", "2.torrent"}
    assert all("not in the config" in waiting.why for waiting in intake.waiting_stubs())
    recipient.got()
    recipient.verdict = Verdict.TAKEN
    intake.reasons.room(PEER)
    intake.step(0)
    assert {drop.stub for drop in recipient.got()} == {a_stub(1), a_stub(2)}
    assert intake.waiting_stubs() == []


def test_a_stub_that_hit_a_bug_is_listed_as_such(
    intake: SteppedIntake, folder: Path, recipient: Recipient, whole: bytes
) -> None:
    (folder / "X.torrent").write_bytes(whole)
    recipient.errors = [KeyError("bug")]
    intake.step(0)
    [waiting] = intake.waiting_stubs()
    assert "a bug in jack" in waiting.why


@pytest.mark.parametrize("what", ["foreign", "half", "magnet"])
def test_what_is_no_stub_is_not_listed(
    intake: SteppedIntake, folder: Path, whole: bytes, foreign: bytes, what: str
) -> None:
    name = "X.magnet" if what == "magnet" else "X.torrent"
    (folder / name).write_bytes({"foreign": foreign, "half": whole[:20]}.get(what, b"magnet:?"))
    intake.scan()
    assert intake.waiting_stubs() == []


def test_a_stub_that_has_gone_or_changed_is_not_listed_as_what_it_was(
    intake: SteppedIntake,
    folder: Path,
    recipient: Recipient,
    stub_bytes: StubBytes,
    foreign: bytes,
) -> None:
    recipient.verdict = Verdict.LATER
    for number in (1, 2, 3):
        (folder / f"{number}.torrent").write_bytes(stub_bytes(number))
    intake.scan()
    (folder / "1.torrent").unlink()
    (folder / "2.torrent").write_bytes(foreign)
    assert [waiting.name for waiting in intake.waiting_stubs()] == ["3.torrent"]


def test_of_very_many_only_some_are_listed(
    intake: SteppedIntake, folder: Path, recipient: Recipient, stub_bytes: StubBytes
) -> None:
    recipient.verdict = Verdict.LATER
    for number in range(5):
        (folder / f"{number}.torrent").write_bytes(stub_bytes(number))
    intake.scan()
    assert len(intake.waiting_stubs(most=3)) == 3


def test_a_file_written_in_the_future_waits_since_now(
    intake: SteppedIntake,
    folder: Path,
    recipient: Recipient,
    whole: bytes,
    set_mtime: Callable[[Path, float], None],
) -> None:
    (folder / "X.torrent").write_bytes(whole)
    set_mtime(folder / "X.torrent", 400_000_000_000)
    recipient.verdict = Verdict.LATER
    intake.step(0)
    [waiting] = intake.waiting_stubs()
    assert waiting.since == START
