from __future__ import annotations

import errno
import os
import shutil
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from watchdog.events import FileClosedEvent, FileCreatedEvent
from watchdog.observers.api import BaseObserver, EventEmitter

from jack.blackhole.disposal import park_failed_stub
from jack.blackhole.intake import Intake
from jack.blackhole.reasons import Reasons
from jack.blackhole.watcher import EVENTS, Watcher, new_observer
from jack.model import Stub
from tests.blackhole.conftest import Recipient, a_stub
from tests.support.waiting import eventually

AN_HOUR = 3600.0
"""A rescan interval no test lives to see: what arrives, arrived by an event."""

Start = Callable[[float, Callable[[], None]], Intake]
Lines = Callable[[], list[str]]
StubBytes = Callable[[int], bytes]


def local(folder: Path) -> str | None:
    return None


@pytest.fixture
def watcher(folder: Path, reasons: Reasons) -> Iterator[Watcher]:
    before = threading.active_count()
    watcher = Watcher(folder, reasons, "events")
    watcher.start()
    assert watcher.describes == "events"
    yield watcher
    watcher.stop()
    assert threading.active_count() == before


@pytest.fixture
def watched(watcher: Watcher, running: Start, reasons: Reasons) -> Watcher:
    """Watcher and intake at work, the first scan done."""
    scanned = threading.Event()

    def check() -> None:
        watcher.check()
        scanned.set()

    running(AN_HOUR, check)
    assert scanned.wait(20)
    return watcher


def silent() -> BaseObserver:
    """An observer that never fires, as on a file system without events."""
    return BaseObserver(EventEmitter)


# -- what completes a stub -------------------------------------------------------------------------


def test_a_stub_written_and_closed_is_taken(
    watched: Watcher, folder: Path, recipient: Recipient, whole: bytes, stub: Stub
) -> None:
    (folder / "X.torrent").write_bytes(whole)
    assert recipient.next().stub == stub


def test_a_stub_written_in_two_halves_is_taken_when_it_is_closed(
    watched: Watcher, folder: Path, recipient: Recipient, whole: bytes, stub: Stub
) -> None:
    with open(folder / "X.torrent", "wb", buffering=0) as file:
        file.write(whole[:30])
        os.fsync(file.fileno())
        (folder / "Y.torrent").write_bytes(whole)
        assert recipient.next().name == "Y.torrent"
        file.write(whole[30:])
    assert recipient.next().name == "X.torrent"


@pytest.mark.fault("W3")
def test_an_empty_stub_that_is_filled_later_is_taken(
    watched: Watcher, folder: Path, recipient: Recipient, whole: bytes
) -> None:
    (folder / "X.torrent").touch()
    (folder / "Y.torrent").write_bytes(whole)
    assert recipient.next().name == "Y.torrent"
    with open(folder / "X.torrent", "r+b") as file:
        file.write(whole)
    assert recipient.next().name == "X.torrent"


def renamed_inside(folder: Path, source: Path, target: Path) -> None:
    inside = folder / "incoming.tmp"
    shutil.copyfile(source, inside)
    inside.rename(target)


def moved_in(folder: Path, source: Path, target: Path) -> None:
    source.rename(target)


def linked_in(folder: Path, source: Path, target: Path) -> None:
    os.link(source, target)


def symlinked_in(folder: Path, source: Path, target: Path) -> None:
    target.symlink_to(source)


def copied(folder: Path, source: Path, target: Path) -> None:
    subprocess.run(["cp", str(source), str(target)], check=True)


def replaced(folder: Path, source: Path, target: Path) -> None:
    target.write_bytes(b"d")
    os.replace(source, target)


@pytest.mark.parametrize(
    "arrive", [renamed_inside, moved_in, linked_in, symlinked_in, copied, replaced]
)
def test_a_stub_is_taken_however_it_comes_in(
    watched: Watcher,
    folder: Path,
    tmp_path: Path,
    recipient: Recipient,
    whole: bytes,
    arrive: Callable[[Path, Path, Path], None],
) -> None:
    source = tmp_path / "source"
    source.write_bytes(whole)
    arrive(folder, source, folder / "X.torrent")
    assert recipient.next().name == "X.torrent"


def test_a_name_in_any_bytes_arrives_by_an_event(
    watched: Watcher, folder: Path, recipient: Recipient, whole: bytes
) -> None:
    (folder / os.fsdecode(b"\xff\xfe.torrent")).write_bytes(whole)
    assert os.fsencode(recipient.next().name) == b"\xff\xfe.torrent"


def test_an_overwritten_stub_is_taken_again(
    watched: Watcher, folder: Path, recipient: Recipient, stub_bytes: StubBytes
) -> None:
    (folder / "X.torrent").write_bytes(stub_bytes(1))
    assert recipient.next().stub == a_stub(1)
    (folder / "X.torrent").write_bytes(stub_bytes(22))
    assert recipient.next().stub == a_stub(22)


def test_a_watch_folder_that_is_a_symbolic_link_has_events(
    folder: Path, tmp_path: Path, reasons: Reasons, whole: bytes
) -> None:
    (tmp_path / "link").symlink_to(folder)
    watcher = Watcher(tmp_path / "link", reasons, "events")
    watcher.start()
    try:
        (folder / "X.torrent").write_bytes(whole)
        assert eventually(lambda: reasons.take(0.1, 100).hints) == ["X.torrent"]
    finally:
        watcher.stop()


def test_reading_removing_and_other_files_cause_no_events(
    watcher: Watcher, folder: Path, reasons: Reasons, whole: bytes
) -> None:
    (folder / "X.torrent").write_bytes(whole)
    eventually(lambda: "X.torrent" in reasons.take(0.1, 100).hints)
    (folder / "end.torrent").write_bytes(whole)
    eventually(lambda: "end.torrent" in reasons.take(0.1, 100).hints)
    reasons.take(0.1, 100)
    (folder / "X.torrent").read_bytes()
    os.utime(folder / "X.torrent")
    (folder / "X.torrent").unlink()
    (folder / "note.txt").write_text("x")
    (folder / ".Y.torrent").write_bytes(whole)
    (folder / "folder.torrent").mkdir()
    (folder / "last.torrent").write_bytes(whole)
    seen: set[str] = set()

    def last_seen() -> bool:
        seen.update(reasons.take(0.1, 100).hints)
        return "last.torrent" in seen

    eventually(last_seen)
    assert seen == {"last.torrent"}


# -- speed -----------------------------------------------------------------------------------------


def test_from_close_to_taken_is_a_matter_of_milliseconds(
    watched: Watcher, folder: Path, recipient: Recipient, stub_bytes: StubBytes
) -> None:
    waits = []
    for number in range(15):
        (folder / f"{number}.torrent").write_bytes(stub_bytes(number))
        closed = time.monotonic()
        assert recipient.next().name == f"{number}.torrent"
        waits.append(time.monotonic() - closed)
    # The aim is 50 ms; ten times that still tells it from a wait of watchdog or a poll.
    assert statistics.median(waits) < 0.5


def test_a_file_moved_out_does_not_hold_up_the_stub_behind_it(
    watched: Watcher, folder: Path, tmp_path: Path, recipient: Recipient, stub_bytes: StubBytes
) -> None:
    waits = []
    for number in range(5):
        leaving = folder / f"{number}.txt"
        leaving.write_text("x")
        leaving.rename(tmp_path / "gone")
        started = time.monotonic()
        (folder / f"{number}.torrent").write_bytes(stub_bytes(number))
        recipient.next()
        waits.append(time.monotonic() - started)
    assert statistics.median(waits) < 0.4  # watchdog's own wait for the other half is 0.5 s


def test_parking_a_stub_does_not_hold_up_the_next(
    watched: Watcher, folder: Path, recipient: Recipient, stub_bytes: StubBytes
) -> None:
    waits = []
    for number in range(5):
        path = folder / f"{number}.torrent"
        path.write_bytes(stub_bytes(number))
        recipient.next()
        assert park_failed_stub(path, a_stub(number))
        started = time.monotonic()
        (folder / f"{number}b.torrent").write_bytes(stub_bytes(100 + number))
        assert recipient.next().stub == a_stub(100 + number)
        waits.append(time.monotonic() - started)
    assert statistics.median(waits) < 0.4


@pytest.mark.fault("W7")
def test_two_thousand_stubs_dropped_at_once_are_all_taken_once(
    watched: Watcher, folder: Path, recipient: Recipient, stub_bytes: StubBytes
) -> None:
    for number in range(2000):
        (folder / f"{number}.torrent").write_bytes(stub_bytes(number))
    names = [recipient.next().name for _ in range(2000)]
    assert len(set(names)) == 2000
    assert recipient.got() == []


# -- without events --------------------------------------------------------------------------------


def test_poll_mode_starts_no_observer(folder: Path, reasons: Reasons) -> None:
    watcher = Watcher(folder, reasons, "poll", local, lambda: pytest.fail("asked for an observer"))
    watcher.start()
    watcher.check()
    assert watcher.describes == "scan only (watchMode: poll)"
    watcher.stop()


def test_auto_mode_leaves_network_folders_to_the_scan(
    folder: Path, reasons: Reasons, lines: Lines
) -> None:
    watcher = Watcher(
        folder, reasons, "auto", lambda path: "nfs4", lambda: pytest.fail("asked for an observer")
    )
    watcher.start()
    watcher.check()
    assert watcher.describes == "scan only (network file system nfs4)"
    [line] = lines()
    assert "nfs4" in line


def test_auto_mode_watches_local_folders(folder: Path, reasons: Reasons) -> None:
    watcher = Watcher(folder, reasons, "auto", local)
    watcher.start()
    assert watcher.describes == "events"
    watcher.stop()


def test_events_mode_watches_network_folders_too(folder: Path, reasons: Reasons) -> None:
    watcher = Watcher(folder, reasons, "events", lambda path: "nfs4")
    watcher.start()
    assert watcher.describes == "events"
    watcher.stop()


@pytest.mark.fault("W4")
def test_an_observer_that_never_fires_is_made_up_for_by_the_scan(
    folder: Path, reasons: Reasons, running: Start, recipient: Recipient, whole: bytes
) -> None:
    watcher = Watcher(folder, reasons, "events", local, silent)
    watcher.start()
    running(0.05, lambda: None)
    (folder / "X.torrent").write_bytes(whole)
    assert recipient.next().name == "X.torrent"
    watcher.stop()


@pytest.mark.fault("W6")
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EMFILE, errno.ENOSYS])
@pytest.mark.parametrize("where", ["factory", "start"])
def test_a_reached_limit_is_said_once_and_left_to_the_scan(
    folder: Path, reasons: Reasons, lines: Lines, number: int, where: str
) -> None:
    def refuse() -> None:
        raise OSError(number, os.strerror(number))

    def factory() -> BaseObserver:
        if where == "factory":
            refuse()
        observer = new_observer()
        observer.on_thread_start = refuse  # type: ignore[method-assign]
        return observer

    before = threading.active_count()
    watcher = Watcher(folder, reasons, "events", local, factory)
    watcher.start()
    watcher.check()
    watcher.check()
    assert watcher.describes == f"scan only ({os.strerror(number)})"
    [line] = lines()
    assert os.strerror(number) in line
    assert "fs.inotify.max_user_watches" in line
    assert "fs.inotify.max_user_instances" in line
    watcher.stop()
    assert threading.active_count() == before


@pytest.mark.fault("W6")
def test_events_come_back_when_the_limit_is_raised(
    folder: Path, reasons: Reasons, lines: Lines, whole: bytes
) -> None:
    answers: list[OSError] = [OSError(errno.EMFILE, "inotify instance limit reached")]

    def factory() -> BaseObserver:
        if answers:
            raise answers.pop()
        return new_observer()

    watcher = Watcher(folder, reasons, "events", local, factory)
    watcher.start()
    watcher.check()
    assert watcher.describes == "events"
    assert lines()[1:] == [f"file events of {folder} work again"]
    (folder / "X.torrent").write_bytes(whole)
    assert eventually(lambda: reasons.take(0.1, 100).hints) == ["X.torrent"]
    watcher.stop()


# -- what happens to observers ---------------------------------------------------------------------


@pytest.mark.fault("W8")
def test_a_bug_in_the_handler_does_not_end_the_events(
    watcher: Watcher,
    folder: Path,
    reasons: Reasons,
    whole: bytes,
    lines: Lines,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(name: str) -> None:
        raise KeyError(name)

    with monkeypatch.context() as patch:
        patch.setattr(reasons, "notice", broken)
        (folder / "X.torrent").write_bytes(whole)
        eventually(lines)
    (folder / "Y.torrent").write_bytes(whole)
    eventually(lambda: "Y.torrent" in reasons.take(0.1, 100).hints)
    assert "the next scan makes up for it" in lines()[0]


def replaced_by_a_new_folder(folder: Path) -> None:
    folder.rename(folder.with_name("old"))
    folder.mkdir()


def deleted_and_made_again(folder: Path) -> None:
    # An ext4 gives the new folder the inode of the old one.
    folder.rmdir()
    folder.mkdir()


@pytest.mark.parametrize("act", [replaced_by_a_new_folder, deleted_and_made_again])
def test_a_replaced_folder_is_watched_again_after_the_next_check(
    watcher: Watcher,
    folder: Path,
    reasons: Reasons,
    whole: bytes,
    lines: Lines,
    act: Callable[[Path], None],
) -> None:
    act(folder)

    def renewed() -> bool:
        watcher.check()
        return bool(lines())

    eventually(renewed)
    assert lines() == [f"file events of {folder} had ended; watching again"]
    watcher.check()
    (folder / "X.torrent").write_bytes(whole)
    assert eventually(lambda: reasons.take(0.1, 100).hints) == ["X.torrent"]
    assert len(lines()) == 1


def test_a_missing_folder_is_watched_as_soon_as_it_is_back(
    watcher: Watcher, folder: Path, reasons: Reasons, whole: bytes, lines: Lines
) -> None:
    folder.rmdir()
    watcher.check()
    watcher.check()
    assert watcher.describes == "scan only (No such file or directory)"
    assert lines() == []  # the scan says it
    folder.mkdir()
    watcher.check()
    assert watcher.describes == "events"
    (folder / "X.torrent").write_bytes(whole)
    assert eventually(lambda: reasons.take(0.1, 100).hints) == ["X.torrent"]


@pytest.mark.fault("C14")
def test_a_dead_observer_is_replaced_by_the_next_check(
    folder: Path, reasons: Reasons, lines: Lines
) -> None:
    observers: list[BaseObserver] = []

    def factory() -> BaseObserver:
        observers.append(new_observer())
        return observers[-1]

    watcher = Watcher(folder, reasons, "events", local, factory)
    watcher.start()
    watcher.check()
    assert len(observers) == 1
    observers[0].stop()
    observers[0].join(20)
    watcher.check()
    assert len(observers) == 2
    assert observers[1].is_alive()
    assert lines() == [f"file events of {folder} had ended; watching again"]
    watcher.stop()
    assert not observers[1].is_alive()


def test_an_observer_that_cannot_stop_cleanly_is_let_go(
    folder: Path, reasons: Reasons, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    observer = silent()
    watcher = Watcher(folder, reasons, "events", local, lambda: observer)
    watcher.start()

    def broken() -> None:
        raise KeyError("bug")

    with monkeypatch.context() as patch:
        patch.setattr(observer, "on_thread_stop", broken)
        patch.setattr("jack.blackhole.watcher._JOIN_SECONDS", 0.01)
        watcher.stop()
    assert lines() == ["watchdog did not stop cleanly; going on"]
    observer.stop()
    observer.join(20)


def test_a_stopped_watcher_stays_stopped(folder: Path, reasons: Reasons) -> None:
    watcher = Watcher(folder, reasons, "events", local)
    before = threading.active_count()
    watcher.start()
    watcher.stop()
    watcher.stop()
    watcher.check()
    assert threading.active_count() == before


def test_the_platform_observer_is_taken_elsewhere_than_on_linux(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("jack.blackhole.watcher.sys.platform", "darwin")
    observer = new_observer()
    assert isinstance(observer, BaseObserver)
    observer.stop()


def test_only_events_that_can_complete_a_stub_are_asked_for() -> None:
    assert {FileClosedEvent, FileCreatedEvent} < set(EVENTS)
    assert not any("Opened" in kind.__name__ or "Modified" in kind.__name__ for kind in EVENTS)
