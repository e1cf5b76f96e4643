"""What an attempt makes of the disk as it finds it, and how a complete file gets its name."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from jack.errors import Interrupted, NameTaken, PermanentError, StorageError
from jack.model import Validator
from jack.support import files
from jack.support.own import Maker
from jack.transfer import part as part_module
from tests.support.scripted_peer import ScriptedPeer
from tests.support.waiting import eventually
from tests.transfer.rig import ETAG, FILE, ITEM, Rig, Running, film

BODY = film(300_000)


@pytest.fixture(autouse=True)
def offered(peer: ScriptedPeer) -> None:
    peer.offer(ITEM, BODY, etag=ETAG)


@pytest.mark.fault("D17")
def test_a_file_arrives_complete_with_its_mode_whatever_the_umask(rig: Rig) -> None:
    before = os.umask(0o077)
    try:
        outcome = rig.attempt()
    finally:
        os.umask(before)
    assert (outcome.size, outcome.restarted) == (len(BODY), False)
    assert rig.dest.read_bytes() == BODY
    assert rig.dest.stat().st_mode & 0o7777 == 0o664
    assert os.listdir(rig.folder) == [rig.dest.name]
    assert rig.row.events[-1] == ("checkpoint", len(BODY))
    assert (rig.row.expected, rig.row.source) == (len(BODY), "content_length")
    assert rig.row.validator == Validator(ETAG)


@pytest.mark.parametrize("kind", ["pipe", "link", "dangling link", "folder", "socket"])
def test_what_is_no_plain_file_in_place_of_the_part_is_left_alone(rig: Rig, kind: str) -> None:
    target = rig.folder / "precious"
    if kind == "pipe":
        os.mkfifo(rig.part)
    elif kind == "folder":
        rig.part.mkdir()
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(str(rig.part))
    else:
        rig.part.symlink_to(target)
        if kind == "link":
            target.write_bytes(b"precious")
    mode = os.lstat(rig.part).st_mode
    with pytest.raises(PermanentError, match=r"\.part is not a plain file"):
        rig.attempt()
    assert os.lstat(rig.part).st_mode == mode
    assert target.exists() is (kind == "link") and (
        kind != "link" or target.read_bytes() == b"precious"
    )
    assert rig.asked() == []


@pytest.mark.parametrize("unnamed", [True, False])
def test_the_inode_is_on_record_before_the_first_byte(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, unnamed: bool
) -> None:
    """`Row.made` looks at the `.part`; a file without a name is there on most disks only."""
    if not unnamed:
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    rig.attempt()
    kinds = rig.row.kinds()
    assert kinds.count("made") == 1
    assert kinds.index("made") < kinds.index("checkpoint")
    assert rig.row.part_inode == rig.dest.stat().st_ino


@pytest.mark.parametrize("kind", ["empty", "longer", "shorter"])
@pytest.mark.parametrize("had", [0, 1000])
def test_a_part_that_another_made_is_neither_cut_nor_written(rig: Rig, kind: str, had: int) -> None:
    if had:
        rig.had(BODY[:had], expected=len(BODY), etag=ETAG)
        rig.part.rename(rig.folder / "mine")
    theirs = {"empty": b"", "longer": b"theirs" * 1000, "shorter": b"th"}[kind]
    rig.part.write_bytes(theirs)
    with pytest.raises(NameTaken, match="leaves it alone"):
        rig.attempt()
    assert rig.part.read_bytes() == theirs
    assert rig.asked() == []


@pytest.mark.parametrize("unnamed", [True, False])
def test_a_part_that_another_makes_at_the_same_moment_is_left_alone(
    rig: Rig, peer: ScriptedPeer, monkeypatch: pytest.MonkeyPatch, unnamed: bool
) -> None:
    if not unnamed:
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)

    if unnamed:  # when it has none yet
        monkeypatch.setattr(rig.row, "made", lambda inode: rig.part.write_bytes(b"theirs"))
    else:
        peer.script(FILE, lambda r: rig.part.write_bytes(b"theirs") and peer.honest(r))
    with pytest.raises(NameTaken, match="leaves it alone"):
        rig.attempt()
    assert rig.part.read_bytes() == b"theirs"


def test_the_part_of_a_jack_that_kept_no_inodes_goes_on_and_is_known_from_then_on(
    rig: Rig,
) -> None:
    rig.had(BODY[:1000], expected=len(BODY), etag=ETAG)
    rig.row.part_inode = None
    inode = rig.part.stat().st_ino
    rig.attempt()
    assert rig.asked() == ["bytes=1000-"]
    assert rig.row.events[0] == ("made", inode)
    assert rig.dest.read_bytes() == BODY


def test_a_whole_file_under_its_final_name_is_known_by_its_inode(rig: Rig) -> None:
    """A small file's bytes are not recorded one by one: the name is the record."""
    rig.had(BODY, expected=len(BODY))
    rig.row.offset = 0
    rig.part.rename(rig.dest)
    rig.part.write_bytes(b"somebody else's by now")
    assert rig.attempt().size == len(BODY)
    assert rig.part.read_bytes() == b"somebody else's by now"
    assert rig.peer.requests == []


def test_a_part_with_a_second_name_is_not_written_into(rig: Rig) -> None:
    rig.had(BODY[:1000], expected=len(BODY), etag=ETAG)
    other = rig.folder / "other"
    os.link(rig.part, other)
    with pytest.raises(StorageError, match="second name"):
        rig.attempt()
    assert other.read_bytes() == BODY[:1000]
    other.unlink()
    rig.attempt()
    assert rig.asked() == ["bytes=1000-"], "with that name gone it goes on"


def test_a_part_longer_than_recorded_is_cut_there(rig: Rig) -> None:
    rig.had(BODY[:1000], expected=len(BODY), etag=ETAG)
    with rig.part.open("ab") as part:
        part.write(bytes(5000))
    rig.attempt()
    assert rig.asked() == ["bytes=1000-"]
    assert rig.dest.read_bytes() == BODY


@pytest.mark.fault("C20")
@pytest.mark.parametrize("found", [400, None])
def test_a_part_shorter_than_recorded_or_gone_starts_again(rig: Rig, found: int | None) -> None:
    rig.had(BODY[:1000], expected=len(BODY), etag=ETAG)
    if found is None:
        rig.part.unlink()
    else:
        os.truncate(rig.part, found)
    outcome = rig.attempt()
    assert outcome.restarted
    assert rig.asked() == [None]
    assert rig.row.reasons[0].startswith(rig.part.name)
    assert rig.dest.read_bytes() == BODY


def test_a_folder_that_is_not_there_has_lost_nothing(rig: Rig) -> None:
    """A disk that is not mounted yet: giving up 40 GB for that would be wrong."""
    rig.had(BODY[:1000], expected=len(BODY))
    rig.folder.rename(rig.folder.with_name("unmounted"))
    with pytest.raises(StorageError, match="cannot open"):
        rig.attempt()
    assert (rig.row.offset, rig.row.reasons, rig.asked()) == (1000, [], [])


def test_a_crash_between_rename_and_commit_is_a_success_without_a_request(rig: Rig) -> None:
    rig.had(BODY, expected=len(BODY))
    rig.part.rename(rig.dest)
    assert rig.attempt().size == len(BODY)
    assert rig.peer.requests == []


def test_a_crash_between_link_and_unlink_is_tidied_up(rig: Rig) -> None:
    rig.had(BODY, expected=len(BODY))
    os.link(rig.part, rig.dest)
    assert rig.attempt().size == len(BODY)
    assert os.listdir(rig.folder) == [rig.dest.name]
    assert rig.peer.requests == []


@pytest.mark.fault("P6")
@pytest.mark.parametrize("kind", ["file", "same size", "folder", "dangling link", "half recorded"])
def test_what_has_the_final_name_is_never_replaced(rig: Rig, kind: str) -> None:
    rig.had(BODY[:1000], expected=len(BODY))
    if kind == "folder":
        rig.dest.mkdir()
    elif kind == "dangling link":
        rig.dest.symlink_to("nowhere")
    elif kind == "same size":
        rig.had(BODY, expected=len(BODY))
        rig.dest.write_bytes(bytes(len(BODY)))
    else:
        rig.dest.write_bytes(BODY if kind == "half recorded" else b"mine")
    before = (os.lstat(rig.dest), rig.part.read_bytes())
    with pytest.raises(PermanentError, match=r"exists already.*move it away"):
        rig.attempt()
    assert (os.lstat(rig.dest), rig.part.read_bytes()) == before
    assert rig.peer.requests == []


@pytest.mark.fault("P6")
def test_a_file_that_takes_the_name_while_bytes_flow_is_kept_and_so_is_the_part(rig: Rig) -> None:
    rig.row.before_checkpoint = lambda offset: rig.dest.write_bytes(b"mine") and None
    with pytest.raises(PermanentError, match="exists already"):
        rig.attempt()
    assert rig.dest.read_bytes() == b"mine"
    assert rig.part.read_bytes() == BODY
    assert rig.row.offset == len(BODY)


def test_with_all_bytes_recorded_the_file_is_finished_without_a_request(rig: Rig) -> None:
    rig.had(BODY, expected=len(BODY))
    with rig.part.open("ab") as part:
        part.write(b"a torn tail")
    assert rig.attempt().size == len(BODY)
    assert rig.dest.read_bytes() == BODY
    assert rig.peer.requests == []


def test_bytes_then_row_then_name(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order: fsync of the file, the row, the mode, the link, fsync of the folder, unlink."""
    real = {name: getattr(os, name) for name in ("fsync", "fchmod", "link", "unlink")}

    def noted(name: str):  # type: ignore[no-untyped-def]
        def call(*args, **kwargs):  # type: ignore[no-untyped-def]
            what = name
            if name == "fsync":
                what += " folder" if os.path.isdir(f"/proc/self/fd/{args[0]}") else " file"
            rig.row.events.append((what,))
            return real[name](*args, **kwargs)

        return call

    for name in real:
        monkeypatch.setattr(os, name, noted(name))
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    rig.settings["checkpoint_bytes"] = 10**9
    rig.attempt()
    assert rig.row.kinds() == [
        *("identify", "expect", "made"),
        *("fsync file", "fsync folder", "checkpoint"),
        *("fchmod", "link", "fsync folder", "unlink", "fsync folder"),
    ]


@pytest.mark.fault("D17")
@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP])
def test_a_file_system_without_modes_still_gets_the_file(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(descriptor: int, mode: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fchmod", refuse)
    rig.attempt()
    assert rig.dest.read_bytes() == BODY


def test_a_mode_that_fails_for_another_reason_is_the_disks_fault(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, mode: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fchmod", refuse)
    with pytest.raises(StorageError, match="mode"):
        rig.attempt()
    assert rig.row.offset == len(BODY)
    assert not rig.dest.exists()


@pytest.mark.parametrize("crash", ["link", "unlink"])
def test_a_disk_that_fails_while_renaming_leaves_a_state_that_finishes(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, crash: str
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    with monkeypatch.context() as patch:
        patch.setattr(files.os, crash, fail)
        with pytest.raises(StorageError, match="rename"):
            rig.attempt()
    assert rig.attempt().size == len(BODY)
    assert os.listdir(rig.folder) == [rig.dest.name]
    assert len(rig.asked()) == 1


def test_a_file_cut_by_somebody_else_is_not_called_complete(rig: Rig) -> None:
    rig.had(BODY, expected=len(BODY))
    part = part_module.Part(rig.part, rig.dest, 0o644, Maker(None, len(BODY)))
    with part:
        part.open()
        part.cut(len(BODY))
        os.truncate(rig.part, 10)
        with pytest.raises(StorageError, match="cut by somebody"):
            part.sync()
        with pytest.raises(StorageError, match="10 bytes instead of"):
            part.deliver(len(BODY))
    assert not rig.dest.exists()


@pytest.mark.fault("R7")
def test_a_cancel_before_the_rename_keeps_the_final_name_free(rig: Rig) -> None:
    def cancel(offset: int) -> None:
        if offset == len(BODY):
            rig.wire.abort(Interrupted("cancelled"))

    rig.row.before_checkpoint = cancel
    with pytest.raises(Interrupted):
        rig.attempt()
    assert not rig.dest.exists()
    rig.row.before_checkpoint = lambda offset: None
    assert rig.attempt().size == len(BODY)
    assert len(rig.asked()) == 1


def test_a_part_that_is_not_open_has_no_descriptor(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not open"):
        _ = part_module.Part(tmp_path / "a", tmp_path / "b", 0o644, Maker(None, 0)).descriptor


@pytest.mark.fault("P6")
def test_a_part_that_somebody_is_writing_is_not_touched(rig: Rig, peer: ScriptedPeer) -> None:
    """On a disk that takes FILM.mkv and film.mkv for one name, or under two jacks."""
    gate = threading.Event()
    peer.script(FILE, lambda r: replace(peer.honest(r), pause_at=len(BODY) // 2, gate=gate))
    running = Running(rig)
    eventually(lambda: rig.part.exists() and rig.part.stat().st_size == len(BODY) // 2)
    second = Rig(rig.folder, peer)
    with pytest.raises(NameTaken, match="jack leaves it alone"):
        second.attempt()
    second.row.part_inode = rig.part.stat().st_ino
    with pytest.raises(StorageError, match="being written by another"):
        second.attempt()
    second.close()
    gate.set()
    running.join(20)
    assert rig.dest.read_bytes() == BODY


def test_a_file_system_without_locks_still_gets_the_file(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    rig.attempt()
    assert rig.dest.read_bytes() == BODY
