"""What a transfer records, written into its row: the bridge between the disk's truth and the
database's.
"""

from __future__ import annotations

from collections.abc import Callable

from jack.errors import Interrupted, JackError
from jack.model import Validator
from jack.store.database import Database
from jack.store.downloads import Downloads

ReadReleaseSize = Callable[[], int]
"""Ask the peer for the metadata once more; bytes."""


class RowLedger:
    """What a call records is committed when it returns. Raises StorageError when it is not, and
    Interrupted when the row is no longer to be worked on."""

    def __init__(
        self,
        database: Database,
        downloads: Downloads,
        download_id: int,
        read_release_size: ReadReleaseSize,
    ) -> None:
        self._database = database
        self._downloads = downloads
        self._id = download_id
        self._read_release_size = read_release_size
        self._new_validator: Validator | None = None

    def restart(self, reason: str, validator: Validator) -> None:
        self._new_validator = None
        self._must(self._downloads.restart(self._id, reason, validator))

    def expect(self, size: int, source: str, mismatch: bool) -> None:
        validator = self._take_validator()
        self._must(self._downloads.expect(self._id, size, source, mismatch, validator))

    def identify(self, validator: Validator) -> None:
        """Noted with the next record: a version matters only once bytes of it are claimed."""
        self._new_validator = validator

    def checkpoint(self, offset: int) -> None:
        """Called from a helper thread of the transfer as well, which needs a connection of its
        own.
        """
        with self._database.connection():
            self._must(self._downloads.checkpoint(self._id, offset, self._take_validator()))

    def reread_release_size(self) -> int | None:
        """None when the metadata cannot be had; the transfer then trusts what it was told
        itself.
        """
        try:
            size = self._read_release_size()
        except Interrupted:
            raise
        except JackError:
            return None
        self._must(self._downloads.set_release_size(self._id, size))
        return size

    def _take_validator(self) -> Validator | None:
        validator, self._new_validator = self._new_validator, None
        return validator

    def _must(self, changed: bool) -> None:
        if not changed:
            raise Interrupted(f"download {self._id} is not to be worked on any more")
