"""What a transfer records, written into its row: the bridge between the disk's truth and the
database's.
"""

from __future__ import annotations

from jack.downloads.remote import RemoteFile
from jack.errors import Interrupted, JackError, PermanentError
from jack.model import Download, Expectation, Release, Validator
from jack.peers.protocol import release_to_json
from jack.store.database import Database
from jack.store.downloads import Downloads

SMALL_BYTES = 1024 * 1024
MAX_RESTARTS = 20
"""So often a download may lose all its bytes, whoever is to blame, until a person says retry."""


class RowLedger:
    """What a call records is committed when it returns. Raises StorageError when it is not, and
    Interrupted when the row is no longer to be worked on."""

    def __init__(
        self,
        database: Database,
        downloads: Downloads,
        download: Download,
        remote: RemoteFile,
    ) -> None:
        self._database = database
        self._downloads = downloads
        self._id = download.id
        self._has_bytes = download.downloaded_bytes > 0
        self._has_part = self._has_bytes or download.part_inode is not None
        self._small_size: int | None = None
        """Of a small file that is fetched in one go: its row names the `.part`, so the final name
        on that very file says as much as a record of its bytes would."""
        self._restarts = download.restarts
        self._release_size = download.release_size
        self._remote = remote
        self._newer: Release | None = None
        """The metadata of another file than the one on disk; noted once that is given up."""
        self._new_validator: Validator | None = None
        self._expectation: Expectation | None = None

    def restart(self, reason: str, validator: Validator) -> None:
        self._new_validator = None
        self._must(self._downloads.restart(self._id, reason, validator))
        self._restarts += 1
        if self._restarts > MAX_RESTARTS:
            raise PermanentError(
                f"{self._remote.who}'s file was started again from byte 0 {self._restarts} times,"
                f" the last time because {reason}"
            )
        newer, self._newer = self._newer, None
        if newer is None:
            self.reread_release_size()  # what comes now is held against what is said of it now
        else:
            self._note(newer)

    def expect(self, size: int, source: str, mismatch: bool) -> None:
        """A new download's is recorded with its `.part`, which comes next; a small file's otherwise
        with its first bytes: they are there before anybody could look."""
        self._expectation = Expectation(size, source, mismatch)
        if self._has_part and (self._has_bytes or size > SMALL_BYTES):
            self.note()

    def made(self, part_inode: int) -> None:
        expectation, validator = self._take_expectation(), self._take_validator()
        self._must(self._downloads.expect(self._id, expectation, validator, part_inode))
        if not self._has_part and expectation is not None and expectation.size <= SMALL_BYTES:
            self._small_size = expectation.size

    def note(self) -> None:
        """Record what is known of the size, when it is not yet: there may have been no room for a
        `.part` to record it with."""
        expectation, validator = self._take_expectation(), self._take_validator()
        if expectation is not None:
            self._must(self._downloads.expect(self._id, expectation, validator))

    def identify(self, validator: Validator) -> None:
        """Noted with the next record: a version matters only once bytes of it are claimed."""
        self._new_validator = validator

    def checkpoint(self, offset: int) -> None:
        """Called from a helper thread of the transfer as well, which needs a connection of its
        own.
        """
        if offset == self._small_size:
            return
        with self._database.connection():
            expectation, validator = self._take_expectation(), self._take_validator()
            self._must(self._downloads.checkpoint(self._id, offset, validator, expectation))

    def reread_release_size(self) -> int | None:
        """None when the metadata cannot be had; the transfer then trusts what it was told
        itself.
        """
        try:
            release = self._remote.release()
        except Interrupted:
            raise
        except JackError:
            return None
        self._note(release)
        return release.size

    def why_outdated(self, validator: Validator) -> str | None:
        with self._database.connection():
            told = self._downloads.release_of(self._id)
        try:
            reason, self._newer = self._remote.why_outdated(validator, self._release_size, told)
        except Interrupted:
            raise
        except JackError:
            return None
        return reason

    def _note(self, release: Release) -> None:
        self._release_size = release.size
        noted = self._downloads.set_release(self._id, release.size, release_to_json(release))
        self._must(noted)

    def _take_validator(self) -> Validator | None:
        validator, self._new_validator = self._new_validator, None
        return validator

    def _take_expectation(self) -> Expectation | None:
        expectation, self._expectation = self._expectation, None
        return expectation

    def _must(self, changed: bool) -> None:
        if not changed:
            raise Interrupted(f"download {self._id} is not to be worked on any more")
