"""What a person wants of a download where no jack runs: its row is changed here, with the lock
held.
"""

from __future__ import annotations

from jack.config import Config
from jack.downloads.naming import Naming
from jack.downloads.settling import Settling
from jack.downloads.steering import CANCELLED_BY_USER, objection, remove_ended
from jack.errors import UserError
from jack.model import FINISHED, Download, WaitReason
from jack.store.database import Database
from jack.store.downloads import Downloads
from jack.store.facts import Facts
from jack.store.handovers import Handovers
from jack.store.volumes import Volumes
from jack.support.clock import Clock


def steer_offline(
    download_id: int,
    action: str,
    config: Config,
    database: Database,
    clock: Clock,
    *,
    files: bool = False,
) -> None:
    """Do `action`; `files`: remove its own finished file as well. Raises UserError when the
    download is not in a state for it.
    """
    downloads = Downloads(database, clock)
    download = downloads.get(download_id)
    if download is None:
        return
    if problem := objection(action, download, downloads):
        raise UserError(problem)
    settling = Settling(downloads, config.downloads.watch_path if config.downloads else None)
    if action == "cancel":
        settling.cancel(download, CANCELLED_BY_USER)
    elif action == "pause":
        downloads.pause(download.id)
    elif action == "resume":
        downloads.resume(download.id)
    elif action == "remove":
        if download.is_live:
            settling.cancel(download, CANCELLED_BY_USER)
        remove_ended(downloads.get(download.id) or download, settling, files)
        downloads.remove(download.id)
    else:
        _retry(download, downloads, database, clock)


def _retry(download: Download, downloads: Downloads, database: Database, clock: Clock) -> None:
    """Back to the queue for the next start. An import is asked for again by that start."""
    if download.wait_reason is WaitReason.STORAGE:
        Volumes(downloads, Facts(database)).accept(download.dest_path.parent)
    if download.status in FINISHED:
        Handovers(database, clock).reopen(download.id)
        downloads.import_retried(download.id)
    elif Naming(downloads).make_way(download):
        downloads.revive(download.id)
