"""One jack per state folder, whatever happens to the first one."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from pathlib import Path

import pytest

from jack.errors import AlreadyRunning, StateError
from jack.store.lock import StateLock


@pytest.mark.fault("C10")
def test_a_second_jack_is_refused_and_told_the_pid_of_the_first(tmp_path: Path) -> None:
    first = StateLock(tmp_path)
    first.acquire()
    try:
        with pytest.raises(AlreadyRunning, match=str(os.getpid())) as refusal:
            StateLock(tmp_path).acquire()
        assert refusal.value.exit_code == 3
    finally:
        first.release()
    second = StateLock(tmp_path)
    second.acquire()
    second.release()


@pytest.mark.fault("C10")
def test_the_lock_is_free_after_its_holder_was_killed(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        StateLock(tmp_path).acquire()
        os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    lock = StateLock(tmp_path)
    lock.acquire()
    lock.release()


@pytest.mark.fault("C11")
def test_a_file_system_without_locks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(StateError, match="does not support locks"):
        StateLock(tmp_path).acquire()


def test_a_folder_that_cannot_be_written_is_named_with_the_uid(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match=f"uid {os.getuid()}"):
        StateLock(tmp_path / "file" / "state").acquire()


def test_to_ask_whether_it_is_held_makes_and_changes_nothing(tmp_path: Path) -> None:
    lock = StateLock(tmp_path)
    assert not lock.is_held()
    assert list(tmp_path.iterdir()) == []
    holder = StateLock(tmp_path)
    holder.acquire()
    before = lock.path.stat().st_mtime_ns
    assert lock.is_held()
    holder.release()
    assert not lock.is_held()
    assert lock.path.stat().st_mtime_ns == before


def test_commands_that_ask_keep_neither_each_other_nor_a_jack_that_starts_waiting(
    tmp_path: Path,
) -> None:
    """One that asks has the lock for a moment; here for as long as the start is tried."""
    lock = StateLock(tmp_path)
    lock.acquire()
    lock.release()
    descriptor = os.open(lock.path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    assert not StateLock(tmp_path).is_held()
    asking = threading.Timer(0.05, os.close, [descriptor])
    asking.start()
    lock.acquire()
    lock.release()
    asking.join()
