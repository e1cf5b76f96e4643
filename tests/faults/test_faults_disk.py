"""What the disk under completedPath can do to jack."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jack.errors import PermanentError
from jack.model import DownloadStatus, WaitReason
from jack.support.files import is_listed
from tests.scenarios.harness import CHECKPOINT_BYTES, KIB, content, paused
from tests.support.hurt_jack import (
    HurtJack,
    injecting,
    needs_namespaces,
    needs_strace,
    on_tiny_disk,
    with_umask,
)
from tests.support.scripted_peer import ScriptedPeer, file_path
from tests.support.waiting import eventually
from tests.transfer.rig import ITEM as RIG_ITEM
from tests.transfer.rig import Rig

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


# --- the disk says no, for real: faults at the system calls of a whole jack ---

WRITES = "pwrite64,splice,write"
SYNCS = "fsync,fdatasync"
RENAMES = "link,linkat,rename,renameat,renameat2"


@pytest.mark.fault("D2", "D3", "D5", "D6", "D9")
@pytest.mark.parametrize(
    ("calls", "error", "said"),
    [
        (WRITES, "EDQUOT", "quota"),
        (WRITES, "ENOSPC", "No space left"),
        (WRITES, "EIO", "Input/output error"),
        (SYNCS, "EIO", "Input/output error"),
        (RENAMES, "EROFS", "Read-only file system"),
    ],
)
def test_a_disk_that_refuses_is_waited_for_and_blamed_on_nobody_else(
    you: HurtJack, friend: ScriptedPeer, calls: str, error: str, said: str
) -> None:
    needs_strace()
    friend.offer(ITEM, BODY, etag='"v1"')
    friend.always(
        FILE,
        lambda request: replace(
            friend.honest(request), piece_bytes=64 * KIB, piece_pause_seconds=0.01
        ),
    )
    you.drop("Film.torrent", friend.url, ITEM)
    # strace counts per thread: the second sync of each fails, the first writes and renames of one.
    when = "2" if calls == SYNCS else "1..2"
    you.prefix = injecting(f"{calls}:error={error}:when={when}", paths=(you.part(),))
    you.start()
    row = you.row(1, S.COMPLETED)
    assert (row.attempts, row.fruitless_attempts) == (1, 0)
    assert you.file().read_bytes() == BODY
    troubles = [line for line in you.log.splitlines() if said in line]
    assert 1 <= len(troubles) <= 3, "said once, not at every try"
    assert all("download 1" in line for line in troubles)
    assert "Traceback" not in you.log
    assert you.stop() == 0


@pytest.mark.fault("D7", "D17")
@pytest.mark.parametrize(
    ("calls", "error"),
    [
        ("link,linkat", "EPERM"),
        ("fchmod", "EPERM"),
    ],
)
def test_what_a_simple_file_system_cannot_do_is_done_without(
    you: HurtJack, friend: ScriptedPeer, calls: str, error: str
) -> None:
    needs_strace()
    friend.offer(ITEM, BODY)
    you.drop("Film.torrent", friend.url, ITEM)
    you.prefix = injecting(f"{calls}:error={error}", paths=(you.part(),))
    you.start()
    you.row(1, S.COMPLETED)
    assert you.file().read_bytes() == BODY
    assert not you.part().exists()
    assert "WARNING jack.transfer" not in you.log


@pytest.mark.fault("D7")
def test_a_folder_that_cannot_be_synced_is_gone_on_without(
    you: HurtJack, friend: ScriptedPeer
) -> None:
    needs_strace()
    friend.offer(ITEM, BODY)
    you.drop("Film.torrent", friend.url, ITEM)
    you.prefix = injecting(f"{SYNCS}:error=EINVAL", paths=(you.completed,))
    you.start()
    you.row(1, S.COMPLETED)
    assert you.file().read_bytes() == BODY


@pytest.mark.fault("D2", "D1")
def test_a_disk_that_fills_up_in_the_middle_holds_everybody_until_there_is_room(
    you: HurtJack, friend: ScriptedPeer
) -> None:
    needs_namespaces()
    gate = threading.Event()
    friend.offer(ITEM, BODY, etag='"v1"')
    friend.offer("c:movie:2", BODY, filename="Other (2021).mkv")
    friend.script(FILE, paused(friend, 700 * KIB, gate))
    you.prefix = on_tiny_disk(you.completed, "6m")
    you.drop("Film.torrent", friend.url, ITEM)
    you.start()
    you.row(1, S.DOWNLOADING, lambda row: row.downloaded_bytes > 500 * KIB)
    filler = you.inside(you.completed) / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    gate.set()
    you.drop("Other.torrent", friend.url, "c:movie:2")
    for number in (1, 2):
        row = you.row(number, S.WAITING)
        assert (row.wait_reason, row.attempts) == (WaitReason.SPACE, 0)
    kept = you.row(1).downloaded_bytes
    assert kept > 600 * KIB
    assert not (you.inside(you.completed) / you.file().name).exists()
    filler.unlink()
    you.row(2, S.COMPLETED)
    assert you.row(1, S.COMPLETED).attempts == 1
    assert (you.inside(you.completed) / you.file().name).read_bytes() == BODY
    assert friend.requests_to(FILE)[-1].range == f"bytes={kept}-"
    assert you.stop() == 0


@pytest.mark.fault("D8")
def test_watch_folder_and_completed_folder_may_be_on_different_disks(
    you: HurtJack, friend: ScriptedPeer
) -> None:
    """The `.part` lies beside its file, so the last step is a rename and never a copy."""
    needs_namespaces()
    friend.offer(ITEM, BODY)
    you.drop("Film.torrent", friend.url, ITEM)
    you.drop("Missing.torrent", friend.url, "c:movie:2")
    you.prefix = on_tiny_disk(you.completed, "6m")
    you.start()
    you.row(1, S.COMPLETED)
    assert (you.inside(you.completed) / you.file().name).read_bytes() == BODY
    eventually(lambda: (you.failed / "Missing.torrent").exists(), what="the parked stub")
    assert you.stop() == 0


@pytest.mark.fault("D9", "D10")
def test_a_read_only_disk_is_waited_for_and_so_is_one_that_was_mounted_before(
    you: HurtJack, friend: ScriptedPeer
) -> None:
    needs_namespaces()
    friend.offer(ITEM, BODY)
    you.drop("Film.torrent", friend.url, ITEM)
    remount = f'mount -t tmpfs tiny "{you.completed}" && mount -o remount,ro "{you.completed}"'
    you.completed.mkdir()
    you.prefix = ("unshare", "-Urm", "sh", "-c", f'{remount} && exec "$@"', "sh")
    you.start()
    row = you.row(1, S.WAITING)
    assert (row.wait_reason, row.attempts) == (WaitReason.STORAGE, 0)
    assert "Read-only file system" in (row.error or "")
    assert you.stop() == 0
    you.prefix = ()
    you.start()
    absent = f"the disk of {you.completed} is not mounted at {you.completed}"
    you.row(1, S.WAITING, lambda row: absent in (row.error or ""))
    assert list(you.completed.iterdir()) == []
    assert you.run("retry", "1").returncode == 0
    you.row(1, S.COMPLETED)
    assert you.file().read_bytes() == BODY


@pytest.mark.fault("D17")
def test_a_finished_file_has_the_mode_of_the_config_whatever_the_umask(
    you: HurtJack, friend: ScriptedPeer
) -> None:
    friend.offer(ITEM, BODY)
    you.configure(downloads={"fileMode": "0640"})
    you.drop("Film.torrent", friend.url, ITEM)
    you.prefix = with_umask(0o077)
    you.start()
    you.row(1, S.COMPLETED)
    assert stat.S_IMODE(you.file().stat().st_mode) == 0o640


@pytest.mark.fault("D18")
def test_a_stub_that_cannot_be_removed_is_worked_on_once_and_said_once(
    you: HurtJack, friend: ScriptedPeer
) -> None:
    friend.offer(ITEM, BODY)
    you.configure(downloads={"rescanIntervalMs": 100})
    stub = you.drop("Film.torrent", friend.url, ITEM)
    you.patches += (
        "\nimport os\nreal = os.unlink\ndef refuse(path, *rest, **more):\n"
        "    if str(path).endswith('.torrent'): raise PermissionError(13, 'Permission denied')\n"
        "    return real(path, *rest, **more)\nos.unlink = refuse"
    )
    for _ in range(2):
        you.start()
        you.row(1, S.COMPLETED)
        eventually(lambda: "cannot be removed" in you.log)
        friend.offer("c:movie:2", BODY[:1000], filename="Later.mkv")
        later = you.drop("Later.torrent", friend.url, "c:movie:2")
        eventually(lambda: "Later.mkv): complete" in you.log, what="a few scans")
        later.unlink()
        assert you.stop() == 0
    assert stub.exists()
    assert len([row for row in you.rows() if row.item_id == ITEM]) == 1
    assert len(friend.requests_to(FILE)) == 1
    assert you.log.count("stub Film.torrent is done with but cannot be removed") == 2, (
        "once a start"
    )


# --- D19: names that differ in case only ---


@pytest.mark.fault("D19")
def test_where_case_does_not_matter_another_downloads_part_is_left_alone(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.peer.offer(RIG_ITEM, BODY)
    other = rig.part.with_name(rig.part.name.upper())
    other.write_bytes(b"another download's")
    real = os.open

    def folding(path: Any, *rest: Any, **more: Any) -> int:
        return real(other if path == rig.part else path, *rest, **more)

    monkeypatch.setattr(os, "open", folding)
    with pytest.raises(PermanentError, match="differs in case only"):
        rig.attempt()
    assert other.read_bytes() == b"another download's"
    assert [path.name for path in rig.folder.iterdir()] == [other.name]


@pytest.mark.fault("D19")
def test_a_file_system_that_stores_letters_decomposed_still_knows_its_file(tmp_path: Path) -> None:
    (tmp_path / "Ame\u0301lie.mkv").touch()
    (tmp_path / "Film.mkv").touch()
    assert is_listed(tmp_path / "Am\u00e9lie.mkv")
    assert is_listed(tmp_path / "Film.mkv")
    assert not is_listed(tmp_path / "film.mkv")
    assert is_listed(tmp_path / "missing" / "film.mkv")
