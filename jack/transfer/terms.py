"""What a transfer and its caller tell each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import requests

from jack.model import Validator
from jack.support.http import Wire
from jack.support.own import Maker


@dataclass(frozen=True)
class TransferSettings:
    """The numbers of the config's `downloads` block that a transfer needs."""

    idle_timeout_seconds: float
    checkpoint_bytes: int
    checkpoint_interval_seconds: float
    max_file_bytes: int
    file_mode: int
    block_bytes: int
    """Of a long body so much is gathered before it is written."""


@dataclass(frozen=True)
class TransferState:
    """What the row knows when the attempt starts. Sizes in bytes; `release_size` 0 means
    unknown."""

    who: str
    """The peer's name, for sentences."""
    dest: Path
    part: Path
    offset: int
    """Bytes [0, offset) of `part` are on disk."""
    expected: int | None
    """The size recorded once a transfer or the release stated it."""
    release_size: int
    validator: Validator
    use_if_range: bool = True
    fruitless: int = 0
    """Attempts in a row before this one that brought nothing new."""
    is_old: bool = False
    """The bytes on disk are not from just now: the peer may have another file since."""
    announced: int | None = None
    """What stub and metadata have said at the grab."""
    part_inode: int | None = None
    """Of the `.part` that this download made, when that is on record."""

    @property
    def maker(self) -> Maker:
        return Maker(self.part_inode, self.offset)


class Ledger(Protocol):
    """Where a transfer records what it knows; every call is durable when it returns.

    `checkpoint` is called from a helper thread as well. Any call may raise Interrupted or
    StorageError.
    """

    def restart(self, reason: str, validator: Validator) -> None:
        """All bytes on disk are given up; the next ones belong to the version `validator` names."""

    def expect(self, size: int, source: str, mismatch: bool) -> None:
        """`size` is what the file must have; `source` is "content_length", "content_range" or
        "release_size". `mismatch`: the release says otherwise."""

    def made(self, part_inode: int) -> None:
        """The `.part` of that inode is this download's: before its first byte, or its first cut."""

    def identify(self, validator: Validator) -> None:
        """The version of the file that is being fetched."""

    def checkpoint(self, offset: int) -> None:
        """Bytes [0, offset) are on disk."""

    def reread_release_size(self) -> int | None:
        """Ask the peer for the metadata once more; None when it cannot be had."""

    def why_outdated(self, validator: Validator) -> str | None:
        """Ask the peer, without fetching, whether it still has the file of which `validator` is
        known: why it has another one now, None when it has not or does not say."""


OpenFile = Callable[[Mapping[str, str], Wire], requests.Response]
"""GET the file with these headers; any status is returned, its body unread. Raises jack's
errors."""


@dataclass
class Progress:
    """What an attempt has done so far, readable after success and failure alike. Offsets are
    durable ones, but for `received_offset`, which any thread may read while it runs.
    `if_range_ignored`: If-Range with the file's own ETag was answered with the whole file."""

    start_offset: int = 0
    end_offset: int = 0
    received_offset: int = 0
    """Bytes [0, received_offset) of the file have arrived, safe on disk or not."""
    restarted: bool = False
    if_range_ignored: bool = False


@dataclass(frozen=True)
class Outcome:
    """The complete file of `size` bytes stands under its final name, durably."""

    size: int
    restarted: bool
    if_range_ignored: bool
