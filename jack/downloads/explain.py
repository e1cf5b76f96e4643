"""A download in words and as JSON: what it waits for, what is safe, what happens next and when.
Pure.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from jack.blackhole.waiting import WaitingStub
from jack.downloads.live import Moving
from jack.model import Download, DownloadStatus, WaitReason
from jack.support.files import printable
from jack.support.text import size_text

S = DownloadStatus


def why(download: Download, now: datetime) -> str:
    """One sentence (or two) for a person, true for this row at `now`."""
    if download.paused_at is not None and download.is_live:
        return (
            f"Paused since {_iso(download.paused_at)}; {_safe(download)}."
            f" `jack resume {download.id}` goes on from there."
        )
    if download.status is S.WAITING:
        return _waiting(download, now)
    return {
        S.QUEUED: _queued,
        S.DOWNLOADING: _downloading,
        S.COMPLETED: _completed,
        S.IMPORT_QUEUED: _import_queued,
        S.IMPORTED: _imported,
        S.FAILED: _failed,
        S.CANCELLED: _cancelled,
    }[download.status](download, now)


def record(download: Download, now: datetime, moving: Moving | None = None) -> dict[str, Any]:
    """The JSON object of `jack status --json` and `GET /downloads`; `moving` while a transfer of
    it is under way.
    """
    received = moving.received_bytes if moving else download.downloaded_bytes
    return {
        "id": download.id,
        "status": download.status.value,
        "torrentFilename": printable(download.torrent_filename),
        "peerId": download.peer_id,
        "peerName": download.peer_name,
        "itemId": download.item_id,
        "filename": download.filename,
        "destPath": printable(str(download.dest_path)),
        "partPath": printable(str(download.part_path)),
        "releaseSize": download.release_size,
        "expectedBytes": download.expected_bytes,
        "expectedBytesSource": download.expected_bytes_source,
        "expectedBytesMismatch": download.expected_bytes_mismatch,
        "downloadedBytes": download.downloaded_bytes,
        "attempts": download.attempts,
        "nextAttemptAt": _iso(download.next_attempt_at),
        "error": download.error,
        "startedAt": _iso(download.started_at),
        "updatedAt": _iso(download.updated_at),
        "completedAt": _iso(download.completed_at),
        "why": why(download, now),
        "receivedBytes": received,
        "bytesPerSecond": _whole(moving.bytes_per_second if moving else None),
        "etaSeconds": _eta_seconds(download, moving),
        "paused": download.paused_at is not None,
    }


def _whole(number: float | None) -> int | None:
    return None if number is None else round(number)


def stub_record(stub: WaitingStub, peer_name: str, now: datetime) -> dict[str, Any]:
    """The JSON object of a stub that lies in watchPath and is no download yet."""
    details = stub.details
    when = "" if stub.next_look is None else f"; looked at again {_when(stub.next_look, now)}"
    return {
        "torrentFilename": printable(stub.name),
        "infoHash": details.info_hash,
        "peerId": details.stub.peer_id,
        "peerName": peer_name,
        "itemId": details.stub.item_id,
        "title": printable(details.title),
        "size": details.size,
        "since": _iso(stub.since),
        "why": f"{stub.why[:1].upper()}{stub.why[1:].rstrip('.')}{when}.",
    }


def _eta_seconds(download: Download, moving: Moving | None) -> int | None:
    total = download.expected_bytes or download.release_size
    if moving is None or not moving.bytes_per_second or not total:
        return None
    return round(max(0, total - moving.received_bytes) / moving.bytes_per_second)


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _safe(download: Download) -> str:
    total = download.expected_bytes or download.release_size
    done = size_text(download.downloaded_bytes)
    return f"{done} of {size_text(total)} are safe on disk" if total else f"{done} are safe on disk"


def _when(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return "by itself as soon as that changes"
    seconds = (moment - now).total_seconds()
    if seconds <= 1:
        return "in a moment"
    if seconds < 120:
        return f"in {seconds:.0f} s"
    return f"in {seconds / 60:.0f} min ({_iso(moment)})" if seconds < 7200 else f"at {_iso(moment)}"


def _reason(download: Download) -> str:
    return (download.error or "an earlier attempt ended").rstrip(".")


def _queued(download: Download, now: datetime) -> str:
    note = f" Note: {_reason(download)}." if download.error else ""
    return (
        f"Waiting for a free transfer slot; {_safe(download)}."
        f" It starts by itself while jack runs.{note}"
    )


def _downloading(download: Download, now: datetime) -> str:
    note = f" Note: {_reason(download)}." if download.error else ""
    return (
        f"Downloading from {download.peer_name}, attempt {download.attempts};"
        f" {_safe(download)}.{note}"
    )


def _waiting(download: Download, now: datetime) -> str:
    if download.wait_reason is WaitReason.BLOCKED:
        return (
            f"Waiting for download {download.blocked_by}, which writes the same file;"
            " then it goes on."
        )
    if download.wait_reason is WaitReason.UNKNOWN_PEER:
        return f"{_reason(download)}; {_safe(download)}."
    return (
        f"{_reason(download)}; {_safe(download)}; goes on {_when(download.next_attempt_at, now)}."
    )


def _completed(download: Download, now: datetime) -> str:
    where = printable(str(download.dest_path))
    if download.error is None:
        return f"Complete at {where}; Radarr or Sonarr is being told."
    if download.next_attempt_at is None:
        return (
            f"Complete at {where}; {_reason(download)}."
            f" `jack retry {download.id}` asks again, without downloading."
        )
    return (
        f"Complete at {where}, but {_reason(download)}; asked again"
        f" {_when(download.next_attempt_at, now)}."
    )


def _import_queued(download: Download, now: datetime) -> str:
    if download.error is not None:
        return (
            f"Complete, but {_reason(download)}. Nothing is downloaded again by itself;"
            f" `jack retry {download.id}` looks once more."
        )
    server = download.import_asked or "Radarr or Sonarr"
    return (
        f"Complete; {server} was asked to import {printable(str(download.dest_path))}. A new record"
        " of its history that names this file proves the import; without one jack asks again"
        f" {_when(download.next_attempt_at or now, now)}, and `jack retry {download.id}` asks now."
    )


def _imported(download: Download, now: datetime) -> str:
    return "Imported: Radarr or Sonarr has moved the file into its library."


def _failed(download: Download, now: datetime) -> str:
    return (
        f"Failed: {_reason(download)}; {_safe(download)}. `jack retry {download.id}`, or"
        " dropping the stub again, goes on from there."
    )


def _cancelled(download: Download, now: datetime) -> str:
    return f"Cancelled: {_reason(download)}. `jack retry {download.id}` starts it again."
