"""ONE attempt at bringing one remote file to disk, durably. Retrying, and what an error means, is
the caller's business."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass

import requests

from jack.errors import ProtocolError, TransientError
from jack.model import Validator
from jack.support.clock import Clock
from jack.support.http import Wire
from jack.support.statuses import error_for_status
from jack.support.waits import ASK_AGAIN_SECONDS
from jack.transfer import ranges
from jack.transfer.body import (
    ALL_WAYS,
    BrokenFraming,
    Reader,
    Way,
    keep_connection,
    open_reader,
    unwrapped,
)
from jack.transfer.checkpoints import Checkpoints, Rhythm
from jack.transfer.compare import Compared, OtherBytes, overlap_bytes
from jack.transfer.part import Part
from jack.transfer.patience import Patience
from jack.transfer.sink import Plain, Sink, open_sink
from jack.transfer.sizes import checked_size
from jack.transfer.space import SpaceLedger
from jack.transfer.terms import (
    Ledger,
    OpenFile,
    Outcome,
    Progress,
    TransferSettings,
    TransferState,
)
from jack.transfer.verdicts import Anew, Append, Asked, Complete, Fresh, Verdict, judge

__all__ = [
    "Engine",
    "Ledger",
    "OpenFile",
    "Outcome",
    "Progress",
    "TransferSettings",
    "TransferState",
]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Tools:
    settings: TransferSettings
    clock: Clock
    space: SpaceLedger
    ways: frozenset[Way]


class Engine:
    """Runs attempts; one instance serves all threads."""

    def __init__(
        self,
        settings: TransferSettings,
        clock: Clock,
        space: SpaceLedger,
        ways: frozenset[Way] = ALL_WAYS,
    ) -> None:
        self._tools = _Tools(settings, clock, space, ways)

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
        progress.start_offset = progress.end_offset = progress.received_offset = state.offset
        with Part(state.part, state.dest, self._tools.settings.file_mode, state.maker) as part:
            attempt = _Attempt(self._tools, state, ledger, open_file, wire, progress, part)
            size = attempt.run()
        return Outcome(size, progress.restarted, progress.if_range_ignored)


class _Attempt:
    def __init__(
        self,
        tools: _Tools,
        state: TransferState,
        ledger: Ledger,
        open_file: OpenFile,
        wire: Wire,
        progress: Progress,
        part: Part,
    ) -> None:
        self._tools = tools
        self._settings = tools.settings
        self._state = state
        self._ledger = ledger
        self._open_file = open_file
        self._wire = wire
        self._progress = progress
        self._part = part
        self._offset = state.offset
        self._expected = state.expected
        self._validator = state.validator
        self._overlap = overlap_bytes(state.fruitless)

    def run(self) -> int:
        self._wire.check()
        recorded = self._expected or None
        if self._part.already_delivered(recorded) and recorded is not None:
            return recorded
        begun = self._tools.clock.monotonic()
        self._open_part()
        if recorded is not None and recorded == self._offset:
            size = self._finish(recorded)
        else:
            size = self._fetch()
        while reason := self._why_changed_meanwhile(begun):
            self._restart(reason, Validator())
            size = self._fetch()
        return self._deliver(size)

    def _why_changed_meanwhile(self, begun: float) -> str | None:
        """A peer that cannot be asked or does not say has sent a whole file all the same."""
        seconds = self._tools.clock.monotonic() - begun
        if self._state.offset == 0 and seconds < ASK_AGAIN_SECONDS:
            return None
        return self._ledger.why_outdated(self._validator)

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
        if length is not None and self._part.inode != self._state.part_inode:
            self._ledger.made(self._part.inode)  # on record before it is cut or written
        is_tied = ranges.is_strong(self._validator.etag)
        if self._offset and self._state.is_old and not is_tied:
            reason = self._ledger.why_outdated(self._validator)
            if reason is not None:
                self._restart(reason, Validator())

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
        self._progress.end_offset = self._progress.received_offset = 0
        self._progress.restarted = True

    def _fetch(self) -> int:
        """Ask, and again in other words when the answer goes on with something else than we have or
        leaves open what it is. Each of the other questions is asked at most once."""
        is_tied = ranges.is_strong(self._validator.etag)
        question = self._question(self._offset if is_tied else self._offset - self._overlap)
        while True:
            asked = ranges.request_headers(
                question.offset, self._validator, self._state.use_if_range, question.ranged
            )
            with contextlib.closing(self._open_file(asked, self._wire)) as response:
                verdict = self._judge(question, response)
                other = self._other_question(question, verdict)
                if other is None and not isinstance(verdict, Anew):
                    try:
                        return self._take(verdict, response, question, "If-Range" in asked)
                    except OtherBytes as error:
                        self._restart(str(error), Validator())
                    except BrokenFraming as error:
                        self._restart(str(error), Validator())
                        raise
            if other is None and isinstance(verdict, Anew):
                self._restart(verdict.reason, Validator())
            question = other or self._question(0)

    def _question(self, offset: int, learn_size: bool = False) -> Asked:
        offset, have = max(0, offset), self._offset
        return Asked(offset, have, self._expected, self._validator, have > 0 or learn_size)

    def _other_question(self, question: Asked, verdict: Verdict) -> Asked | None:
        """What has to be asked before this answer can be used, or instead of it."""
        if isinstance(verdict, Append) and 0 < question.offset == self._offset:
            etag = verdict.validator.etag
            if etag != self._validator.etag or not ranges.is_strong(etag):
                return self._question(self._offset - self._overlap)
        if isinstance(verdict, Anew) and self._offset == 0:
            self._check_size(None)  # the size was asked for, and this is no answer to that
        unsized = isinstance(verdict, Fresh) and verdict.size is None
        if unsized and self._known_size() is None and not question.ranged:
            return self._question(0, learn_size=True)
        return None

    def _judge(self, question: Asked, response: requests.Response) -> Verdict:
        now = self._tools.clock.now()
        if response.status_code == 204:
            self._check_size(0)
        headers = ranges.Headers.of(response.raw)
        try:
            verdict = judge(question, response.status_code, headers)
        except ProtocolError as error:
            raise ProtocolError(f"{self._state.who}: {error}") from error
        if verdict is None:
            raise error_for_status(
                self._state.who, "the file", response.status_code, response.headers, now
            )
        return verdict

    def _take(
        self,
        verdict: Append | Fresh | Complete,
        response: requests.Response,
        question: Asked,
        if_range: bool,
    ) -> int:
        if isinstance(verdict, Fresh):
            self._progress.if_range_ignored |= if_range and verdict.if_range_ignored
            return self._take_whole(verdict, response)
        size = self._settle_size(verdict.total, "content_range")
        self._identify(ranges.merged(self._validator, verdict.validator))
        if isinstance(verdict, Complete):
            response.close()
            return self._finish(size)
        self._receive(response, question.offset, verdict.end, size)
        if verdict.end < size:
            raise TransientError(
                f"{self._state.who} sent the bytes up to {verdict.end} only, of {size}"
            )
        return size

    def _take_whole(self, verdict: Fresh, response: requests.Response) -> int:
        self._check_size(verdict.size if verdict.size is not None else self._known_size())
        if verdict.reason is not None:
            self._restart(verdict.reason, verdict.validator)
        else:
            self._identify(verdict.validator)
        size = self._settle_size(verdict.size, "content_length")
        self._receive(response, 0, size, size)
        return size

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
        return checked_size(self._state.who, size, limit, self._state.announced)

    def _receive(self, response: requests.Response, start: int, goal: int, size: int) -> None:
        """Take the body, which begins at byte `start`, until the file is `goal` bytes long, of
        `size` in the end. What of it is on disk already is compared.

        A new file is created only when there is room for it; cutting an old one makes room.
        """
        part, who = self._part, self._state.who
        part.cut(self._offset)
        with (
            self._tools.space.reserve(self._state.part.parent, size - self._offset) as reservation,
            self._recorded() as checkpoints,
            contextlib.closing(response),
        ):
            part.create(self._ledger.made)
            with (
                self._sink(response, start, goal) as sink,
                self._reader(response, sink) as reader,
            ):
                told = self._offset
                while (taken := sink.end) < goal:
                    self._wire.check()
                    if not reader.step(goal - taken):
                        self._wire.check()
                        missing = goal - taken
                        raise TransientError(f"{who}: the connection ended {missing} bytes early")
                    reservation.used(max(0, sink.end - max(taken, self._offset)))
                    self._progress.received_offset = max(sink.end, self._offset)
                    if told < part.end < goal:
                        told = part.end
                        checkpoints.wrote(told)
            keep_connection(response.raw, goal - start, self._wire)

    @contextlib.contextmanager
    def _sink(self, response: requests.Response, start: int, goal: int) -> Iterator[Sink]:
        """Blocks only for a reader that does not sit in urllib3 while a block waits for company."""
        blocks = {Way.BLOCKS, Way.RECEIVE} <= self._tools.ways
        wanted, settings = max(0, goal - self._offset), self._settings
        lengths = (settings.checkpoint_bytes, settings.block_bytes)
        with contextlib.ExitStack() as stack:
            sink: Sink = Plain(self._part, wanted)
            if blocks and unwrapped(response.raw, self._wire) is not None:
                opened = open_sink(self._part, wanted, *lengths, self._tools.clock)
                sink = stack.enter_context(opened)
            yield Compared(self._part, sink, start) if start < self._offset else sink

    def _reader(
        self, response: requests.Response, sink: Sink
    ) -> contextlib.AbstractContextManager[Reader]:
        clock, who = self._tools.clock, self._state.who
        patience = Patience(who, self._wire, clock, self._settings.idle_timeout_seconds)
        return open_reader(response.raw, self._wire, sink, patience, clock, self._tools.ways)

    @contextlib.contextmanager
    def _recorded(self) -> Iterator[Checkpoints]:
        """Checkpoints while the block runs; at its end, however it ends, all that was received is
        made durable and recorded."""
        rhythm = Rhythm(self._settings.checkpoint_bytes, self._settings.checkpoint_interval_seconds)
        checkpoints = Checkpoints(
            self._part.sync,
            self._ledger.checkpoint,
            rhythm,
            self._tools.clock,
            self._offset,
            self._wire.abort,
        )
        try:
            yield checkpoints
        finally:
            self._wire.bind(None)  # its socket may serve another exchange from now on
            try:
                checkpoints.finish(self._part.end)
            finally:
                self._progress.end_offset = checkpoints.durable

    def _finish(self, size: int) -> int:
        """All bytes were on disk already, by an earlier attempt's account."""
        self._part.cut(size)
        self._part.sync()
        return size

    def _deliver(self, size: int) -> int:
        self._wire.check()  # the last moment at which a cancel is not too late
        self._part.deliver(size)
        return size
