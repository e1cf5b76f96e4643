"""`jack retry` and `jack cancel`: on a running daemon through its service, otherwise on the rows
themselves.
"""

from __future__ import annotations

from jack.downloads.naming import Naming, may_share_a_name
from jack.downloads.settling import Settling
from jack.model import FINISHED, Download, DownloadStatus
from jack.store.downloads import Downloads

CANCELLED_BY_USER = "cancelled by the user"


def objection_to_retry(download: Download, downloads: Downloads) -> str | None:
    """Why this download cannot be retried, as a sentence; None when it can."""
    if download.status is DownloadStatus.IMPORTED:
        return f"download {download.id} is complete already: {download.dest_path}"
    if download.status is DownloadStatus.DOWNLOADING:
        return f"download {download.id} is running already"
    other = downloads.live_at(download.dest_path, but=download.id)
    if other is not None and not may_share_a_name(download, other):
        return f"download {other.id} is writing the same file; cancel that one first"
    return None


def objection_to_cancel(download: Download) -> str | None:
    """Why this download cannot be cancelled, as a sentence; None when it can."""
    if download.status in FINISHED:
        return f"download {download.id} is complete already: {download.dest_path}"
    if download.status is DownloadStatus.CANCELLED:
        return f"download {download.id} is cancelled already"
    return None


def retry_offline(download: Download, downloads: Downloads) -> None:
    """No daemon runs: the row goes back to the queue for the next start. An import is asked for
    again by that start, which grants the wish.
    """
    if download.status in FINISHED:
        downloads.ask(download.id, "retry")
    elif Naming(downloads).make_way(download):
        downloads.revive(download.id)


def cancel_offline(download: Download, settling: Settling) -> None:
    """No daemon runs: row, `.part` and stub are settled here."""
    settling.cancel(download, CANCELLED_BY_USER)
