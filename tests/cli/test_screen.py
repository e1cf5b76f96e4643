"""The table of `jack status`."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Console

from jack.model import Download, DownloadStatus
from jack.screen import RECENT, show, table
from tests.downloads.test_explain import NOW, ROW

S = DownloadStatus


def drawn(downloads: list[Download], everything: bool = False, width: int = 140) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    try:
        console.print(table(downloads, NOW, everything))
        return console.export_text()
    finally:
        console.file.close()


def test_a_row_shows_what_it_is_how_far_it_is_and_why() -> None:
    text = drawn([replace(ROW, status=S.DOWNLOADING)])
    for word in ("7", "downloading", "film.mkv", "10.0 MiB", "attempt 3"):
        assert word in text


def test_a_size_that_nobody_knows_is_a_question_mark() -> None:
    row = replace(ROW, release_size=0, downloaded_bytes=0)
    assert "?" in drawn([row]).split("film.mkv")[1].splitlines()[0]


def test_live_ones_come_first_and_only_the_last_ended_ones_are_shown() -> None:
    ended = [
        replace(ROW, id=100 + number, status=S.IMPORTED, filename=f"old-{number}.mkv")
        for number in range(RECENT + 5)
    ]
    text = drawn([*ended, ROW])
    assert text.index("film.mkv") < text.index("old-0.mkv")
    assert f"old-{RECENT - 1}.mkv" in text
    assert f"old-{RECENT}.mkv" not in text
    assert "5 more have ended; --all shows them." in text
    everything = drawn([*ended, ROW], everything=True)
    assert f"old-{RECENT + 4}.mkv" in everything
    assert "more have ended" not in everything


def test_no_downloads_yet_is_said() -> None:
    assert "No downloads yet." in drawn([])


def test_a_name_from_a_friend_is_never_read_as_markup() -> None:
    row = replace(
        ROW, status=S.FAILED, filename="[red]x[/red].mkv", error="[link=http://x]y[/link]"
    )
    text = drawn([row])
    assert "[red]x[/red].mkv" in text
    assert "[link=http" in text


@pytest.mark.parametrize("status", list(S))
def test_every_status_can_be_shown(
    status: DownloadStatus, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    show([replace(ROW, status=status)], NOW, everything=False)
    assert status.value in capsys.readouterr().out
