from __future__ import annotations

import os

import pytest

from jack.blackhole.names import concerns_intake, for_log


@pytest.mark.parametrize("name", ["a.torrent", "A.TORRENT", "a.magnet", "\udcff.torrent"])
def test_stubs_and_magnets_concern_intake(name: str) -> None:
    assert concerns_intake(name)


@pytest.mark.parametrize(
    "name",
    [".a.torrent", ".torrent", "a.torrent.part", "torrent", "sonarr_write_test.txt", "a/b.torrent"],
)
def test_hidden_and_other_names_do_not(name: str) -> None:
    assert not concerns_intake(name)


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        ("Köln (2024).torrent".encode(), "Köln (2024).torrent"),
        (b"a\nb\x1b.torrent", "a\\nb\\x1b.torrent"),
        (b"\xff.torrent", "\\xff.torrent"),
        ("a\u202eb\u2028c".encode(), "a\\u202eb\\u2028c"),
    ],
)
def test_a_name_in_a_log_line_stays_on_that_line(raw: bytes, line: str) -> None:
    assert for_log(os.fsdecode(raw)) == line
