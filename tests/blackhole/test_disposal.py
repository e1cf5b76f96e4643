from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from jack.blackhole.disposal import (
    FAILED_FOLDER,
    park_failed_stub,
    recover_stubs,
    remove_stub,
)
from jack.blackhole.stub import MAX_STUB_BYTES
from jack.errors import StorageError
from jack.model import Stub

StubBytes = Callable[[int], bytes]
Lines = Callable[[], list[str]]


@pytest.fixture
def path(folder: Path, whole: bytes) -> Path:
    """A file that holds the fixture `stub`."""
    path = folder / "X.torrent"
    path.write_bytes(whole)
    return path


def refuse(*args: object, **kwargs: object) -> None:
    raise PermissionError(errno.EACCES, "Permission denied")


def test_a_stub_that_is_done_with_is_removed(path: Path, stub: Stub) -> None:
    assert remove_stub(path, stub)
    assert not path.exists()


@pytest.mark.fault("W11")
def test_a_stub_that_is_gone_already_counts_as_removed(folder: Path, stub: Stub) -> None:
    assert remove_stub(folder / "X.torrent", stub)
    assert remove_stub(folder / "no" / "X.torrent", stub)


How = Callable[[Path, bytes], object]


def replaced(path: Path, data: bytes) -> None:
    whole = path.with_name("whole")
    whole.write_bytes(data)
    whole.replace(path)


@pytest.mark.parametrize("how", [replaced, Path.write_bytes], ids=["replaced", "overwritten"])
@pytest.mark.parametrize("end", [remove_stub, park_failed_stub])
@pytest.mark.parametrize("parked", [False, True])
def test_a_newer_stub_that_comes_between_the_look_and_the_end_is_never_lost(
    path: Path,
    stub: Stub,
    whole: bytes,
    stub_bytes: StubBytes,
    monkeypatch: pytest.MonkeyPatch,
    how: How,
    end: Callable[[Path, Stub], object],
    parked: bool,
) -> None:
    if parked:
        (path.parent / FAILED_FOLDER).mkdir()
        (path.parent / FAILED_FOLDER / path.name).write_bytes(whole)
    for name in ("rename", "unlink", "replace"):
        real = getattr(os, name)

        def at_the_last_moment(*arguments: object, real: How = real) -> None:
            monkeypatch.undo()
            how(path, stub_bytes(77))
            real(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(os, name, at_the_last_moment)
    end(path, stub)
    assert path.read_bytes() == stub_bytes(77)
    assert {entry.name for entry in path.parent.iterdir()} <= {path.name, FAILED_FOLDER}


def test_of_two_newer_stubs_both_are_there(
    path: Path, stub: Stub, stub_bytes: StubBytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.rename

    def between(source: Path, target: Path) -> None:
        monkeypatch.undo()
        replaced(path, stub_bytes(77))
        real(source, target)
        path.write_bytes(stub_bytes(78))

    monkeypatch.setattr(os, "rename", between)
    assert remove_stub(path, stub)
    assert path.read_bytes() == stub_bytes(78)
    assert path.with_name("X (2).torrent").read_bytes() == stub_bytes(77)


def test_a_stub_that_somebody_is_about_to_write_into_comes_back(path: Path, stub: Stub) -> None:
    """.NET locks a file, and then empties it."""
    with path.open("rb+") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        assert remove_stub(path, stub)
        assert path.exists()
        assert park_failed_stub(path, stub) is None
    assert path.exists()


@pytest.mark.parametrize("done", [True, False])
def test_a_stub_that_a_crash_left_aside_goes_or_comes_back(
    path: Path, stub: Stub, whole: bytes, monkeypatch: pytest.MonkeyPatch, done: bool
) -> None:
    class Killed(BaseException):
        pass

    def kill(*arguments: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", kill)
        with pytest.raises(Killed):
            remove_stub(path, stub)
    assert not path.exists()
    recover_stubs(path.parent, lambda name, found: (name, found, done) == (path.name, stub, True))
    assert os.listdir(path.parent) == ([] if done else [path.name])
    assert done or path.read_bytes() == whole


@pytest.mark.parametrize("what", ["newer", "half", "foreign", "empty"])
def test_a_newer_content_of_the_name_is_left_alone(
    path: Path, stub: Stub, what: str, whole: bytes, foreign: bytes, stub_bytes: StubBytes
) -> None:
    data = {"newer": stub_bytes(2), "half": whole[:20], "foreign": foreign, "empty": b""}[what]
    path.write_bytes(data)
    assert remove_stub(path, stub)
    assert park_failed_stub(path, stub) is None
    assert path.read_bytes() == data
    assert os.listdir(path.parent) == ["X.torrent"]


def test_a_stub_replaced_between_reading_and_removing_is_left_alone(
    path: Path, stub: Stub, stub_bytes: StubBytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_close = os.close

    def close_then_overwrite(descriptor: int) -> None:
        real_close(descriptor)
        monkeypatch.undo()
        path.write_bytes(stub_bytes(77))

    monkeypatch.setattr(os, "close", close_then_overwrite)
    assert remove_stub(path, stub)
    assert path.read_bytes() == stub_bytes(77)


def test_a_folder_of_that_name_is_left_alone(folder: Path, stub: Stub) -> None:
    (folder / "X.torrent").mkdir()
    assert remove_stub(folder / "X.torrent", stub)
    assert (folder / "X.torrent").is_dir()


@pytest.mark.fault("D18")
def test_a_stub_that_cannot_be_removed_is_a_warning(
    path: Path, stub: Stub, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "unlink", refuse)
    assert not remove_stub(path, stub)
    [line] = lines()
    assert "X.torrent is done with but cannot be removed (Permission denied)" in line


def test_a_stub_that_cannot_be_read_is_not_removed_on_suspicion(
    path: Path, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        assert not remove_stub(path, stub)
    assert path.exists()


def test_a_stub_removed_by_somebody_else_in_between_counts_as_removed(
    path: Path, stub: Stub, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(path: object) -> None:
        raise FileNotFoundError(errno.ENOENT, "gone")

    monkeypatch.setattr(os, "unlink", gone)
    assert remove_stub(path, stub)
    assert lines() == []


def test_a_failed_stub_moves_to_the_failed_folder(path: Path, stub: Stub, whole: bytes) -> None:
    parked = park_failed_stub(path, stub)
    assert parked == path.parent / FAILED_FOLDER / "X.torrent"
    assert parked.read_bytes() == whole
    assert not path.exists()


def test_a_stub_that_is_not_there_cannot_be_parked(folder: Path, stub: Stub) -> None:
    assert park_failed_stub(folder / "X.torrent", stub) is None
    assert os.listdir(folder) == []


def test_the_same_stub_parked_before_is_replaced(path: Path, stub: Stub, whole: bytes) -> None:
    first = park_failed_stub(path, stub)
    path.write_bytes(whole)
    assert park_failed_stub(path, stub) == first
    assert os.listdir(path.parent / FAILED_FOLDER) == ["X.torrent"]
    assert not path.exists()


def test_a_move_that_was_cut_off_between_link_and_unlink_is_finished(
    path: Path, stub: Stub
) -> None:
    parked = path.parent / FAILED_FOLDER / "X.torrent"
    parked.parent.mkdir()
    os.link(path, parked)
    assert park_failed_stub(path, stub) == parked
    assert not path.exists()


def test_another_parked_file_of_that_name_is_never_replaced(
    path: Path, stub: Stub, whole: bytes, foreign: bytes, stub_bytes: StubBytes
) -> None:
    failed = path.parent / FAILED_FOLDER
    failed.mkdir()
    (failed / "X.torrent").write_bytes(foreign)
    (failed / "X (2).torrent").write_bytes(stub_bytes(2))
    assert park_failed_stub(path, stub) == failed / "X (3).torrent"
    path.write_bytes(whole)
    assert park_failed_stub(path, stub) == failed / "X (3).torrent"
    assert (failed / "X.torrent").read_bytes() == foreign
    assert (failed / "X (2).torrent").read_bytes() == stub_bytes(2)


def test_a_number_still_fits_behind_the_longest_name(
    folder: Path, stub: Stub, whole: bytes, foreign: bytes
) -> None:
    name = "ä" * 123 + "x" + ".torrent"
    (folder / name).write_bytes(whole)
    (folder / FAILED_FOLDER).mkdir()
    (folder / FAILED_FOLDER / name).write_bytes(foreign)
    parked = park_failed_stub(folder / name, stub)
    assert parked is not None
    assert parked.name == "ä" * 121 + " (2).torrent"
    assert parked.read_bytes() == whole


def test_a_name_in_any_bytes_is_parked_under_the_same_bytes(
    folder: Path, stub: Stub, whole: bytes
) -> None:
    path = folder / os.fsdecode(b"\xff.torrent")
    path.write_bytes(whole)
    parked = park_failed_stub(path, stub)
    assert parked is not None
    assert os.fsencode(parked.name) == b"\xff.torrent"


def test_a_file_in_place_of_the_failed_folder_is_a_warning(
    path: Path, stub: Stub, lines: Lines
) -> None:
    (path.parent / FAILED_FOLDER).write_text("somebody's notes")
    assert park_failed_stub(path, stub) is None
    assert path.exists()
    [line] = lines()
    assert "X.torrent cannot be moved to failed/ (File exists)" in line


def test_a_disk_that_refuses_is_a_warning(
    path: Path, stub: Stub, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "rename", refuse)
    assert park_failed_stub(path, stub) is None
    [line] = lines()
    assert "(Permission denied); it stays where it is" in line


def test_a_disk_that_cannot_sync_the_folder_still_takes_the_stub(
    path: Path, stub: Stub, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse_sync(folder: object) -> None:
        raise StorageError("cannot sync the folder")

    monkeypatch.setattr("jack.blackhole.disposal.fsync_directory", refuse_sync)
    assert park_failed_stub(path, stub) == path.parent / FAILED_FOLDER / path.name
    assert not path.exists()


def test_a_stub_is_never_seen_in_both_places(
    path: Path, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever moved it back from `failed/` onto its own second name would move nothing."""
    seen: list[tuple[bool, bool]] = []
    parked = path.parent / FAILED_FOLDER / path.name
    for name in ("replace", "rename", "link", "unlink"):
        real = getattr(os, name)

        def watched(*arguments: object, real: Callable[..., None] = real) -> None:
            real(*arguments)
            seen.append((path.exists(), parked.exists()))

        monkeypatch.setattr(os, name, watched)
    assert park_failed_stub(path, stub) == parked
    assert seen == [(False, True)]


def test_a_stub_that_vanishes_while_it_is_moved_is_no_trouble(
    path: Path, stub: Stub, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(source: object, target: object) -> None:
        raise FileNotFoundError(errno.ENOENT, "gone")

    monkeypatch.setattr(os, "rename", gone)
    assert park_failed_stub(path, stub) is None
    assert lines() == []


def test_a_name_taken_over_and_over_ends_in_a_warning(
    path: Path, stub: Stub, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jack.support.aside.MAX_COPIES", 1)
    failed = path.parent / FAILED_FOLDER
    failed.mkdir()
    for name in ("X.torrent", "X (2).torrent"):
        (failed / name).write_bytes(b"somebody else's")
    assert park_failed_stub(path, stub) is None
    [line] = lines()
    assert "too many files of that name" in line


def test_a_failed_folder_that_is_a_link_is_not_followed(
    path: Path, stub: Stub, whole: bytes, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (path.parent / FAILED_FOLDER).symlink_to(elsewhere)
    assert park_failed_stub(path, stub) is None
    assert path.read_bytes() == whole
    assert list(elsewhere.iterdir()) == []


def test_a_file_that_is_too_large_for_a_stub_is_none(path: Path, stub: Stub, whole: bytes) -> None:
    path.write_bytes(whole + b"\n" * MAX_STUB_BYTES)
    assert park_failed_stub(path, stub) is None
    assert remove_stub(path, stub)
    assert path.exists()
