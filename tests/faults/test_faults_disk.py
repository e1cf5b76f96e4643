"""What the disk under completedPath can do to jack."""

from __future__ import annotations

import pytest

from jack.model import DownloadStatus, WaitReason
from tests.scenarios.harness import CHECKPOINT_BYTES, KIB, content, paused
from tests.support.hurt_jack import HurtJack
from tests.support.scripted_peer import ScriptedPeer, file_path

S = DownloadStatus
ITEM = "c:movie:1"
FILE = file_path(ITEM)
BODY = content(2 * 1024 * KIB)


def half_done(you: HurtJack, friend: ScriptedPeer, at: int = 700 * KIB) -> int:
    """A download that was under way when its jack was killed; returns the recorded offset."""
    friend.offer(ITEM, BODY, etag='"v1"')
    friend.script(FILE, paused(friend, at))
    you.drop("Film.torrent", friend.url, ITEM)
    you.start()
    you.row(1, S.DOWNLOADING, lambda row: row.downloaded_bytes > at - CHECKPOINT_BYTES)
    you.kill()
    return you.row(1).downloaded_bytes


# --- D10: the disk is not mounted ---


def unmounted(you: HurtJack) -> None:
    """An empty folder where the disk was."""
    you.completed.rename(you.folder / "disk")
    you.completed.mkdir()


@pytest.mark.fault("D10")
def test_a_disk_that_is_not_mounted_is_waited_for_and_nothing_starts_anew(
    you: HurtJack, friend: ScriptedPeer
) -> None:
    offset = half_done(you, friend)
    friend.offer("c:movie:2", BODY, filename="Other (2021).mkv")
    unmounted(you)
    you.drop("Other.torrent", friend.url, "c:movie:2")
    you.start()
    waiting = you.row(1, S.WAITING)
    you.row(2, S.WAITING)
    assert (waiting.downloaded_bytes, waiting.wait_reason) == (offset, WaitReason.STORAGE)
    assert "once the disk is mounted this goes on by itself" in (waiting.error or "")
    assert "`jack retry 1` starts anew" in (waiting.error or "")
    assert list(you.completed.iterdir()) == []
    examined = you.run("doctor")
    assert examined.returncode == 1
    assert f"FAIL {you.completed} is another folder than before" in examined.stdout
    assert you.log.count("its downloads wait") == 1
    you.completed.rmdir()
    (you.folder / "disk").rename(you.completed)
    you.row(1, S.COMPLETED)
    you.row(2, S.COMPLETED)
    asked = [request.range for request in friend.requests_to(FILE)]
    assert (asked[0], asked[-1], asked.count(None)) == (None, f"bytes={offset}-", 1)
    assert you.file().read_bytes() == BODY
    assert you.log.count("is as it was: its downloads go on") == 1
    assert you.stop() == 0


@pytest.mark.fault("D10")
@pytest.mark.parametrize("running", [True, False])
def test_a_folder_emptied_on_purpose_is_taken_as_it_is_after_one_command(
    you: HurtJack, friend: ScriptedPeer, running: bool
) -> None:
    half_done(you, friend)
    unmounted(you)
    you.start()
    you.row(1, S.WAITING)
    if not running:
        assert you.stop() == 0
    assert you.run("retry", "1").returncode == 0
    if not running:
        you.start()
    you.row(1, S.COMPLETED)
    assert you.file().read_bytes() == BODY
    assert friend.requests_to(FILE)[-1].range is None


@pytest.mark.fault("D10", "C20")
def test_a_part_removed_from_a_folder_that_is_there_starts_anew_by_itself(
    you: HurtJack, friend: ScriptedPeer
) -> None:
    half_done(you, friend)
    you.part().unlink()
    you.start()
    you.row(1, S.COMPLETED)
    assert you.file().read_bytes() == BODY
    assert "is gone" in you.log
