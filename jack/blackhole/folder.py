"""The watch folder as a listing, with its troubles said once."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

from jack.blackhole.names import concerns_intake, for_log

log = logging.getLogger(__name__)

Look = Callable[[str, "os.stat_result | OSError"], bool]
"""Told a name with its stat (links followed), or why it has none; False ends the listing."""


class Folder:
    """Lists what may be a stub. Used by one thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._trouble: str | None = None

    def each(self, look: Look) -> bool:
        """Show `look` every name that concerns intake, one after the other: the folder may be too
        large to be held in memory with its stats.

        False when `look` ended it, or when the folder cannot be read now; that is logged when it
        begins and when it ends.
        """
        try:
            with os.scandir(self.path) as entries:
                whole = all(
                    look(entry.name, _status(entry))
                    for entry in entries
                    if concerns_intake(entry.name)
                )
        except OSError as error:
            self._note(error.strerror or type(error).__name__)
            return False
        self._note(None)
        return whole

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
