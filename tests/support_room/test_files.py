"""Safe names and durable writes, also where the file system promises less."""

from __future__ import annotations

import errno
import logging
import os
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from jack.errors import PermanentError, StorageError
from jack.support import files
from jack.support.files import (
    fsync_directory,
    printable,
    rename_new,
    safe_filename,
    same_file,
    shown,
    write_whole,
)

LONGEST = "x" * (255 - len(".mkv.part")) + ".mkv"


@pytest.mark.parametrize(
    "name",
    [
        "Film (2020).mkv",
        "Film.MKV",
        "a.srt",
        "episode.s01e01.1080p.web.h264.mp4",
        "[Group] Title - 01 {tmdb-1}.mkv",
        "100% 'real' & \"good\".mkv",
        unicodedata.normalize("NFC", "Am\u00e9lie.mkv"),
        unicodedata.normalize("NFD", "Am\u00e9lie.mkv"),
        "\u4e03\u4eba\u306e\u4f8d.mkv",
        "\U0001f3ac night.mkv",
        "\u0645\u0648\u0639\u062f.mkv",
        "two  spaces.mkv",
        "x..mkv",
        LONGEST,
    ],
)
def test_names_that_are_fine_stay_as_they_are(name: str, tmp_path: Path) -> None:
    assert safe_filename(name) == name
    (tmp_path / f"{name}.part").touch()


@pytest.mark.fault("P1", "P3", "P8")
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "names no file"),
        (".", "names no file"),
        ("..", "names no file"),
        ("../x.mkv", "separator"),
        ("/etc/x.mkv", "separator"),
        ("a/../../x.mkv", "separator"),
        ("..\\x.mkv", "separator"),
        ("C:\\x.mkv", "separator"),
        ("x\x00.mkv", "control"),
        ("x\n.mkv", "control"),
        ("x\x1b[31m.mkv", "control"),
        ("x\x7f.mkv", "control"),
        ("x\u0085.mkv", "control"),
        ("x\u202egpj.mkv", "control"),
        ("x\u2066y.mkv", "control"),
        ("x\u200b.mkv", "control"),
        ("x\u200d.mkv", "control"),
        ("\ufeffx.mkv", "control"),
        ("x\u2028.mkv", "control"),
        ("x\u2029.mkv", "control"),
        ("x\udcff.mkv", "control"),
        ("x\ue000.mkv", "control"),
        ("x\uffff.mkv", "control"),
        (".hidden.mkv", "starts or ends"),
        ("~x.mkv", "starts or ends"),
        ("-rf.mkv", "starts or ends"),
        (" x.mkv", "starts or ends"),
        ("x.mkv ", "starts or ends"),
        ("\u00a0x.mkv", "starts or ends"),
        ("y" + LONGEST, "longer than 255 bytes"),
        ("\U0001f3ac" * 62 + ".mkv", "longer than 255 bytes"),
        ("x", "neither video nor subtitle"),
        ("x.", "neither video nor subtitle"),
        ("x.strm", "only says where one is"),
        ("x.ASX", "only says where one is"),
        ("x.exe", "neither video nor subtitle"),
        ("x.mkv.sh", "neither video nor subtitle"),
        ("x.torrent", "neither video nor subtitle"),
        ("x.mkv.part", "neither video nor subtitle"),
        ("x.mkv.", "neither video nor subtitle"),
        ("mkv", "neither video nor subtitle"),
    ],
)
def test_unsafe_names_are_refused_and_never_repaired(name: str, why: str) -> None:
    with pytest.raises(PermanentError, match=why) as caught:
        safe_filename(name)
    assert str(caught.value).isascii(), "a hostile name must not paint the terminal"


@pytest.mark.fault("P1")
def test_a_name_in_a_message_is_cut_and_escaped() -> None:
    assert shown("a\n\u202eb") == "'a\\n\\u202eb'"
    assert len(shown("x" * 10_000)) < 250
    assert printable("caf\udce9") == "caf\\xe9"


# -- renaming --------------------------------------------------------------------------------------


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_text("new")
    return path


def no_links(error: int) -> Any:
    def link(*_: object, **__: object) -> None:
        raise OSError(error, os.strerror(error))

    return link


def test_a_rename_moves_the_file(source: Path, tmp_path: Path) -> None:
    rename_new(source, tmp_path / "target")
    assert not source.exists()
    assert (tmp_path / "target").read_text() == "new"
    assert os.stat(tmp_path / "target").st_nlink == 1


@pytest.mark.fault("P6")
@pytest.mark.parametrize(
    "error", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV, errno.EMLINK]
)
def test_a_rename_works_where_hard_links_do_not(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    monkeypatch.setattr(os, "link", no_links(error))
    rename_new(source, tmp_path / "target")
    assert not source.exists()
    assert (tmp_path / "target").read_text() == "new"


@pytest.mark.fault("P6")
@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("kind", ["file", "folder", "symlink", "dangling symlink"])
def test_a_name_that_is_taken_is_never_replaced(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool, kind: str
) -> None:
    if not links:
        monkeypatch.setattr(os, "link", no_links(errno.EPERM))
    target, other = tmp_path / "target", tmp_path / "other"
    other.write_text("other")
    if kind == "file":
        target.write_text("old")
    elif kind == "folder":
        target.mkdir()
    else:
        target.symlink_to(other if kind == "symlink" else tmp_path / "nothing")
    with pytest.raises(FileExistsError):
        rename_new(source, target)
    assert source.read_text() == "new"
    assert other.read_text() == "other"
    assert target.is_symlink() == kind.endswith("symlink")
    assert kind != "file" or target.read_text() == "old"


def test_a_symlink_is_moved_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("real")
    (tmp_path / "link").symlink_to("real")
    rename_new(tmp_path / "link", tmp_path / "target")
    assert (tmp_path / "target").is_symlink()
    assert (tmp_path / "real").read_text() == "real"


def test_other_trouble_of_a_rename_is_the_callers(source: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        rename_new(tmp_path / "nothing", tmp_path / "target")
    with pytest.raises(FileNotFoundError):
        rename_new(source, tmp_path / "no folder" / "target")
    assert source.exists()


def test_the_folder_is_synced_before_the_old_name_goes(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    unlink = os.unlink
    monkeypatch.setattr(files, "fsync_directory", lambda folder: order.append("sync"))
    monkeypatch.setattr(
        os, "unlink", lambda path, **options: (order.append("unlink"), unlink(path, **options))
    )
    rename_new(source, tmp_path / "target")
    assert order == ["sync", "unlink", "sync"]


def test_the_same_file_is_one_inode_and_links_are_not_followed(
    source: Path, tmp_path: Path
) -> None:
    os.link(source, tmp_path / "second")
    (tmp_path / "link").symlink_to(source)
    (tmp_path / "copy").write_text("new")
    assert same_file(source, tmp_path / "second")
    assert not same_file(source, tmp_path / "link")
    assert not same_file(source, tmp_path / "copy")
    assert not same_file(source, tmp_path / "missing")


# -- syncing a folder ------------------------------------------------------------------------------


@pytest.mark.fault("D7")
@pytest.mark.parametrize("error", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_a_file_system_that_cannot_sync_folders_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: int
) -> None:
    caplog.set_level(logging.DEBUG, logger="jack")
    monkeypatch.setattr(os, "fsync", no_links(error))
    fsync_directory(tmp_path)
    assert "cannot be synced as a folder" in caplog.text


def test_a_folder_that_fails_to_sync_is_a_trouble_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    monkeypatch.setattr(os, "fsync", no_links(errno.EIO))
    with pytest.raises(StorageError, match=r"cannot sync .*: Input/output error"):
        fsync_directory(tmp_path)
    after = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    assert after <= before, "the descriptor is closed"


def test_a_folder_that_is_gone_is_a_trouble_of_the_disk(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot open .*: No such file"):
        fsync_directory(tmp_path / "gone")


# -- whole files -----------------------------------------------------------------------------------


def test_a_whole_file_is_written_and_replaced_only_with_consent(tmp_path: Path) -> None:
    path = tmp_path / "a.torrent"
    write_whole(path, b"one", replaces=lambda old: False)
    assert path.read_bytes() == b"one"
    with pytest.raises(ValueError, match="exists already and is something else"):
        write_whole(path, b"two", replaces=lambda old: old != b"one")
    assert path.read_bytes() == b"one"
    write_whole(path, b"two", replaces=lambda old: old == b"one")
    assert path.read_bytes() == b"two"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.torrent"]


@pytest.mark.parametrize("kind", ["folder", "dangling symlink"])
def test_what_is_not_a_file_is_not_replaced(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.torrent"
    if kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "nothing")
    with pytest.raises(ValueError, match="exists already"):
        write_whole(path, b"x", replaces=lambda old: True)


def test_a_write_that_fails_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "replace", no_links(errno.ENOSPC))
    with pytest.raises(OSError, match="No space"):
        write_whole(tmp_path / "a", b"x", replaces=lambda old: True)
    assert list(tmp_path.iterdir()) == []
