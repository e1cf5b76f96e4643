"""When the config has no `downloads` block any more, unfinished rows are closed instead of
forgotten.
"""

from __future__ import annotations

import logging

from jack.store.downloads import Downloads
from jack.support.files import printable

log = logging.getLogger(__name__)


def reconcile_without_downloads(downloads: Downloads) -> int:
    """Every live row becomes `failed`, naming its `.part` and its size; returns how many."""
    count = 0
    for download in downloads.live():
        count += 1
        try:
            size = download.part_path.stat().st_size
            found = f"found {printable(str(download.part_path))} with {size} bytes"
        except OSError:
            found = f"{printable(str(download.part_path))} was not found"
        downloads.fail(
            download.id,
            f"stale download: the config has no downloads block any more; {found}",
        )
        log.error("download %d (%s): stale, %s", download.id, download.filename, found)
    return count
