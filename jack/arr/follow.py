"""The import of one file by one server, from the question what it is for to the proof in history.

    look    is it imported already? what was it grabbed for? would the server take it?
    ask     one command, recorded before it goes out; whether it arrived is found out if need be
    follow  until it has ended; then only the history is believed

Every step may be repeated after a restart. Nothing is downloaded again, whatever happened to the
file, and a command is sent at most once an hour.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from datetime import datetime, timedelta
from pathlib import Path

from jack.arr.api import NotThere
from jack.arr.handover import Handover, Journal, Pauses, Proof, is_gone
from jack.arr.history import Grab
from jack.arr.manual import CommandState, DryRun, ImportApi, quoted
from jack.errors import PeerRefused, PeerUnreachable, PermanentError, ProtocolError
from jack.support.clock import Clock
from jack.support.files import shown
from jack.support.http import Wire

ASK_AGAIN = timedelta(hours=1)
MAX_ASKS = 3
"""Commands that end without a result and without a reason; then a person has to look."""
OTHERS_PAUSES = Pauses(5.0, 60.0)
"""Between looks whether the other servers have said by now if they had grabbed it."""
WATCH_SECONDS = 300.0
"""Between looks at the history of a server of which nothing is awaited ..."""
WATCH_AGAIN_SECONDS = 2.0
"""... and at least, however many downloads begin."""
GRAB_FRESH = timedelta(seconds=60)
"""The *arr writes its record after the stub; a download may be complete before that."""
GRAB_LOOKS = 4
GRAB_PAUSE_SECONDS = 2.0
END_LOOKS = 4
"""How often the history is asked after the end of a command, and about a file that is gone ..."""
END_PAUSES = Pauses(1.0, 30.0)
"""... with these pauses between."""
RUN_PAUSES = Pauses(1.0, 30.0)
"""Between looks at a command: its result is to be had for five minutes after its end."""
LONGEST_LOOK_SECONDS = 300.0


class Import:
    """The errand of one file in the lane of one server."""

    def __init__(
        self,
        handover: Handover,
        api: ImportApi,
        journal: Journal,
        clock: Clock,
        gone: Callable[[Path], bool] = is_gone,
    ) -> None:
        self.handover = handover
        self.key: Hashable = handover.download_id
        self._id = handover.download_id
        self._api = api
        self._name = api.server.name
        self._journal = journal
        self._clock = clock
        self._gone = gone
        self._path = str(handover.path)
        self._asked_at = handover.mark.asked_at
        self._asks = handover.mark.asks
        self._after = handover.mark.after
        self._command_id = handover.mark.command_id
        self._recorded = True
        self._ended: CommandState | None = None
        self._forgotten = False
        """The server does not know the command any more: it was started anew."""
        self._has_history = True
        self._grab: Grab | None = None
        self._looks = 0
        self._pause = 0.0
        self._others: list[str] = []
        """Who may have grabbed it instead, and has not said so far."""

    def __str__(self) -> str:
        return str(self.handover)

    def step(self, wire: Wire) -> float | None:
        """See `Errand`."""
        if not self._recorded:
            return self._accepted()
        if self._command_id is not None:
            return self._follow(wire)
        if self._asked_at is not None:
            return self._find_command(wire)
        return self._look(wire)

    def postponed(self, sentence: str, next_attempt_at: datetime) -> None:
        """See `Errand`."""
        self._journal.postponed(self._id, self._name, sentence, next_attempt_at)

    # -- look --------------------------------------------------------------------------------------

    def _look(self, wire: Wire) -> float | None:
        if self._others and self._waits_for_others():
            return self._next(OTHERS_PAUSES)
        if self._is_imported(wire):
            return None
        if self._has_history and self._gone(self.handover.path):
            return self._missing()
        grab = self._find_grab(wire)
        if grab is None and self._may_be_written_yet():
            self._looks += 1
            return GRAB_PAUSE_SECONDS
        self._looks = 0
        if grab is None:
            return self._ask_by_name(wire)
        return self._ask_for(grab, wire)

    def _ask_by_name(self, wire: Wire) -> float | None:
        if self._waits_for_others():
            return self._tell_of_others()
        return self._ask(lambda: self._api.scan(self._path, wire))

    def _ask_for(self, grab: Grab, wire: Wire) -> float | None:
        self._journal.claimed(self._id, self._name)
        run = self._api.dry_run(self._path, grab, wire)
        if self._is_overtaken(run, wire):
            return 0.0
        if run is None:
            raise PermanentError(self._unseen())
        if run.permanent:
            return self._rejected(quoted(run.permanent))
        if run.temporary:
            raise PermanentError(f"{self._name} does not import it yet: {quoted(run.temporary)}")
        return self._ask(lambda: self._api.order(self._path, grab, run, wire))

    def _find_grab(self, wire: Wire) -> Grab | None:
        if not self._has_history:
            return None
        try:
            found = self._api.history.grab(self.handover.info_hash, self.handover.guid, wire)
        except NotThere:
            self._has_history = False
            return None
        self._grab = found if found is not None and found.names_something else None
        return self._grab

    def _may_be_written_yet(self) -> bool:
        completed_at = self.handover.completed_at
        if not self._has_history or completed_at is None or self._looks >= GRAB_LOOKS:
            return False
        return self._clock.now() - completed_at < GRAB_FRESH

    def _is_overtaken(self, run: DryRun | None, wire: Wire) -> bool:
        """Whether the server's own scanner came between the look and the dry run. Then what that
        says is no verdict: the file is gone, or is "not an upgrade" of itself.
        """
        if run is not None and not run.permanent:
            return False
        return self._gone(self.handover.path) or bool(self._proofs(wire))

    def _waits_for_others(self) -> bool:
        """This server has not grabbed it. Whether another one may have: then it is that one's, and
        the title of the file is no reason to give it to this one.
        """
        self._others = self._journal.denied(self._id, self._name)
        return bool(self._others)

    def _tell_of_others(self) -> float:
        pause = self._next(OTHERS_PAUSES)
        self._journal.postponed(
            self._id,
            self._name,
            f"{self._name} has not grabbed it, and {' and '.join(self._others)} may have but cannot"
            " be asked yet: jack waits for the answer",
            self._clock.now() + timedelta(seconds=pause),
        )
        return pause

    def _unseen(self) -> str:
        return (
            f"{self._name} does not see {shown(self._api.seen_as(self._path))}: mount the folder"
            " there too, or correct the pathMap of this server; jack doctor shows the line"
        )

    # -- ask ---------------------------------------------------------------------------------------

    def _ask(self, send: Callable[[], int]) -> float | None:
        if not self._journal.asking(self._id, self._name):
            return None  # another server has claimed it
        self._asked_at, self._asks = self._clock.now(), self._asks + 1
        try:
            self._command_id = send()
        except (PeerUnreachable, PeerRefused, ProtocolError, PermanentError):
            self._not_asked()
            raise
        # After any other error the command may have arrived: see `_find_command`.
        self._ended, self._forgotten, self._looks, self._pause = None, False, 0, 0.0
        return self._accepted()

    def _not_asked(self) -> None:
        self._asked_at, self._asks = None, self._asks - 1
        self._journal.not_asked(self._id, self._name)

    def _accepted(self) -> float:
        assert self._command_id is not None  # noqa: S101  (for the type checker)
        self._recorded = False  # until the next line has returned; the command is not sent twice
        self._journal.accepted(self._id, self._name, self._command_id)
        self._recorded = True
        return self._next(RUN_PAUSES)

    def _find_command(self, wire: Wire) -> float | None:
        """A command was about to be sent when the answer, or jack itself, was cut off."""
        self._command_id = self._api.find_command(self._path, wire)
        if self._command_id is not None:
            return self._accepted()
        self._not_asked()
        return self._look(wire)

    # -- follow ------------------------------------------------------------------------------------

    def _follow(self, wire: Wire) -> float | None:
        running = self._is_running(wire)
        gone = self._gone(self.handover.path)
        if running and not gone:
            return self._next(RUN_PAUSES)
        if self._is_imported(wire):
            return None
        if running:
            return self._next(RUN_PAUSES)
        if not self._has_history:
            return None  # nothing more can be known; it stays `import_queued`
        if gone:
            return self._missing()
        self._looks += 1
        if self._looks < END_LOOKS:
            return self._next(END_PAUSES)
        return self._conclude(wire)

    def _is_running(self, wire: Wire) -> bool:
        if self._ended is not None or self._forgotten or self._command_id is None:
            return False
        try:
            state = self._api.state(self._command_id, wire)
        except NotThere:
            self._forgotten = True
        else:
            if state.running:
                return True
            self._ended = state
        self._pause = 0.0
        return False

    def _conclude(self, wire: Wire) -> float | None:
        """The command has ended, the file is still here, and no history says that it was imported:
        the dry run says why.
        """
        run = self._api.dry_run(self._path, self._known_grab(wire), wire)
        if self._is_overtaken(run, wire):
            self._looks, self._pause = 0, 0.0
            return 0.0
        if run is None:
            return self._rejected(self._unseen(), own_words=False)
        if run.permanent:
            return self._rejected(quoted(run.permanent))
        if not run.temporary and self._asks >= MAX_ASKS:
            return self._rejected(
                f"{self._name} was asked {self._asks} times and its history does not show the"
                " import; its log (System > Log Files) says why",
                own_words=False,
            )
        if not run.temporary and self._ended is not None and self._ended.failed:
            said = f": {shown(self._ended.message)}" if self._ended.message else ""
            return self._rejected(
                f"{self._name} did not import it{said}; its log says why", own_words=False
            )
        return self._ask_again_later()

    def _known_grab(self, wire: Wire) -> Grab | None:
        return self._grab or self._find_grab(wire)

    def _ask_again_later(self) -> float:
        """At most one command an hour; until then the history may still come to show it."""
        waited = self._clock.now() - (self._asked_at or self._clock.now())
        left = (ASK_AGAIN - waited).total_seconds()
        if self._asked_at is not None and left > 0:
            return min(left, LONGEST_LOOK_SECONDS)
        self._asked_at = self._command_id = None
        return 0.0

    # -- outcomes ----------------------------------------------------------------------------------

    def _is_imported(self, wire: Wire) -> bool:
        """Whether a record proves it, one that proves no other download; then that is on record."""
        proofs = self._proofs(wire)
        return any(self._journal.imported(self._id, self._name, proof) for proof in proofs)

    def _proofs(self, wire: Wire) -> list[Proof]:
        history = self._api.history
        try:
            after = self._known_after(wire)
            found = []
            if after is not None:
                path = self._api.seen_as(self._path)
                found = history.imports(path, self.handover.info_hash, after, wire)
        except NotThere:
            self._has_history = False
            return []
        self._has_history = True
        self._journal.seen(self._name, history.highest)
        return found

    def _known_after(self, wire: Wire) -> int | None:
        """From which id on records can be of this file. A server that was not known when the file
        appeared has at least not imported it before now if it is here, or before it was grabbed.
        """
        if self._after is None:
            history = self._api.history
            newest = history.look(wire)
            if not self._gone(self.handover.path):  # looked at last: it is not in there
                self._after = newest
            else:
                grab = history.grab(self.handover.info_hash, self.handover.guid, wire)
                self._after = None if grab is None else max(grab.record_ids)
            if self._after is not None:
                self._journal.marked(self._id, self._name, self._after)
        return self._after

    def _rejected(self, words: str, own_words: bool = True) -> float | None:
        sentence = f"{self._name} rejects the import: {words}" if own_words else words
        self._journal.rejected(self._id, self._name, sentence)
        return None

    def _missing(self) -> float | None:
        """Gone: a question to history, asked a few times because a move is written down late."""
        self._looks += 1
        if self._looks <= END_LOOKS:
            return self._next(END_PAUSES)
        sentence = (
            f"the file is gone from {shown(str(self.handover.path.parent))}, and the history of"
            f" {self._name} does not show that it imported it; nothing is downloaded again by"
            " itself"
        )
        self._journal.lost(self._id, self._name, sentence)
        return None

    def _next(self, pauses: Pauses) -> float:
        self._pause = pauses.after(self._pause)
        return self._pause


class HistoryWatch:
    """The errand that never ends: what the highest id of a server's history is. Before a file has
    its name that is on record, so that no older record is taken for the proof of its import.
    """

    key: Hashable = "history"

    def __init__(self, api: ImportApi, journal: Journal, clock: Clock) -> None:
        self._api = api
        self._journal = journal
        self._clock = clock
        self._looked_at = -WATCH_SECONDS

    def __str__(self) -> str:
        return f"the history of {self._api.server.name}"

    def step(self, wire: Wire) -> float | None:
        """See `Errand`."""
        left = self._looked_at + WATCH_AGAIN_SECONDS - self._clock.monotonic()
        if left > 0:
            return left
        try:
            self._journal.seen(self._api.server.name, self._api.history.look(wire))
        except NotThere:
            return None  # a version without a history
        self._looked_at = self._clock.monotonic()
        return WATCH_SECONDS

    def postponed(self, sentence: str, next_attempt_at: datetime) -> None:
        """Nobody waits for it; that a server is down is in the log."""
