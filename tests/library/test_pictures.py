"""Resolutions read from the files themselves: which ones, how often, and what others pay for it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import jack
from jack.library.sharing import Sharing
from jack.model import MOVIES, connector_id
from jack.store.database import Database
from jack.store.pictures import Pictures
from jack.support.clock import SystemClock
from tests.support.arr_titles import Read, read_episode, read_film
from tests.support.releases import found_in
from tests.support.videos import matroska, mp4
from tests.support.waiting import eventually

Put = Callable[..., Path]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "own-state"
    folder.mkdir()
    return folder


@pytest.fixture(autouse=True)
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The PATH: a folder with nothing in it but what a test puts there, and a shell's."""
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


@contextmanager
def sharing(library: Path, state: Path) -> Iterator[Sharing]:
    """A serving side, as from a start of jack to its end."""
    database = Database(state)
    shared = Sharing([library], [], database, SystemClock())
    shared.start()
    try:
        yield shared
    finally:
        stopped = shared.stop(20.0)
        database.close()
        assert stopped


def titles(shared: Sharing) -> list[str]:
    return sorted(release.title for release in found_in(shared.catalog))


def script(folder: Path, text: str) -> None:
    program = folder / "ffprobe"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)


def test_films_and_episodes_named_as_advised_get_a_quality(
    library: Path, put: Put, state: Path
) -> None:
    put("Ninth Orchard (2017)/movie.mkv", matroska(1920, 804))
    put("Salt and Ember (2020)/movie.mp4", mp4(3840, 2160))
    put("The Long Ferry/Season 01/S01E01.mkv", matroska(1280, 720))
    with sharing(library, state) as shared:
        eventually(lambda: all(title.endswith("p") for title in titles(shared)))
        film, other, episode = titles(shared)
    assert read_film(film) == Read("Ninth Orchard", 2017, quality="WEBDL-1080p")
    assert read_film(other) == Read("Salt and Ember", 2020, quality="WEBDL-2160p")
    assert read_episode(episode) == Read("The Long Ferry", None, 1, (1,), quality="HDTV-720p")


def test_names_as_readme_advises_are_read_right_by_radarr_and_sonarr(
    library: Path, put: Put, state: Path
) -> None:
    readme = (Path(jack.__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    (advice,) = re.findall(
        r"^9\. Files or their folders are named .*?(?=^10\.)", readme, re.M | re.S
    )
    names = re.findall(r"`([^`]+\.mkv)`", advice)
    assert len(names) >= 3
    for name in names:
        put(name, matroska(1920, 1080))
    with sharing(library, state) as shared:
        eventually(lambda: all(title.endswith("1080p") for title in titles(shared)))
        found = found_in(shared.catalog)
    assert len(found) == len(names)
    for release in found:
        read = (read_film if release.category == MOVIES else read_episode)(release.title)
        assert read is not None
        assert read.year or read.episodes
        assert read.quality in {"WEBDL-1080p", "HDTV-1080p"}
        assert any(read.title in name for name in names)


def test_a_start_reads_no_folder_before_somebody_asks_for_it(
    library: Path, put: Put, state: Path
) -> None:
    """Who puts a file there and asks for it then finds it, as at any other first question."""
    with sharing(library, state) as shared:
        put("Film (2001) 1080p.mkv")
        assert titles(shared) == ["Film (2001) 1080p"]


def test_files_are_looked_into_although_nobody_asks(
    library: Path, put: Put, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jack.library.picture_sizes.FIRST_PICTURES_SECONDS", 0.0)
    put("Film (2001).mkv", matroska(1920, 1080))
    database = Database(state)
    with sharing(library, state) as shared:
        known = Pictures(database)
        source = connector_id(str(library))
        eventually(lambda: "Film (2001).mkv" in known.of(source))
        assert titles(shared)
    database.close()


def test_what_the_name_says_is_not_looked_for_in_the_file(
    library: Path, put: Put, state: Path
) -> None:
    put("Film (2001) 2160p.mkv", matroska(1280, 720))
    put("Other (2001) [Bluray-1080p]/film.mkv", matroska(1280, 720))
    put("Third (2001) DVDRip.mkv", matroska(1280, 720))
    put("A film without a year.mkv", matroska(1280, 720))
    put("Last (2001) WEB-DL.mkv", matroska(1280, 720))
    with sharing(library, state) as shared:
        eventually(lambda: "Last (2001) WEB-DL WEBDL-720p" in titles(shared))
        assert titles(shared) == [
            "A film without a year",
            "Film (2001) 2160p",
            "Last (2001) WEB-DL WEBDL-720p",
            "Other (2001) Bluray-1080p",
            "Third (2001) DVDRip",
        ]


def test_a_restart_reads_nothing_again_but_what_has_changed(
    library: Path, put: Put, state: Path
) -> None:
    kept = put("Kept (2001).mkv", matroska(1920, 1080))
    changed = put("Changed (2002).mkv", matroska(1920, 1080))
    with sharing(library, state) as shared:
        eventually(lambda: titles(shared) == ["Changed (2002) 1080p", "Kept (2001) 1080p"])
    before = kept.stat()
    for path in (kept, changed):
        path.write_bytes(matroska(1280, 720))
    # Same size, same mtime: whoever opened it would see 720 lines.
    os.utime(kept, ns=(before.st_atime_ns, before.st_mtime_ns))
    with sharing(library, state) as shared:
        eventually(lambda: titles(shared) == ["Changed (2002) 720p", "Kept (2001) 1080p"])


def test_a_damaged_file_has_no_quality_and_delays_no_other(
    library: Path, put: Put, state: Path
) -> None:
    put("A (2001).mkv", matroska(1920, 1080)[:60])
    put("B (2002).mkv", b"\x00" * 5000)
    put("C (2003).mkv", b"")
    put("D (2004).mkv", matroska(1920, 1080))
    with sharing(library, state) as shared:
        eventually(lambda: "D (2004) 1080p" in titles(shared))
        assert titles(shared)[:3] == ["A (2001)", "B (2002)", "C (2003)"]


def test_ffprobe_reads_what_else_nobody_could(
    library: Path, put: Put, state: Path, tools: Path
) -> None:
    script(tools, 'case "$*" in *Film*) echo 1440,1080;; *) exit 1;; esac')
    put("Film (2001).ts", b"G" * 5000)
    put("Other (2001).ts", b"G" * 5000)
    with sharing(library, state) as shared:
        eventually(lambda: titles(shared) == ["Film (2001) 1080p", "Other (2001)"])


def test_a_file_that_kills_its_reader_takes_no_other_with_it(
    library: Path, put: Put, state: Path, tools: Path
) -> None:
    script(tools, 'case "$*" in *Evil*) kill -9 $PPID;; *) echo 1920,1080;; esac')
    put("Evil (2001).ts", b"G" * 5000)
    put("Good (2001).ts", b"G" * 5000)
    with sharing(library, state) as shared:
        eventually(lambda: titles(shared) == ["Evil (2001)", "Good (2001) 1080p"])


def test_a_reader_that_hangs_delays_neither_a_search_nor_the_stop(
    library: Path, put: Put, state: Path, tools: Path, tmp_path: Path
) -> None:
    mark = tmp_path / "hangs"
    script(tools, f'echo $$ > "{mark}"; exec sleep 30')
    put("Film (2001).ts", b"G" * 5000)
    with sharing(library, state) as shared:
        assert titles(shared) == ["Film (2001)"]
        eventually(lambda: mark.exists() and mark.read_text().strip().isdecimal())
        assert titles(shared) == ["Film (2001)"]
        assert shared.stop(20.0)
    os.kill(int(mark.read_text()), 9)


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="Linux only")
def test_files_are_read_at_idle_priority(put: Put) -> None:
    path = put("a.mkv", matroska(640, 480))
    command = [sys.executable, "-m", "jack.library.headers"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        reader.stdin.write(json.dumps(str(path)).encode() + b"\n")
        reader.stdin.flush()
        assert json.loads(reader.stdout.readline()) == [640, 480]
        # Linux derives the priority at the disk from it: idle as well.
        assert os.sched_getscheduler(reader.pid) == os.SCHED_IDLE
