"""The scanner of the scenarios sees a partial file when there is one: else it would say nothing."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.watch_folder_scanner import WatchFolderScanner


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "completed"
    made.mkdir()
    return made


def looked(folder: Path, *between: Callable[[], object]) -> WatchFolderScanner:
    """After one look before, one after each of `between`."""
    scanner = WatchFolderScanner(folder)
    scanner.look()
    for step in between:
        step()
        scanner.look()
    return scanner


def nothing() -> None:
    """Time goes by."""


def grow(path: Path) -> Callable[[], object]:
    def append() -> None:
        with path.open("ab") as file:
            file.write(b"more")

    return append


def test_a_partial_file_that_stands_still_for_one_look_is_taken_for_complete(folder: Path) -> None:
    film = folder / "film.mkv"
    film.write_bytes(b"half")
    scanner = looked(folder, nothing, grow(film))
    assert [(one.path, one.sha256) for one in scanner.importable] == [
        (film, hashlib.sha256(b"half").hexdigest())
    ]
    assert scanner.sightings == {"film.mkv": {4, 8}}


def test_a_file_that_changes_between_all_looks_is_never_complete(folder: Path) -> None:
    film = folder / "film.mkv"
    film.write_bytes(b"half")
    assert looked(folder, grow(film), grow(film), grow(film)).importable == []


def test_a_file_is_taken_once_per_state(folder: Path) -> None:
    film = folder / "film.mkv"
    film.write_bytes(b"half")
    scanner = looked(folder, nothing, nothing, grow(film), nothing, nothing)
    assert len(scanner.importable) == 2


def test_a_locked_file_is_still_downloading(folder: Path) -> None:
    film = folder / "film.mkv"
    film.write_bytes(b"half")
    with film.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert looked(folder, nothing, nothing).importable == []


@pytest.mark.parametrize(
    "name", [".film.mkv", "FILM.MKV", ".jack-tmp/film.mkv", "film.ts", "a/b/film.iso"]
)
def test_a_leading_dot_or_a_folder_hides_nothing(folder: Path, name: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    assert [one.path for one in looked(folder, nothing).importable] == [path]


@pytest.mark.parametrize(
    "name", ["film.mkv.part", "._film.mkv", "film-sample-trailer.mkv", "film.nfo", ".DS_Store"]
)
def test_what_is_no_video_is_not_seen(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"x")
    scanner = looked(folder, nothing)
    assert scanner.sightings == {}
    assert scanner.ignored == {name}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_stops_the_folder(folder: Path) -> None:
    (folder / "film.mkv").write_bytes(b"x")
    (folder / "film.mkv").chmod(0)
    with pytest.raises(PermissionError):
        looked(folder, nothing)


def test_the_thread_looks_by_itself_and_hands_over_what_is_complete(folder: Path) -> None:
    film = folder / "film.mkv"
    film.write_bytes(b"x")
    taken: list[Path] = []

    def take(path: Path) -> None:
        taken.append(path)
        path.unlink()

    with WatchFolderScanner(folder, take) as scanner:
        scanner.pass_by()
    assert taken == [film]


def test_an_error_of_the_thread_reaches_the_test(folder: Path) -> None:
    (folder / "film.mkv").write_bytes(b"x")

    def fail(path: Path) -> None:
        raise ValueError(path.name)

    with pytest.raises(ValueError, match=r"film\.mkv"), WatchFolderScanner(folder, fail) as scanner:
        scanner.pass_by()
