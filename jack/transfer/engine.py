"""ONE attempt at bringing one remote file to disk, durably. Retrying, and what an error means, is
the caller's business."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import requests

from jack.errors import PermanentError, ProtocolError, TransientError
from jack.model import Validator
from jack.support.clock import Clock
from jack.support.files import shown
from jack.support.http import Wire
from jack.support.statuses import error_for_status
from jack.transfer import ranges
from jack.transfer.answers import Anew, Append, Complete, Fresh, Question, Verdict, judge
from jack.transfer.body import ALL_WAYS, Way, open_reader, receive
from jack.transfer.checkpoints import Checkpoints, Rhythm
from jack.transfer.part import Part
from jack.transfer.patience import Patience
from jack.transfer.space import SpaceLedger, human

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TransferSettings:
    """The numbers of the config's `downloads` block that a transfer needs."""

    idle_timeout_seconds: float
    checkpoint_bytes: int
    checkpoint_interval_seconds: float
    max_file_bytes: int
    file_mode: int


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

    def identify(self, validator: Validator) -> None:
        """The version of the file that is being fetched."""

    def checkpoint(self, offset: int) -> None:
        """Bytes [0, offset) are on disk."""

    def reread_release_size(self) -> int | None:
        """Ask the peer for the metadata once more; None when it cannot be had."""


OpenFile = Callable[[Mapping[str, str], Wire], requests.Response]
"""GET the file with these headers; any status is returned, its body unread. Raises jack's
errors."""


@dataclass
class Progress:
    """What an attempt has done so far, readable after success and failure alike. Offsets are
    durable ones. `if_range_ignored`: If-Range with the file's own ETag was answered with the whole
    file."""

    start_offset: int = 0
    end_offset: int = 0
    restarted: bool = False
    if_range_ignored: bool = False


@dataclass(frozen=True)
class Outcome:
    """The complete file of `size` bytes stands under its final name, durably."""

    size: int
    restarted: bool
    if_range_ignored: bool


class Engine:
    """Runs attempts; one instance serves all threads."""

    def __init__(
        self,
        settings: TransferSettings,
        clock: Clock,
        space: SpaceLedger,
        ways: frozenset[Way] = ALL_WAYS,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._space = space
        self._ways = ways

    def run(
        self,
        state: TransferState,
        ledger: Ledger,
        open_file: OpenFile,
        wire: Wire,
        progress: Progress | None = None,
    ) -> Outcome:
        """Bring the file to `state.dest`, from the recorded offset on where the peer allows it.

        Returns only when it stands there complete and synced. Whatever is raised (jack's errors
        only), every byte received before is on disk and recorded, unless the disk itself has
        failed. `wire.abort` from any thread ends the attempt in about a second.
        """
        progress = progress if progress is not None else Progress()
        progress.start_offset = progress.end_offset = state.offset
        with Part(state.part, state.dest, self._settings.file_mode) as part:
            attempt = _Attempt(self, state, ledger, open_file, wire, progress, part)
            size = attempt.run()
        return Outcome(size, progress.restarted, progress.if_range_ignored)


class _Attempt:
    def __init__(
        self,
        engine: Engine,
        state: TransferState,
        ledger: Ledger,
        open_file: OpenFile,
        wire: Wire,
        progress: Progress,
        part: Part,
    ) -> None:
        self._settings = engine._settings
        self._clock = engine._clock
        self._space = engine._space
        self._ways = engine._ways
        self._state = state
        self._ledger = ledger
        self._open_file = open_file
        self._wire = wire
        self._progress = progress
        self._part = part
        self._offset = state.offset
        self._expected = state.expected
        self._validator = state.validator

    def run(self) -> int:
        self._wire.check()
        recorded = self._expected or None
        if self._part.already_delivered(recorded if recorded == self._offset else None):
            return self._offset
        self._open_part()
        if recorded is not None and recorded == self._offset:
            self._check_size(recorded)
            return self._finish(recorded)
        return self._fetch()

    def _open_part(self) -> None:
        length = self._part.open()
        if self._offset and length is None:
            self._restart(f"{self._state.part.name} is gone", Validator())
        elif length is not None and length < self._offset:
            self._restart(
                f"{self._state.part.name} has {length} bytes and is shorter than recorded"
                f" ({self._offset})",
                Validator(),
            )

    def _restart(self, reason: str, validator: Validator) -> None:
        """Recorded before a byte on disk is touched: a crash in between must not mix two
        versions."""
        log.warning(
            "%s from %s starts again from byte 0: %s",
            self._state.dest.name,
            self._state.who,
            reason,
        )
        self._ledger.restart(reason, validator)
        self._offset = 0
        self._validator = validator
        self._progress.end_offset = 0
        self._progress.restarted = True

    def _fetch(self) -> int:
        """Ask, and once more from byte 0 when the answer goes on with something else than we
        have."""
        while True:
            asked = ranges.request_headers(self._offset, self._validator, self._state.use_if_range)
            with contextlib.closing(self._open_file(asked, self._wire)) as response:
                verdict = self._judge(response)
                if not isinstance(verdict, Anew):
                    return self._take(verdict, response, "If-Range" in asked)
            self._restart(verdict.reason, Validator())  # only ever follows a Range, so ends here

    def _judge(self, response: requests.Response) -> Verdict:
        question = Question(self._offset, self._expected, self._validator)
        now = self._clock.now()
        try:
            verdict = judge(question, response.status_code, _headers_of(response), now)
        except ProtocolError as error:
            raise ProtocolError(f"{self._state.who}: {error}") from error
        if verdict is None:
            raise error_for_status(
                self._state.who, "the file", response.status_code, response.headers, now
            )
        return verdict

    def _take(
        self, verdict: Append | Fresh | Complete, response: requests.Response, if_range: bool
    ) -> int:
        if isinstance(verdict, Fresh):
            self._progress.if_range_ignored |= if_range and verdict.if_range_ignored
            return self._take_whole(verdict, response)
        size = self._settle_size(verdict.total, "content_range")
        self._identify(ranges.merged(self._validator, verdict.validator))
        if isinstance(verdict, Complete):
            response.close()
            return self._finish(size)
        self._receive(response, verdict.end, size)
        if verdict.end < size:
            raise TransientError(
                f"{self._state.who} sent the bytes up to {verdict.end} only, of {size}"
            )
        return self._deliver(size)

    def _take_whole(self, verdict: Fresh, response: requests.Response) -> int:
        self._check_size(verdict.size if verdict.size is not None else self._known_size())
        if verdict.reason is not None:
            self._restart(verdict.reason, verdict.validator)
        else:
            self._identify(verdict.validator)
        size = self._settle_size(verdict.size, "content_length")
        self._receive(response, size, size)
        return self._deliver(size)

    def _identify(self, validator: Validator) -> None:
        if validator != self._validator:
            self._ledger.identify(validator)
            self._validator = validator

    def _known_size(self) -> int | None:
        return self._expected if self._expected is not None else self._state.release_size or None

    def _settle_size(self, stated: int | None, source: str) -> int:
        """How big the file must be, recorded. Between a transfer and a release that disagree even
        when asked again, the transfer is right: it has the file at hand."""
        known, mismatch = self._known_size(), False
        size = stated if stated is not None else known
        if stated is None:
            source = "release_size"
            if self._progress.restarted:  # perhaps another version: what we knew may be out of date
                size = self._ledger.reread_release_size() or known
        elif known is not None and stated != known:
            release_size = self._ledger.reread_release_size()
            mismatch = release_size != stated
            if mismatch:
                log.warning(
                    "%s from %s has %d bytes, though %d were announced; taking it as it comes",
                    self._state.dest.name,
                    self._state.who,
                    stated,
                    release_size or known,
                )
        size = self._check_size(size)
        if size != self._expected:
            self._ledger.expect(size, source, mismatch)
            self._expected = size
        return size

    def _check_size(self, size: int | None) -> int:
        limit = self._settings.max_file_bytes
        if size is None:
            raise PermanentError(
                f"neither the release nor {self._state.who}'s answer says how big the file is"
            )
        if size == 0:
            raise PermanentError(f"the file is empty at {self._state.who}")
        if size > limit:
            raise PermanentError(
                f"the file has {human(size)}, more than {human(limit)} are allowed (maxFileBytes)"
            )
        return size

    def _receive(self, response: requests.Response, goal: int, size: int) -> None:
        """Append the body up to `goal`; then, or when that fails, everything received is made
        durable."""
        folder = self._state.part.parent
        self._part.start_at(self._offset)
        with self._space.reserve(folder, size - self._offset) as reservation:
            checkpoints = self._checkpoints()
            try:
                try:
                    for moved in self._steps(response, goal):
                        reservation.used(moved)
                        if self._part.end < goal:
                            checkpoints.wrote(self._part.end)
                finally:
                    response.close()
                    self._wire.bind(None)  # its socket may serve another exchange from now on
                    checkpoints.finish(self._part.end)
            finally:
                self._progress.end_offset = checkpoints.durable

    def _steps(self, response: requests.Response, goal: int):  # type: ignore[no-untyped-def]
        state, settings = self._state, self._settings
        patience = Patience(state.who, self._wire, self._clock, settings.idle_timeout_seconds)
        with open_reader(
            response.raw,
            self._wire,
            self._part,
            patience,
            self._clock,
            goal - self._offset,
            self._ways,
        ) as reader:
            yield from receive(reader, self._part, goal, self._wire, state.who)

    def _checkpoints(self) -> Checkpoints:
        settings = self._settings
        return Checkpoints(
            self._part.sync,
            self._ledger.checkpoint,
            Rhythm(settings.checkpoint_bytes, settings.checkpoint_interval_seconds),
            self._clock,
            self._offset,
            self._wire.abort,
        )

    def _finish(self, size: int) -> int:
        """All bytes were on disk already, by an earlier attempt's account."""
        self._part.start_at(size)
        self._part.sync()
        return self._deliver(size)

    def _deliver(self, size: int) -> int:
        self._wire.check()  # the last moment at which a cancel is not too late
        self._part.deliver(size)
        return size


def _headers_of(response: requests.Response) -> ranges.Headers:
    """Every header line on its own: requests joins those of one name, which hides
    contradictions."""
    raw = response.raw.headers
    return ranges.Headers({shown_name.lower(): raw.getlist(shown_name) for shown_name in raw})
