from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from jack.blackhole import reading
from jack.blackhole.drops import Verdict
from jack.blackhole.intake import SCAN_GAP_SECONDS
from jack.blackhole.reasons import Left
from jack.blackhole.stub import MAX_STUB_BYTES
from jack.model import Stub
from tests.blackhole.conftest import Recipient, a_stub
from tests.support.clock import FakeClock
from tests.support.stepped_intake import Before, SteppedIntake

Lines = Callable[[], list[str]]
StubBytes = Callable[[int], bytes]
SetMtime = Callable[[Path, float], None]


# -- taking ----------------------------------------------------------------------------------------


def test_a_stub_present_at_the_start_is_taken_by_the_first_step(
    intake: SteppedIntake, folder: Path, recipient: Recipient, whole: bytes, stub: Stub
) -> None:
    path = folder / "X.torrent"
    path.write_bytes(whole)
    intake.step(0)
    [drop] = recipient.got()
    status = path.stat()
    assert (drop.name, drop.path, drop.stub) == ("X.torrent", path, stub)
    assert drop.fingerprint == f"{status.st_ino}:{status.st_mtime_ns}:{status.st_size}"


def test_a_taken_stub_is_handed_on_once_and_not_read_again(
    intake: SteppedIntake,
    folder: Path,
    recipient: Recipient,
    whole: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (folder / "X.torrent").write_bytes(whole)
    intake.scan()
    monkeypatch.setattr(os, "open", lambda *a, **k: pytest.fail("read again"))
    intake.scan()
    intake.look_at("X.torrent")
    assert len(recipient.got()) == 1


def test_a_name_that_a_file_event_tells_is_looked_at_before_the_folder_is_scanned(
    intake: SteppedIntake, folder: Path, recipient: Recipient, clock: FakeClock, whole: bytes
) -> None:
    intake.step(0)
    (folder / "X.torrent").write_bytes(whole)
    (folder / "Y.torrent").write_bytes(whole)
    intake.look_at("X.torrent")
    assert [drop.name for drop in recipient.got()] == ["X.torrent"]
    clock.advance(SCAN_GAP_SECONDS)
    intake.step(0)
    assert [drop.name for drop in recipient.got()] == ["Y.torrent"]


def test_many_file_events_are_one_scan(
    folder: Path, recipient: Recipient, clock: FakeClock
) -> None:
    scans: list[float] = []
    intake = SteppedIntake(
        folder, recipient, clock, Before(lambda: scans.append(clock.monotonic()))
    )
    for _ in range(50):
        intake.look_at("X.torrent")
        clock.advance(SCAN_GAP_SECONDS / 10)
    assert len(scans) == 5


def test_a_scan_that_takes_long_is_not_repeated_for_each_file_event(
    folder: Path, recipient: Recipient, clock: FakeClock
) -> None:
    scans: list[float] = []

    def slow() -> None:
        scans.append(clock.monotonic())
        clock.advance(0.5)

    intake = SteppedIntake(folder, recipient, clock, Before(slow))
    for _ in range(30):
        intake.look_at("X.torrent")
        clock.advance(1)
    assert len(scans) == 3


def test_poll_mode_finds_a_stub_by_the_scan_alone(
    intake: SteppedIntake, folder: Path, recipient: Recipient, clock: FakeClock, whole: bytes
) -> None:
    intake.step(0)
    (folder / "X.torrent").write_bytes(whole)
    clock.advance(59)
    intake.step(0)
    assert recipient.got() == []
    clock.advance(1)
    intake.step(0)
    assert len(recipient.got()) == 1


def test_stubs_are_taken_in_the_order_they_were_dropped(
    intake: SteppedIntake,
    folder: Path,
    recipient: Recipient,
    stub_bytes: StubBytes,
    set_mtime: SetMtime,
) -> None:
    for number, age in ((1, 30), (2, 10), (3, 20)):
        path = folder / f"{number}.torrent"
        path.write_bytes(stub_bytes(number))
        set_mtime(path, 1_700_000_000 - age)
    intake.scan()
    assert [drop.name for drop in recipient.got()] == ["1.torrent", "3.torrent", "2.torrent"]


@pytest.mark.parametrize("raw", [b"\xff\xfe.torrent", "Köln.TORRENT".encode(), b"a\nb.torrent"])
def test_a_name_in_any_bytes_is_accepted(
    intake: SteppedIntake, folder: Path, recipient: Recipient, whole: bytes, raw: bytes
) -> None:
    with open(os.path.join(os.fsencode(folder), raw), "wb") as file:
        file.write(whole)
    intake.scan()
    assert [os.fsencode(drop.name) for drop in recipient.got()] == [raw]


@pytest.mark.fault("W17")
def test_a_mtime_in_the_future_is_no_obstacle(
    intake: SteppedIntake, folder: Path, recipient: Recipient, whole: bytes, set_mtime: SetMtime
) -> None:
    path = folder / "X.torrent"
    path.write_bytes(whole)
    set_mtime(path, 4_000_000_000)
    intake.scan()
    assert len(recipient.got()) == 1


@pytest.mark.fault("W7")
def test_five_thousand_stubs_are_taken_by_one_scan_and_hardly_cost_the_next(
    intake: SteppedIntake,
    folder: Path,
    recipient: Recipient,
    stub_bytes: StubBytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(5000):
        (folder / f"{number}.torrent").write_bytes(stub_bytes(number))
    intake.scan()
    assert {drop.stub for drop in recipient.got()} == {a_stub(number) for number in range(5000)}
    monkeypatch.setattr(os, "open", lambda *a, **k: pytest.fail("read again"))
    intake.scan()
    assert recipient.got() == []


def test_a_stop_ends_a_long_scan(
    folder: Path, recipient: Recipient, clock: FakeClock, stub_bytes: StubBytes
) -> None:
    for number in range(50):
        (folder / f"{number}.torrent").write_bytes(stub_bytes(number))
    stop = threading.Event()
    recipient.during = lambda drop: stop.set()
    SteppedIntake(folder, recipient, clock).run(stop)
    assert len(recipient.got()) == 1


# -- half written ----------------------------------------------------------------------------------


@pytest.mark.fault("W1")
def test_an_in_place_write_is_not_judged_before_it_is_whole(
    intake: SteppedIntake, folder: Path, recipient: Recipient, whole: bytes, lines: Lines
) -> None:
    half = len(whole) // 2
    with open(folder / "X.torrent", "wb", buffering=0) as file:
        for part in (b"", whole[:half]):
            file.write(part)
            intake.look_at("X.torrent")
            intake.scan()
        assert recipient.got() == []
        file.write(whole[half:])
    intake.look_at("X.torrent")
    assert len(recipient.got()) == 1
    assert lines() == []


def test_a_growing_file_is_looked_at_again_before_the_next_scan(
    intake: SteppedIntake, folder: Path, recipient: Recipient, clock: FakeClock, whole: bytes
) -> None:
    path = folder / "X.torrent"
    path.write_bytes(b"")
    intake.step(0)
    path.write_bytes(whole)
    clock.advance(1)
    intake.step(0)
    assert len(recipient.got()) == 1


@pytest.mark.fault("W1")
def test_an_unreadable_file_is_said_once_after_a_minute_without_change_and_stays(
    intake: SteppedIntake, folder: Path, clock: FakeClock, whole: bytes, lines: Lines
) -> None:
    path = folder / "X.torrent"
    path.write_bytes(whole[:-1])
    for _ in range(6):
        intake.step(0)
        clock.advance(10)
    assert lines() == []
    for _ in range(20):
        clock.advance(60)
        intake.step(0)
    path.write_bytes(whole[:-2])
    for _ in range(3):
        intake.step(0)
        clock.advance(60)
    assert lines() == ["X.torrent is not a readable torrent (yet); it stays where it is"]
    assert path.read_bytes() == whole[:-2]


def test_an_unreadable_file_is_read_again_although_its_fingerprint_stayed(
    intake: SteppedIntake,
    folder: Path,
    recipient: Recipient,
    clock: FakeClock,
    whole: bytes,
    set_mtime: SetMtime,
) -> None:
    path = folder / "X.torrent"
    path.write_bytes(bytes(len(whole)))
    set_mtime(path, 1_700_000_000)
    intake.scan()
    clock.advance(599)
    with open(path, "r+b") as file:
        file.write(whole)
    set_mtime(path, 1_700_000_000)
    intake.scan()
    assert len(recipient.got()) == 1


def test_an_unreadable_file_unchanged_for_ten_minutes_is_not_read_any_more(
    intake: SteppedIntake, folder: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "X.torrent").write_bytes(b"d")
    intake.scan()
    clock.advance(600)
    intake.scan()
    monkeypatch.setattr(os, "open", lambda *a, **k: pytest.fail("read again"))
    intake.scan()


@pytest.mark.fault("W1")
def test_a_file_that_changes_while_it_is_read_is_looked_at_again_soon(
    intake: SteppedIntake,
    folder: Path,
    recipient: Recipient,
    clock: FakeClock,
    whole: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = folder / "X.torrent"
    path.write_bytes(whole)
    real_read = os.read

    def read_while_written(descriptor: int, count: int) -> bytes:
        data = real_read(descriptor, count)
        if path.stat().st_size == len(whole):
            with open(path, "ab") as file:
                file.write(b"\n")
        return data

    with monkeypatch.context() as patch:
        patch.setattr(os, "read", read_while_written)
        intake.step(0)
    assert recipient.got() == []
    clock.advance(1)
    intake.step(0)
    assert len(recipient.got()) == 1


# -- overwritten -----------------------------------------------------------------------------------


@pytest.mark.fault("W10")
def test_an_overwritten_stub_is_a_new_drop(
    intake: SteppedIntake, folder: Path, recipient: Recipient, stub_bytes: StubBytes
) -> None:
    path = folder / "X.torrent"
    path.write_bytes(stub_bytes(1))
    intake.scan()
    path.write_bytes(stub_bytes(234))
    intake.look_at("X.torrent")
    assert [drop.stub for drop in recipient.got()] == [a_stub(1), a_stub(234)]


@pytest.mark.fault("W10")
def test_an_overwrite_within_one_tick_of_a_coarse_mtime_is_noticed(
    intake: SteppedIntake,
    folder: Path,
    recipient: Recipient,
    clock: FakeClock,
    stub_bytes: StubBytes,
    set_mtime: SetMtime,
) -> None:
    path = folder / "X.torrent"
    tick = clock.now().timestamp() + 1
    path.write_bytes(stub_bytes(1))
    set_mtime(path, tick)
    intake.scan()
    intake.scan()
    path.write_bytes(stub_bytes(2))
    set_mtime(path, tick)
    clock.advance(60)
    intake.scan()
    drops = recipient.got()
    assert [drop.stub for drop in drops] == [a_stub(1), a_stub(2)]
    assert drops[0].fingerprint == drops[1].fingerprint


def test_a_stub_removed_and_dropped_again_is_a_new_drop(
    intake: SteppedIntake, folder: Path, recipient: Recipient, whole: bytes, set_mtime: SetMtime
) -> None:
    path = folder / "X.torrent"
    hidden = folder / ".X"
    path.write_bytes(whole)
    intake.scan()
    path.rename(hidden)
    intake.scan()
    hidden.rename(path)
    intake.scan()
    assert len(recipient.got()) == 2


def test_a_forgotten_name_is_handed_on_again(
    intake: SteppedIntake, folder: Path, recipient: Recipient, whole: bytes
) -> None:
    (folder / "X.torrent").write_bytes(whole)
    intake.step(0)
    intake.reasons.forget("X.torrent")
    intake.step(0)
    intake.step(0)
    assert len(recipient.got()) == 2


def test_a_name_forgotten_while_it_is_being_taken_is_handed_on_again(
    intake: SteppedIntake, folder: Path, recipient: Recipient, whole: bytes
) -> None:
    (folder / "X.torrent").write_bytes(whole)

    def let_go(drop: object) -> None:
        recipient.during = lambda drop: None
        intake.reasons.forget("X.torrent")

    recipient.during = let_go
    intake.step(0)
    intake.step(0)
    assert len(recipient.got()) == 2


# -- not jack's ------------------------------------------------------------------------------------


@pytest.mark.fault("P23")
def test_a_foreign_torrent_stays_untouched_with_one_line_over_many_scans(
    intake: SteppedIntake, folder: Path, recipient: Recipient, foreign: bytes, lines: Lines
) -> None:
    path = folder / "Linux.torrent"
    path.write_bytes(foreign)
    before = path.stat()
    for _ in range(5):
        intake.scan()
    path.touch()
    intake.scan()
    assert recipient.got() == []
    assert path.read_bytes() == foreign
    assert path.stat().st_ino == before.st_ino
    assert lines() == [
        "Linux.torrent is not jack's stub: it belongs to a torrent client; left alone"
    ]


def test_a_foreign_torrent_overwritten_by_a_stub_is_taken(
    intake: SteppedIntake, folder: Path, recipient: Recipient, foreign: bytes, whole: bytes
) -> None:
    path = folder / "X.torrent"
    path.write_bytes(foreign)
    intake.scan()
    path.write_bytes(whole)
    intake.scan()
    assert len(recipient.got()) == 1


def test_an_unknown_friend_is_said_once_and_the_stub_stays(
    intake: SteppedIntake, folder: Path, recipient: Recipient, whole: bytes, lines: Lines
) -> None:
    path = folder / "X.torrent"
    path.write_bytes(whole)
    recipient.verdict = Verdict.UNKNOWN_PEER
    for _ in range(5):
        intake.scan()
    path.touch()
    intake.scan()
    [line] = lines()
    assert "X.torrent names friend 15ee3276, who is not in the config" in line
    assert "add the peer, or remove the stub" in line
    assert path.read_bytes() == whole


def test_a_file_beyond_the_limit_is_left_alone_with_one_line(
    intake: SteppedIntake, folder: Path, recipient: Recipient, lines: Lines
) -> None:
    (folder / "big.torrent").write_bytes(b"d" * (MAX_STUB_BYTES + 1))
    intake.scan()
    intake.scan()
    assert recipient.got() == []
    [line] = lines()
    assert "big.torrent" in line
    assert "larger than 1048576 bytes" in line


def test_a_stub_of_exactly_the_limit_is_taken(
    intake: SteppedIntake, folder: Path, recipient: Recipient, whole: bytes
) -> None:
    (folder / "X.torrent").write_bytes(whole.ljust(MAX_STUB_BYTES, b"\n"))
    intake.scan()
    assert len(recipient.got()) == 1


@pytest.mark.fault("W16")
def test_a_magnet_file_gets_one_line_that_says_what_to_do(
    intake: SteppedIntake, folder: Path, lines: Lines
) -> None:
    (folder / "X.magnet").write_text("magnet:?xt=urn:btih:0")
    for _ in range(3):
        intake.scan()
    [line] = lines()
    assert "X.magnet is a magnet link" in line
    assert "Turn off Save Magnet Files" in line


def test_hidden_files_and_other_names_are_ignored_without_a_word(
    intake: SteppedIntake, folder: Path, recipient: Recipient, whole: bytes, lines: Lines
) -> None:
    for name in (".X.torrent", "sonarr_write_test.txt", "X.torrent.tmp", "X"):
        (folder / name).write_bytes(whole)
    intake.scan()
    assert recipient.got() == []
    assert lines() == []


def test_whatever_is_not_a_regular_file_is_ignored_without_a_word(
    intake: SteppedIntake, folder: Path, recipient: Recipient, lines: Lines
) -> None:
    os.mkfifo(folder / "fifo.torrent")
    (folder / "folder.torrent").mkdir()
    (folder / "dangling.torrent").symlink_to("nowhere")
    (folder / "circle.torrent").symlink_to("circle.torrent")
    (folder / "device.torrent").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(os.path.relpath(folder / "socket.torrent"))
        for _ in range(2):
            intake.scan()
            for name in os.listdir(folder):
                intake.look_at(name)
    assert recipient.got() == []
    assert lines() == []


def test_a_fifo_that_replaces_the_file_before_it_is_opened_does_not_hang(folder: Path) -> None:
    os.mkfifo(folder / "X.torrent")
    assert reading.snapshot(folder / "X.torrent") is None


def test_a_symbolic_link_to_a_stub_is_taken(
    intake: SteppedIntake, folder: Path, tmp_path: Path, recipient: Recipient, whole: bytes
) -> None:
    (tmp_path / "elsewhere").write_bytes(whole)
    (folder / "X.torrent").symlink_to(tmp_path / "elsewhere")
    intake.scan()
    assert [drop.path for drop in recipient.got()] == [folder / "X.torrent"]


# -- trouble ---------------------------------------------------------------------------------------


@pytest.mark.fault("W14")
@pytest.mark.parametrize("number", [errno.EACCES, errno.ESTALE, errno.EIO, errno.ENOENT])
def test_a_folder_that_cannot_be_read_is_said_once_and_its_return_too(
    intake: SteppedIntake,
    folder: Path,
    recipient: Recipient,
    clock: FakeClock,
    whole: bytes,
    lines: Lines,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
) -> None:
    (folder / "X.torrent").write_bytes(whole)

    def refuse(path: object) -> object:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", refuse)
        for _ in range(3):
            intake.step(0)
            clock.advance(60)
    assert recipient.got() == []
    [line] = lines()
    assert os.strerror(number) in line
    intake.step(0)
    intake.scan()
    assert len(recipient.got()) == 1
    assert lines()[1:] == [f"the watch folder {folder} can be read again"]


@pytest.mark.fault("W14")
def test_a_stub_that_may_not_be_read_is_said_once_and_taken_when_it_may(
    intake: SteppedIntake,
    folder: Path,
    recipient: Recipient,
    whole: bytes,
    lines: Lines,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (folder / "X.torrent").write_bytes(whole)

    def refuse(*args: object, **kwargs: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        for _ in range(3):
            intake.scan()
    [line] = lines()
    assert "X.torrent cannot be read (Permission denied)" in line
    intake.scan()
    assert len(recipient.got()) == 1


def test_a_bug_in_the_owner_is_logged_once_with_its_traceback_and_tried_again(
    intake: SteppedIntake,
    folder: Path,
    recipient: Recipient,
    stub_bytes: StubBytes,
    lines: Lines,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (folder / "X.torrent").write_bytes(stub_bytes(1))
    (folder / "Y.torrent").write_bytes(stub_bytes(2))
    recipient.errors = [KeyError("bug")] * 4
    for _ in range(4):
        intake.scan()
    assert len(recipient.got()) == 2 + 2 + 2
    assert len(lines()) == 2
    assert all(record.exc_info for record in caplog.records)


def test_a_bug_in_the_watcher_check_does_not_stop_the_scan(
    folder: Path, recipient: Recipient, clock: FakeClock, whole: bytes
) -> None:
    def check() -> None:
        raise KeyError("bug")

    (folder / "X.torrent").write_bytes(whole)
    SteppedIntake(folder, recipient, clock, Before(check)).step(0)
    assert len(recipient.got()) == 1


def test_the_watcher_is_checked_before_each_scan(
    folder: Path, recipient: Recipient, clock: FakeClock, whole: bytes
) -> None:
    def check() -> None:
        (folder / "X.torrent").write_bytes(whole)

    SteppedIntake(folder, recipient, clock, Before(check)).step(0)
    assert len(recipient.got()) == 1


@pytest.mark.fault("C14")
def test_the_loop_survives_a_bug_in_a_step(
    intake: SteppedIntake,
    folder: Path,
    recipient: Recipient,
    whole: bytes,
    lines: Lines,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (folder / "X.torrent").write_bytes(whole)
    stop = threading.Event()
    bugs = [KeyError("bug")]
    real_take = intake.reasons.take

    def take(timeout_seconds: float, max_hints: int) -> Left:
        if bugs:
            raise bugs.pop()
        return real_take(timeout_seconds, max_hints)

    monkeypatch.setattr(intake.reasons, "take", take)
    recipient.during = lambda drop: stop.set()
    intake.run(stop)
    assert len(recipient.got()) == 1
    assert lines() == ["intake hit a bug in jack; it goes on"]


def test_a_hostile_name_cannot_fake_a_log_line(
    intake: SteppedIntake, folder: Path, foreign: bytes, lines: Lines
) -> None:
    with open(os.path.join(os.fsencode(folder), b"a\nERROR fake\xff.torrent"), "wb") as file:
        file.write(foreign)
    intake.scan()
    [line] = lines()
    assert "\n" not in line
