"""The picture of `jack status`: two lines a download, and only what changed is drawn again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from jack.downloads.explain import record
from jack.downloads.live import Moving
from jack.model import Download, DownloadStatus
from jack.screen import duration_text, lines, redrawn, show
from tests.downloads.test_explain import NOW, ROW
from tests.support.terminal import shown

S = DownloadStatus
MIB = 1024 * 1024


def view(*downloads: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"downloads": list(downloads), "stubs": [], "more": 0, "freeBytes": None, **more}


def entry(download: Download, moving: Moving | None = None) -> dict[str, Any]:
    return record(download, NOW, moving)


def drawn(shown: Mapping[str, Any], width: int = 80) -> list[str]:
    return [line.plain for line in lines(shown, width)]


def test_a_download_is_a_line_of_numbers_and_below_it_its_name_and_why() -> None:
    moving = Moving(15 * MIB, 2.5 * MIB)
    row = replace(
        ROW, status=S.DOWNLOADING, downloaded_bytes=10 * MIB, expected_bytes=200 * MIB, error=None
    )
    head, name, *_ = drawn(view(entry(row, moving)))
    assert head.split() == (
        f"7 downloading {head.split()[2]} 7 % 200.0 MiB 2.5 MiB/s 1:14 left".split()
    )
    assert name.strip().startswith("film.mkv  Downloading from")


def test_the_bar_has_what_is_safe_and_what_has_arrived_in_two_tones() -> None:
    row = replace(ROW, status=S.DOWNLOADING, downloaded_bytes=50 * MIB, expected_bytes=100 * MIB)
    head = drawn(view(entry(row, Moving(75 * MIB, None))))[0]
    bar = re.search("[█▓░]+", head)
    assert bar is not None
    assert (bar[0].count("█"), bar[0].count("▓"), bar[0].count("░")) == (7, 3, 4)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_sentence_is_wrapped_at_the_width_of_the_terminal_and_no_word_is_lost(width: int) -> None:
    row = replace(ROW, status=S.FAILED, error="the friend said " + "no " * 100 + "at last")
    _, *said, _ = drawn(view(entry(row)), width)
    assert all(len(line.rstrip()) <= width for line in said)
    assert " ".join("".join(line + " " for line in said).split()) == " ".join(
        f"film.mkv {entry(row)['why']}".split()
    )


def test_the_longest_numbers_fit_80_columns() -> None:
    row = replace(
        ROW,
        id=9999,
        status=S.IMPORT_QUEUED,
        downloaded_bytes=10**12,
        expected_bytes=1023 * 2**30,
        release_size=1023 * 2**30,
    )
    head = drawn(view(entry(row, Moving(10**12, 1023.9 * MIB))))[0]
    assert len(head) <= 80


def test_a_size_that_nobody_knows_is_a_question_mark() -> None:
    row = replace(ROW, release_size=0, expected_bytes=None, downloaded_bytes=0)
    assert "?" in drawn(view(entry(row)))[0]


def test_live_ones_come_first_then_stubs_then_what_has_ended() -> None:
    ended = replace(ROW, id=100, status=S.IMPORTED, filename="old.mkv")
    stub = {"title": "A Title", "torrentFilename": "x.torrent", "size": 5 * MIB, "why": "Waits."}
    text = "\n".join(drawn(view(entry(ended), entry(ROW), stubs=[stub], more=5)))
    order = [text.index(name) for name in ("film.mkv", "A Title  Waits.", "old.mkv")]
    assert order == sorted(order)
    assert "5 more have ended; --all shows them." in text


def test_the_last_line_says_speed_what_waits_and_the_free_space() -> None:
    running = entry(replace(ROW, status=S.DOWNLOADING), Moving(MIB, 2.0 * MIB))
    waiting = entry(replace(ROW, status=S.WAITING))
    last = drawn(view(running, running, waiting, freeBytes=3 * 2**40))[-1]
    assert last == "2 running, 4.0 MiB/s; 1 waiting; 3.0 TiB free"


def test_no_downloads_yet_is_said() -> None:
    assert drawn(view())[0] == "No downloads yet."


def test_a_name_from_a_friend_is_never_read_as_markup() -> None:
    row = replace(
        ROW, status=S.FAILED, filename="[red]x[/red].mkv", error="[link=http://x]y[/link]"
    )
    text = "\n".join(drawn(view(entry(row))))
    assert "[red]x[/red].mkv" in text
    assert "[link=http" in text


@pytest.mark.parametrize("status", list(S))
def test_every_status_can_be_shown(
    status: DownloadStatus, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    show(view(entry(replace(ROW, status=status))))
    assert status.value in capsys.readouterr().out


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (59.9, "0:59"), (61, "1:01"), (3661, "1:01:01"), (90_000, "1 d 1 h")],
)
def test_a_time_left_is_read_like_a_clock(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([], ["a", "b"]),
        (["a", "b", "c"], ["a", "x", "c"]),
        (["a", "b", "c"], ["a"]),
        (["a"], ["a", "b", "c"]),
        (["a", "b"], []),
    ],
)
def test_only_lines_that_changed_are_drawn_again(before: list[str], after: list[str]) -> None:
    first, then = redrawn([], before), redrawn(before, after)
    assert shown(first + then + "the cursor is below") == [*after, "the cursor is below"]
    kept = {line for old, line in zip(before, after, strict=False) if old == line}
    assert not any(line in then.replace("\x1b[J", "").replace("\x1b[2K", "") for line in kept)
