"""What the end of a download touches on disk, and what it leaves alone."""

from __future__ import annotations

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
