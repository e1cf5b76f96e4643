"""Which files of a folder are shared, and as what."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from jack.library.folder_source import FolderSource
from jack.model import MOVIES, TV, Release, connector_id
from jack.peers.protocol import release_from_json, release_to_json

Put = Callable[..., Path]


def releases(folder: Path) -> list[Release]:
    return [shared.release for shared in FolderSource(folder).scan()]


def names(folder: Path) -> list[str]:
    return [release.filename for release in releases(folder)]


def test_a_film_becomes_a_release(library: Path, put: Put) -> None:
    path = put("The Film (1999) {imdb-tt0133093} {tmdb-603}/The Film (1999) - 1080p.mkv", b"12345")
    os.utime(path, (1_700_000_000, 1_700_000_000))
    (release,) = releases(library)
    source, kind, stable = release.id.split(":")
    assert (source, kind) == (connector_id(str(library)), "movie")
    assert len(stable) == 16
    assert release.title == "The Film (1999) - 1080p"
    assert release.filename == "The Film (1999) - 1080p.mkv"
    assert (release.category, release.size) == (MOVIES, 5)
    assert (release.imdb_id, release.tmdb_id) == ("tt0133093", 603)
    assert release.publish_date == "2023-11-14T22:13:20Z"
    assert release.series_title is None


def test_a_file_of_two_episodes_becomes_two_releases(library: Path, put: Put) -> None:
    put("Show {tvdb-7}/Season 01/Show - S01E01E02.mkv", b"123")
    first, second = releases(library)
    assert [(r.season, r.episode) for r in (first, second)] == [(1, 1), (1, 2)]
    assert first.id != second.id
    assert ":episode:" in first.id
    assert first.filename == second.filename
    assert (first.category, first.size, first.series_title, first.tvdb_id) == (TV, 3, "Show", 7)


def test_an_episode_named_by_its_day_or_its_number_is_no_film(library: Path, put: Put) -> None:
    put("Night Market/Night.Market.2017.03.04.1080p.mkv")
    put("[Group] The Long Ferry - 05-06 [1080p].mkv")
    daily, counted, other = releases(library)
    assert {r.category for r in (counted, other, daily)} == {TV}
    assert (counted.series_title, counted.absolute_episode) == ("The Long Ferry", 5)
    assert (other.absolute_episode, other.filename) == (6, counted.filename)
    assert (daily.series_title, str(daily.air_date)) == ("Night Market", "2017-03-04")
    assert {(r.season, r.episode) for r in (counted, other, daily)} == {(None, None)}
    assert len({r.id for r in (counted, other, daily)}) == 3


def test_the_title_of_such_an_episode_keeps_its_day_or_number(library: Path, put: Put) -> None:
    """Whatever the folders say beside it: without it Sonarr cannot read the title."""
    put("Night Market (2015)/2016/2016-03-03 1080p.mkv")
    put("The Long Ferry (2016)/Season 01/The Long Ferry - 06 - Chapter 1080p.mkv")
    put("The Long Ferry (2016)/Season 01/LF - 07 1080p.mkv")
    assert [release.title for release in releases(library)] == [
        "Night Market (2015) 2016-03-03 1080p",
        "The Long Ferry (2016) - 07 1080p",
        "The Long Ferry - 06 - Chapter 1080p",
    ]


def test_every_release_fits_the_schema_our_own_client_demands(library: Path, put: Put) -> None:
    for name in ("a.mkv", "Show S01E01-E03.mkv", "Früh (2001) \u202e.mkv", "x" * 200 + ".srt"):
        put(name)
    for release in releases(library):
        parsed = release_from_json(release_to_json(release))
        assert (parsed.id, parsed.filename) == (release.id, release.filename)


def test_ids_depend_on_the_path_alone(library: Path, put: Put) -> None:
    put("b/Film.mkv", b"1")
    before = {release.id for release in releases(library)}
    put("a/Another.mkv")
    put("b/Film.mkv", b"another version")
    assert before < {release.id for release in releases(library)}


def test_only_media_is_shared_in_any_letter_case(library: Path, put: Put) -> None:
    for name in ("a.mkv", "B.MP4", "a.srt", "a.nfo", "a.exe", "a.mkv.part", "mkv", "a.torrent"):
        put(name)
    assert names(library) == ["B.MP4", "a.mkv", "a.srt"]


def test_files_that_only_say_where_a_film_is_are_not_shared(library: Path, put: Put) -> None:
    for name in ("a.mkv", "b.strm", "c.ASX", "d.m3u8", "e.url"):
        put(name)
    assert names(library) == ["a.mkv"]


def test_hidden_and_system_files_and_folders_are_not_shared(library: Path, put: Put) -> None:
    for name in (".a.mkv", ".hidden/a.mkv", "@eaDir/a.mkv", "#recycle/a.mkv", "lost+found/a.mkv"):
        put(name)
    assert names(library) == []


def test_links_out_of_the_folder_are_not_followed(library: Path, put: Put, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.mkv").write_bytes(b"x")
    (library / "file.mkv").symlink_to(outside / "secret.mkv")
    (library / "folder").symlink_to(outside)
    (library / "dangling.mkv").symlink_to(tmp_path / "nothing.mkv")
    # Shares the prefix of the folder's name, yet lies beside it.
    beside = tmp_path / "library-private"
    beside.mkdir()
    (beside / "b.mkv").write_bytes(b"x")
    (library / "beside.mkv").symlink_to(beside / "b.mkv")
    assert names(library) == []


def test_a_link_to_a_file_inside_is_shared_and_a_loop_of_folders_ends(
    library: Path, put: Put
) -> None:
    put("store/blob.mkv")
    (library / "Nice Name (2001).mkv").symlink_to("store/blob.mkv")
    (library / "store" / "up").symlink_to(library)
    assert names(library) == ["Nice Name (2001).mkv", "blob.mkv"]


def test_a_shared_folder_may_itself_be_a_link(library: Path, put: Put, tmp_path: Path) -> None:
    put("a.mkv")
    link = tmp_path / "link"
    link.symlink_to(library)
    assert names(link) == ["a.mkv"]


def test_pipes_and_sockets_are_not_shared(library: Path) -> None:
    os.mkfifo(library / "pipe.mkv")
    assert names(library) == []


def test_a_name_that_is_not_utf8_is_skipped_with_one_line(
    library: Path, put: Put, caplog: pytest.LogCaptureFixture
) -> None:
    put("good.mkv")
    os.close(os.open(os.fsencode(library) + b"/bad\xff.mkv", os.O_CREAT | os.O_WRONLY))
    source = FolderSource(library)
    for _ in range(2):
        assert [shared.release.filename for shared in source.scan()] == ["good.mkv"]
    assert [r.levelno for r in caplog.records if "UTF-8" in r.getMessage()] == [logging.WARNING]


def test_a_folder_that_cannot_be_read_is_skipped_with_one_line(
    library: Path, put: Put, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("good.mkv")
    put("locked/a.mkv")
    real = os.scandir

    def scandir(path: str) -> object:
        # chmod would not stop a test that runs as root.
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    source = FolderSource(library)
    for _ in range(2):
        assert [shared.release.filename for shared in source.scan()] == ["good.mkv"]
    assert len([r for r in caplog.records if "locked" in r.getMessage()]) == 1


def test_a_missing_folder_is_an_error_not_an_empty_library(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FolderSource(tmp_path / "unmounted").scan()


def test_a_file_with_a_time_beyond_the_calendar_is_still_shared(library: Path, put: Put) -> None:
    os.utime(put("a.mkv"), (-5, -5))
    assert releases(library)[0].publish_date == "1970-01-01T00:00:00Z"
