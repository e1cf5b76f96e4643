"""`jack why` and the JSON record: true sentences for every state and every reason to wait."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from freezegun import freeze_time

from jack.downloads.explain import record, why
from jack.model import Download, DownloadStatus, Validator, WaitReason
from jack.support.clock import SystemClock
from jack.support.text import size_text

S = DownloadStatus
NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=timezone.utc)
MIB = 1024 * 1024
ROW = Download(
    id=7,
    status=S.QUEUED,
    torrent_filename="Film.torrent",
    stub_fingerprint="1:2:3",
    stub_present=True,
    peer_id="15ee3276",
    peer_name="ann",
    item_id="c:movie:1",
    filename="film.mkv",
    dest_path=Path("/c/film.mkv"),
    category=2000,
    release_size=10 * MIB,
    expected_bytes=None,
    expected_bytes_source=None,
    expected_bytes_mismatch=False,
    downloaded_bytes=4 * MIB,
    best_bytes=4 * MIB,
    validator=Validator(),
    attempts=3,
    fruitless_attempts=1,
    next_attempt_at=None,
    wait_reason=None,
    blocked_by=None,
    error=None,
    started_at=NOW,
    updated_at=NOW,
    completed_at=None,
)
KEYS = (
    "id status torrentFilename peerId peerName itemId filename destPath partPath releaseSize"
    " expectedBytes expectedBytesSource expectedBytesMismatch downloadedBytes attempts"
    " nextAttemptAt error startedAt updatedAt completedAt why receivedBytes"
    " bytesPerSecond etaSeconds paused"
).split()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ["free transfer slot", "4.0 MiB of 10.0 MiB are safe", "by itself"]),
        ({"error": "starts again"}, ["free transfer slot", "Note: starts again."]),
        ({"status": S.DOWNLOADING}, ["Downloading from ann, attempt 3; 4.0 MiB of 10.0 MiB"]),
        ({"status": S.DOWNLOADING, "error": "changed."}, ["Note: changed."]),
        (
            {"status": S.DOWNLOADING, "release_size": 0, "downloaded_bytes": 0},
            ["; 0 B are safe on disk."],
        ),
        ({"status": S.COMPLETED}, ["Complete at /c/film.mkv; Radarr or Sonarr is being told."]),
        (
            {"status": S.COMPLETED, "error": "no Radarr is configured"},
            ["Complete at /c/film.mkv; no Radarr is configured."],
        ),
        (
            {
                "status": S.COMPLETED,
                "error": "Radarr is down",
                "next_attempt_at": NOW + timedelta(seconds=40),
            },
            ["but Radarr is down; asked again in 40 s."],
        ),
        (
            {"status": S.IMPORT_QUEUED},
            [
                "Radarr or Sonarr was asked to import",
                "history that names this file proves",
                "asks again",
                "`jack retry 7` asks now",
            ],
        ),
        ({"status": S.IMPORTED}, ["moved the file into its library"]),
        (
            {"status": S.FAILED, "error": "HTTP 410."},
            ["Failed: HTTP 410; 4.0 MiB", "`jack retry 7`", "goes on from there"],
        ),
        ({"status": S.CANCELLED, "error": "by the user"}, ["Cancelled: by the user", "retry 7"]),
    ],
)
def test_why_for_every_status(changes: dict[str, object], words: list[str]) -> None:
    sentence = why(replace(ROW, **changes), NOW)  # type: ignore[arg-type]
    for word in words:
        assert word in sentence
    assert sentence.endswith(".")
    assert ".." not in sentence


@pytest.mark.parametrize("reason", list(WaitReason))
def test_why_for_every_reason_to_wait(reason: WaitReason) -> None:
    due = None if reason in {WaitReason.SPACE, WaitReason.UNKNOWN_PEER} else NOW
    row = replace(
        ROW,
        status=S.WAITING,
        wait_reason=reason,
        error="the cause",
        next_attempt_at=due and due + timedelta(seconds=30),
        blocked_by=3 if reason is WaitReason.BLOCKED else None,
    )
    sentence = why(row, NOW)
    expected = {
        WaitReason.BLOCKED: "Waiting for download 3, which writes the same file; then it goes on.",
        WaitReason.UNKNOWN_PEER: "the cause; 4.0 MiB of 10.0 MiB are safe on disk.",
        WaitReason.SPACE: "the cause; 4.0 MiB of 10.0 MiB are safe on disk; goes on by itself"
        " as soon as that changes.",
    }
    usual = "the cause; 4.0 MiB of 10.0 MiB are safe on disk; goes on in 30 s."
    assert sentence == expected.get(reason, usual)


@pytest.mark.parametrize(
    ("seconds", "when"),
    [
        (-5, "in a moment"),
        (1, "in a moment"),
        (119, "in 119 s"),
        (600, "in 10 min (2026-03-01T12:10:00.123Z)"),
        (3 * 3600, "at 2026-03-01T15:00:00.123Z"),
    ],
)
def test_when_it_goes_on_is_said_in_the_unit_that_fits(seconds: float, when: str) -> None:
    due = NOW + timedelta(seconds=seconds)
    row = replace(ROW, status=S.WAITING, error="x", next_attempt_at=due)
    assert why(row, NOW).endswith(f"goes on {when}.")


def test_the_sentence_is_true_for_the_moment_it_is_asked() -> None:
    due = datetime(2026, 3, 1, 12, 1, tzinfo=timezone.utc)
    row = replace(ROW, status=S.WAITING, error="x", next_attempt_at=due)
    with freeze_time("2026-03-01 12:00:20"):
        assert why(row, SystemClock().now()).endswith("in 40 s.")
    with freeze_time("2026-03-01 12:00:50"):
        assert why(row, SystemClock().now()).endswith("in 10 s.")


def test_the_record_has_exactly_the_keys_that_are_promised_in_their_order() -> None:
    assert list(record(ROW, NOW)) == KEYS


def test_times_in_the_record_are_utc_iso_8601_or_null() -> None:
    later = datetime(2026, 3, 1, 13, tzinfo=timezone(timedelta(hours=1)))
    row = replace(ROW, completed_at=later.astimezone(timezone.utc))
    found = record(row, NOW)
    assert found["startedAt"] == "2026-03-01T12:00:00.123Z"
    assert found["completedAt"] == "2026-03-01T12:00:00.000Z"
    assert found["nextAttemptAt"] is None


def test_the_record_names_paths_that_any_encoder_takes() -> None:
    row = replace(ROW, torrent_filename="caf\udce9.torrent", dest_path=Path("/c\udcff/film.mkv"))
    found = record(row, NOW)
    assert found["torrentFilename"] == "caf\\xe9.torrent"
    assert found["partPath"] == "/c\\xff/film.mkv.part"
    str(found).encode()


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 * MIB, "5.0 MiB"), (2**50, "1.0 PiB")],
)
def test_sizes_in_units_people_read(size: int, text: str) -> None:
    assert size_text(size) == text
