"""When a folder is the one it was, and when an empty one in its place must not be believed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from jack.errors import StorageError
from jack.model import Download
from jack.store.database import Database
from jack.store.downloads import Downloads
from jack.store.facts import Facts
from jack.store.volumes import Volumes

Make = Callable[..., Download]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "completed"
    path.mkdir()
    return path


@pytest.fixture
def mounts(tmp_path: Path) -> dict[str, str]:
    """What is said to be mounted where the folder is."""
    return {"at": "/"}


@pytest.fixture
def look(downloads: Downloads, database: Database, mounts: dict[str, str]) -> Callable[[], Volumes]:
    """A newly started jack."""
    return lambda: Volumes(downloads, Facts(database), lambda folder: mounts["at"])


def replace(folder: Path) -> None:
    folder.rename(folder.with_name("away"))
    folder.mkdir()


def under_way(make: Make, downloads: Downloads, folder: Path, with_part: bool = True) -> Download:
    row = make()
    downloads.checkpoint(row.id, 500)
    if with_part:
        row.part_path.write_bytes(b"x" * 600)
    return row


@pytest.mark.fault("D10")
def test_a_folder_seen_for_the_first_time_is_taken(
    look: Callable[[], Volumes], folder: Path, make: Make, downloads: Downloads
) -> None:
    under_way(make, downloads, folder, with_part=False)
    assert not look().knows(folder)
    assert look().check(folder) is None
    assert look().knows(folder)


@pytest.mark.fault("D10")
def test_another_folder_without_anything_that_should_be_there_is_not(
    look: Callable[[], Volumes], folder: Path, make: Make, downloads: Downloads
) -> None:
    row = under_way(make, downloads, folder)
    look().check(folder)
    replace(folder)
    for _ in range(2):
        assert "is another folder than before" in (look().check(folder) or "")
    (folder / row.part_path.name).write_bytes(b"restored")
    assert look().check(folder) is None


@pytest.mark.fault("D10")
def test_another_folder_is_taken_when_nothing_could_be_lost(
    look: Callable[[], Volumes], folder: Path, make: Make, downloads: Downloads
) -> None:
    make()
    look().check(folder)
    replace(folder)
    assert look().check(folder) is None


@pytest.mark.fault("D10")
def test_a_mount_point_without_its_mount_is_not_taken_even_when_nothing_could_be_lost(
    look: Callable[[], Volumes], folder: Path, mounts: dict[str, str]
) -> None:
    mounts["at"] = str(folder)
    look().check(folder)
    replace(folder)
    mounts["at"] = "/"
    assert f"not mounted at {folder}" in (look().check(folder) or "")
    volumes = look()
    volumes.accept(folder)
    assert volumes.check(folder) is None
    assert look().check(folder) is None


@pytest.mark.fault("D10")
def test_a_folder_that_only_changed_its_mount_point_is_the_same(
    look: Callable[[], Volumes], folder: Path, mounts: dict[str, str]
) -> None:
    """A service manager puts bind mounts of its own around a service."""
    mounts["at"] = str(folder)
    look().check(folder)
    mounts["at"] = "/"
    assert look().check(folder) is None


@pytest.mark.fault("D10")
def test_a_finished_file_is_not_called_imported_because_its_disk_is_away(
    look: Callable[[], Volumes], folder: Path, make: Make, downloads: Downloads
) -> None:
    row = make()
    row.dest_path.write_bytes(b"x" * 1000)
    downloads.complete(row.id, 1000)
    look().check(folder)
    assert not look().is_gone(row.dest_path)
    replace(folder)
    assert not look().is_gone(row.dest_path)
    folder.rmdir()
    assert not look().is_gone(row.dest_path)
    folder.with_name("away").rename(folder)
    row.dest_path.unlink()
    assert look().is_gone(row.dest_path)


@pytest.mark.fault("D10")
def test_a_database_that_does_not_answer_proves_nothing(
    look: Callable[[], Volumes], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(self: Facts, name: str) -> str:
        raise StorageError("locked")

    monkeypatch.setattr(Facts, "get", locked)
    assert not look().is_gone(folder / "film.mkv")


@pytest.mark.fault("D10")
def test_a_folder_that_is_not_there_is_left_to_those_who_use_it(
    look: Callable[[], Volumes], folder: Path
) -> None:
    look().check(folder)
    folder.rmdir()
    volumes = look()
    assert volumes.check(folder) is None
    volumes.accept(folder)
    assert volumes.knows(folder)


@pytest.mark.fault("C19", "C20")
def test_parts_without_a_download_are_named_and_those_of_one_are_not(
    look: Callable[[], Volumes], folder: Path, make: Make, downloads: Downloads
) -> None:
    under_way(make, downloads, folder)
    failed = under_way(make, downloads, folder)
    downloads.fail(failed.id, "no")
    (folder / "stranger.mkv.part").write_bytes(b"x")
    (folder / os.fsdecode(b"\xff.mkv.part")).write_bytes(b"x")
    (folder / "film.mkv").write_bytes(b"x")
    assert look().unknown_parts(folder) == ["\\xff.mkv.part", "stranger.mkv.part"]
    assert look().unknown_parts(folder / "missing") == []
