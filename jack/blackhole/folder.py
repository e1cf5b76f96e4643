"""The watch folder as a listing, with its troubles said once."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from jack.blackhole.names import concerns_intake, for_log

log = logging.getLogger(__name__)


class Folder:
    """Lists what may be a stub. Used by one thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._trouble: str | None = None

    def listing(self) -> dict[str, os.stat_result | OSError] | None:
        """Every name that concerns intake with its stat (links followed), or why it has none.

        None when the folder cannot be read now; that is logged when it begins and when it ends.
        """
        try:
            with os.scandir(self.path) as entries:
                found = {
                    entry.name: _status(entry) for entry in entries if concerns_intake(entry.name)
                }
        except OSError as error:
            self._note(error.strerror or type(error).__name__)
            return None
        self._note(None)
        return found

    def _note(self, trouble: str | None) -> None:
        where = for_log(str(self.path))
        if trouble is not None and self._trouble is None:
            log.warning(
                "the watch folder %s cannot be read (%s): no new stub is seen until that is mended;"
                " running downloads go on",
                where,
                trouble,
            )
        elif trouble is None and self._trouble is not None:
            log.info("the watch folder %s can be read again", where)
        self._trouble = trouble


def _status(entry: os.DirEntry[str]) -> os.stat_result | OSError:
    try:
        return entry.stat()
    except OSError as error:
        return error
