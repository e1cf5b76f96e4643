"""How `jack retry` and `jack cancel` reach their download, whether a daemon runs or not."""

from __future__ import annotations

import threading

from jack.config import Config
from jack.downloads.explain import why
from jack.downloads.settling import Settling
from jack.downloads.wishes import (
    cancel_offline,
    objection_to_cancel,
    objection_to_retry,
    retry_offline,
)
from jack.errors import AlreadyRunning, UserError
from jack.model import Download, WaitReason
from jack.store.database import Database
from jack.store.downloads import Downloads
from jack.store.facts import Facts
from jack.store.lock import StateLock
from jack.store.volumes import Volumes
from jack.support.clock import Clock
from jack.support.waits import ANSWER_SECONDS

LOOK_SECONDS = 0.1


def fulfil(wish: str, download: Download, config: Config, database: Database, clock: Clock) -> str:
    """Do what was wished ("retry" or "cancel") and return what the download says afterwards.

    With no daemon the lock is ours and the row is changed here; a running one is asked through the
    row. Raises UserError when the download is not in a state for it, or the daemon does not answer.
    """
    downloads = Downloads(database, clock)
    objection = (
        objection_to_cancel(download)
        if wish == "cancel"
        else objection_to_retry(download, downloads)
    )
    if objection:
        raise UserError(objection)
    lock = StateLock(config.jack.state_path)
    try:
        lock.acquire()
    except AlreadyRunning:
        _ask_daemon(wish, download, downloads, clock)
    else:
        try:
            if wish == "cancel":
                watch_path = config.downloads.watch_path if config.downloads else None
                cancel_offline(download, Settling(downloads, watch_path))
            else:
                if download.wait_reason is WaitReason.STORAGE:
                    Volumes(downloads, Facts(database)).accept(download.dest_path.parent)
                retry_offline(download, downloads)
        finally:
            lock.release()
    return f"download {download.id}: {why(downloads.get(download.id) or download, clock.now())}"


def _ask_daemon(wish: str, download: Download, downloads: Downloads, clock: Clock) -> None:
    downloads.ask(download.id, wish)
    patience = threading.Event()
    end = clock.monotonic() + ANSWER_SECONDS
    while downloads.wish_of(download.id) is not None:
        if clock.monotonic() > end:
            raise UserError(
                f"the running jack has not answered yet; the wish to {wish} download"
                f" {download.id} is noted and will be granted"
            )
        patience.wait(LOOK_SECONDS)
