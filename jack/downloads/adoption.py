"""Whether a download may have the file that an earlier one has brought, instead of fetching it."""

from __future__ import annotations

import enum
from collections.abc import Callable

from jack.downloads.naming import may_be_adopted
from jack.model import FINISHED, Download, Validator
from jack.store.downloads import Downloads
from jack.transfer import ranges

AskVersion = Callable[[], Validator]
"""What the friend's file is now; raises jack's errors."""


class Unasked(enum.Enum):
    FRIEND = "only the friend could tell"


class Adoption:
    """Same peer, same item, same version of the file. A friend's ETag tells the version; of one
    who sends none, a file counts as the same only while both downloads stood in line together and
    he said the very same of both: a slow grab is grabbed twice."""

    def __init__(self, downloads: Downloads) -> None:
        self._downloads = downloads

    def of(self, download: Download, ask: AskVersion | None) -> Download | Unasked | None:
        """The earlier download whose file `download` may have; None when it has to fetch its
        own."""
        before = self._downloads.latest_for_destination(download.dest_path, download.id)
        if before is None or before.status not in FINISHED or before.stub != download.stub:
            return None
        stood_in_line = (
            before.completed_at is not None and before.completed_at >= download.started_at
        )
        if not stood_in_line and not may_be_adopted(before):
            return None
        if not ranges.is_strong(before.validator.etag):
            return before if self._downloads.of_one_release(before.id, download.id) else None
        if ask is None:
            return Unasked.FRIEND
        return before if ask().etag == before.validator.etag else None
