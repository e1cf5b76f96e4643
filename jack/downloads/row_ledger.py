"""What a transfer records, written into its row: the bridge between the disk's truth and the
database's.
"""

from __future__ import annotations

from collections.abc import Callable

from jack.errors import Interrupted, JackError
from jack.model import Download, Expectation, Validator
from jack.store.database import Database
from jack.store.downloads import Downloads

SMALL_BYTES = 1024 * 1024

ReadReleaseSize = Callable[[], int]
"""Ask the peer for the metadata once more; bytes."""


class RowLedger:
    """What a call records is committed when it returns. Raises StorageError when it is not, and
    Interrupted when the row is no longer to be worked on."""

    def __init__(
        self,
        database: Database,
        downloads: Downloads,
        download: Download,
        read_release_size: ReadReleaseSize,
    ) -> None:
        self._database = database
        self._downloads = downloads
        self._id = download.id
        self._is_fresh = download.downloaded_bytes == 0
        self._read_release_size = read_release_size
        self._new_validator: Validator | None = None
        self._expectation: Expectation | None = None

    def restart(self, reason: str, validator: Validator) -> None:
        self._new_validator = None
        self._must(self._downloads.restart(self._id, reason, validator))

    def expect(self, size: int, source: str, mismatch: bool) -> None:
        """Of a small file noted with its first bytes: they are there before anybody could look."""
        self._expectation = Expectation(size, source, mismatch)
        if size > SMALL_BYTES or not self._is_fresh:
            expectation, validator = self._take_expectation(), self._take_validator()
            self._must(self._downloads.expect(self._id, expectation, validator))

    def identify(self, validator: Validator) -> None:
        """Noted with the next record: a version matters only once bytes of it are claimed."""
        self._new_validator = validator

    def checkpoint(self, offset: int) -> None:
        """Called from a helper thread of the transfer as well, which needs a connection of its
        own.
        """
        with self._database.connection():
            expectation, validator = self._take_expectation(), self._take_validator()
            self._must(self._downloads.checkpoint(self._id, offset, validator, expectation))

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

    def _take_expectation(self) -> Expectation | None:
        expectation, self._expectation = self._expectation, None
        return expectation

    def _must(self, changed: bool) -> None:
        if not changed:
            raise Interrupted(f"download {self._id} is not to be worked on any more")
