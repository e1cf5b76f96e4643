"""What the end of a download touches on disk, and what it leaves alone."""

from __future__ import annotations

import fcntl
import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from jack.downloads.settling import Settling
from jack.model import Download, DownloadStatus
from tests.downloads.world import World

S = DownloadStatus
FRIEND = "http://127.0.0.1:9"


@pytest.fixture
def settling(running: World) -> Settling:
    return Settling(running.downloads, running.watch)


@pytest.fixture
def failed(running: World) -> Download:
    """A failed row with a `.part` and its stub still in the watch folder."""
    running.completed.mkdir()
    row = running.row_of(FRIEND)
    row.part_path.write_bytes(b"x" * 100)
    running.downloads.checkpoint(row.id, 100)
    running.downloads.fail(row.id, "gone")
    running.drop(FRIEND, "c:movie:1", "stub-1")
    return running.row()


def test_a_cancel_removes_part_and_claim_of_bytes_and_parks_the_stub(
    running: World, settling: Settling, failed: Download
) -> None:
    assert settling.cancel(failed, "cancelled by the user")
    row = running.row()
    assert (row.status, row.downloaded_bytes, row.stub_present) == (S.CANCELLED, 0, False)
    assert not failed.part_path.exists()
    assert running.parked == ["stub-1.torrent"]


@pytest.mark.fault("R7")
def test_a_cancel_of_what_is_complete_does_nothing(running: World, settling: Settling) -> None:
    row = running.row_of(FRIEND)
    running.downloads.complete(row.id, 1000)
    assert not settling.cancel(row, "cancelled by the user")
    assert running.row().status is S.COMPLETED


def test_a_part_that_a_newer_download_has_taken_over_stays(
    running: World, settling: Settling, failed: Download
) -> None:
    running.row_of(FRIEND, 2, filename="film-1.mkv")
    assert settling.cancel(failed, "cancelled by the user")
    assert failed.part_path.exists()


@pytest.mark.parametrize("kind", ["folder", "symlink", "nothing"])
def test_what_is_not_a_plain_part_stays(
    running: World, settling: Settling, failed: Download, tmp_path: Path, kind: str
) -> None:
    failed.part_path.unlink()
    precious = tmp_path / "precious"
    precious.write_text("precious")
    if kind == "folder":
        failed.part_path.mkdir()
    elif kind == "symlink":
        failed.part_path.symlink_to(precious)
    assert settling.cancel(failed, "cancelled by the user")
    assert failed.part_path.is_symlink() == (kind == "symlink")
    assert failed.part_path.is_dir() == (kind == "folder")
    assert precious.read_text() == "precious"


@pytest.fixture
def growing(running: World) -> Download:
    """A download whose `.part` is on record: what a jack that was killed has left."""
    running.completed.mkdir(exist_ok=True)
    row = running.row_of(FRIEND, 2)
    row.part_path.write_bytes(b"x" * 100)
    running.downloads.expect(row.id, None, None, row.part_path.stat().st_ino)
    running.downloads.checkpoint(row.id, 100)
    return running.row(row.id)


def test_a_cancel_removes_the_part_that_is_on_record(
    running: World, settling: Settling, growing: Download
) -> None:
    assert settling.cancel(growing, "cancelled by the user")
    assert not growing.part_path.exists()
    assert running.row(growing.id).part_inode is None


def test_a_cancel_leaves_a_part_alone_that_a_download_found_and_did_not_make(
    running: World, settling: Settling
) -> None:
    """`Mine.mkv.part`, or what another jack is fetching into the same folder."""
    running.completed.mkdir()
    row = running.row_of(FRIEND)
    row.part_path.write_bytes(b"mine")
    assert settling.cancel(row, "cancelled by the user")
    assert row.part_path.read_bytes() == b"mine"


@pytest.mark.parametrize("kind", ["another file", "hard link", "symbolic link", "locked"])
def test_a_cancel_leaves_what_is_not_its_own_file_alone_and_says_why(
    running: World,
    settling: Settling,
    growing: Download,
    tmp_path: Path,
    lines: Callable[[], list[str]],
    kind: str,
) -> None:
    part, aside = growing.part_path, tmp_path / "aside"
    lock = part.open("rb")
    if kind == "hard link":
        os.link(part, aside)
    elif kind == "locked":
        fcntl.flock(lock, fcntl.LOCK_EX)
    else:
        part.rename(aside)
        if kind == "symbolic link":
            part.symlink_to(aside)
        else:
            part.write_bytes(b"y" * 100)
    assert settling.cancel(growing, "cancelled by the user")
    lock.close()
    assert os.path.lexists(part)
    assert running.row(growing.id).status is S.CANCELLED
    said = any("is left alone" in line for line in lines())
    assert said == (kind in {"hard link", "locked"}), "of a stranger's file there is nothing to say"


def test_a_cancel_where_case_does_not_matter_leaves_the_other_spelling_alone(
    running: World, settling: Settling, growing: Download, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What opens under `film-2.mkv.part` is listed as `FILM-2.MKV.PART`: by its name it is somebody
    else's, whatever its inode."""
    monkeypatch.setattr(os, "listdir", lambda folder: [growing.part_path.name.upper()])
    assert settling.cancel(growing, "cancelled by the user")
    monkeypatch.undo()
    assert growing.part_path.exists()


def test_a_cancel_where_letters_are_stored_decomposed_still_removes_the_part(
    running: World, settling: Settling, monkeypatch: pytest.MonkeyPatch
) -> None:
    running.completed.mkdir()
    row = running.row_of(FRIEND, 3, filename="Am\u00e9lie.mkv")
    row.part_path.write_bytes(b"x")
    running.downloads.expect(row.id, None, None, row.part_path.stat().st_ino)
    listed = unicodedata.normalize("NFD", row.part_path.name)
    monkeypatch.setattr(os, "listdir", lambda folder: [listed])
    assert settling.cancel(running.row(row.id), "cancelled by the user")
    monkeypatch.undo()
    assert not row.part_path.exists()


def test_without_a_watch_folder_in_the_config_stubs_are_left_alone(
    running: World, failed: Download
) -> None:
    settling = Settling(running.downloads, None)
    settling.remove_stub(failed)
    settling.park_stub(failed)
    settling.flush()
    assert (running.watch / "stub-1.torrent").exists()
    assert running.parked == []
    assert running.row().stub_present


def test_a_stub_of_that_name_that_says_something_else_is_left_alone(
    running: World, settling: Settling, failed: Download
) -> None:
    running.drop(FRIEND, "c:movie:another", "stub-1")
    settling.remove_stub(failed)
    settling.park_stub(failed)
    assert (running.watch / "stub-1.torrent").exists()
    assert running.parked == []
