"""The import of one file by one server, from the question what it is for to the proof in history.

    look    is it imported already? what was it grabbed for? would the server take it?
    ask     one command, recorded before it goes out; whether it arrived is found out if need be
    follow  until it has ended; then only the history is believed

Every step may be repeated after a restart. Nothing is downloaded again, whatever happened to the
file, and a command is sent at most once an hour.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from jack.arr.api import NotThere
from jack.arr.history import Grab, Proof
from jack.arr.manual import CommandState, DryRun, ImportApi, quoted
from jack.errors import PeerRefused, PeerUnreachable, PermanentError, ProtocolError
from jack.imports.errands import Errand
from jack.imports.history_watch import look
from jack.imports.records import Records, named
from jack.model import Download
from jack.store.handovers import OpenHandover
from jack.support import waits
from jack.support.files import shown
from jack.support.http import Wire
from jack.support.pauses import Pauses

MAX_ASKS = 3
"""Commands that end without a result and without a reason; then a person has to look."""
GRAB_FRESH = timedelta(seconds=60)
"""The *arr writes its record after the stub; a download may be complete before that."""
GRAB_LOOKS = 4
END_LOOKS = 4
"""How often the history is asked after the end of a command, while the file is still there."""
GONE_LOOKS = 14
"""How often about a file that is gone, in five minutes: a slow disk is long in moving it, and the
record comes after that.
"""


class Import(Errand):
    """The errand of one finished file in the line of one server."""

    def __init__(
        self, download: Download, begun: OpenHandover, api: ImportApi, records: Records
    ) -> None:
        """`begun`: how far an earlier run had come."""
        self.key = self._id = download.id
        self._download = download
        self._api = api
        self._name = api.server.name
        self._records = records
        self._clock = records.clock
        self._path = str(download.dest_path)
        self._guid = download.stub.guid
        self._after = records.proofs.after(download.id, self._name)
        """The id of the history above which records can prove it, as known at the start."""
        self._asked_at = begun.asked_at
        self._asks = begun.asks
        self._command_id = begun.command_id
        self._recorded = True
        self._running = True
        """The command, as far as the server knows: one that was started anew knows none."""
        self._end: CommandState | None = None
        self._has_history = True
        self._grab: Grab | None = None
        self._looks = 0
        self._tries = 0
        """How often what is waited for was looked at: the pauses grow with it."""
        self._others: list[str] = []
        """Who may have grabbed it instead, and has not said so far."""

    def __str__(self) -> str:
        return named(self._download)

    def step(self, wire: Wire) -> float | None:
        if not self._recorded:
            return self._accepted()
        if self._command_id is not None:
            return self._follow(wire)
        if self._asked_at is not None:
            return self._find_command(wire)
        return self._look(wire)

    def postponed(self, sentence: str, next_attempt_at: datetime) -> None:
        self._records.downloads.import_postponed(self._id, sentence, next_attempt_at)

    # -- look --------------------------------------------------------------------------------------

    def _look(self, wire: Wire) -> float | None:
        if self._others and self._waits_for_others():
            return self._next(waits.OTHERS_PAUSES)
        if self._is_imported(wire):
            return None
        if self._has_history and self._is_gone():
            return self._missing()
        grab = self._find_grab(wire)
        if grab is None and self._may_be_written_yet():
            self._looks += 1
            return waits.GRAB_PAUSE_SECONDS
        self._looks = 0
        if grab is None:
            return self._ask_by_name(wire)
        return self._ask_for(grab, wire)

    def _ask_by_name(self, wire: Wire) -> float | None:
        if self._waits_for_others():
            return self._wait(
                f"{self._name} has not grabbed it, and {' and '.join(self._others)} may have but"
                " cannot be asked yet: jack waits for the answer"
            )
        return self._ask(wire, lambda: self._api.scan(self._path, wire))

    def _ask_for(self, grab: Grab, wire: Wire) -> float | None:
        self._records.handovers.claim(self._id, self._name)
        run = self._api.dry_run(self._path, grab, wire)
        if self._is_overtaken(run, wire):
            return 0.0
        if run is None:
            raise PermanentError(self._unseen())
        if run.permanent:
            self._records.rejected(self._download, self._name, self._refusal(run))
            return None
        if run.temporary:
            raise PermanentError(f"{self._name} does not import it yet: {quoted(run.temporary)}")
        return self._ask(wire, lambda: self._api.order(self._path, grab, run, wire))

    def _find_grab(self, wire: Wire) -> Grab | None:
        if not self._has_history:
            return None
        try:
            found = self._api.history.grab(self._download.info_hash, self._guid, wire)
        except NotThere:
            self._has_history = False
            return None
        self._grab = found if found is not None and found.names_something else None
        return self._grab

    def _may_be_written_yet(self) -> bool:
        completed_at = self._download.completed_at
        if not self._has_history or completed_at is None or self._looks >= GRAB_LOOKS:
            return False
        return self._clock.now() - completed_at < GRAB_FRESH

    def _is_overtaken(self, run: DryRun | None, wire: Wire) -> bool:
        """Whether the server's own scanner came between the look and the dry run. Then what that
        says is no verdict: the file is gone, or is "not an upgrade" of itself.
        """
        if run is not None and not run.permanent:
            return False
        return self._is_gone() or bool(self._proofs(wire))

    def _waits_for_others(self) -> bool:
        """This server has not grabbed it. Whether another one may have: then it is that one's, and
        the title of the file is no reason to give it to this one.
        """
        self._others = self._records.handovers.deny(self._id, self._name)
        return bool(self._others)

    def _wait(self, sentence: str) -> float:
        """For another server, or for another download."""
        pause = self._next(waits.OTHERS_PAUSES)
        self.postponed(sentence, self._clock.now() + timedelta(seconds=pause))
        return pause

    def _unseen(self) -> str:
        return (
            f"{self._name} does not see {shown(self._api.seen_as(self._path))}: mount the folder"
            " there too, or correct the pathMap of this server; jack doctor shows the line"
        )

    # -- ask ---------------------------------------------------------------------------------------

    def _ask(self, wire: Wire, send: Callable[[], int]) -> float | None:
        if self._has_history:
            look(self._api, self._records, wire)
        if not self._records.handovers.asking(self._id, self._name):
            return None  # another server has claimed it
        self._asked_at, self._asks = self._clock.now(), self._asks + 1
        try:
            self._command_id = send()
        except (PeerUnreachable, PeerRefused, ProtocolError, PermanentError):
            self._not_asked()
            raise
        # After any other error the command may have arrived: see `_find_command`.
        self._running, self._end, self._looks, self._tries = True, None, 0, 0
        return self._accepted()

    def _not_asked(self) -> None:
        self._asked_at, self._asks = None, self._asks - 1
        self._records.handovers.not_asked(self._id, self._name)

    def _accepted(self) -> float:
        assert self._command_id is not None  # noqa: S101  (for the type checker)
        self._recorded = False  # until the next line has returned; the command is not sent twice
        self._records.accepted(self._download, self._name, self._command_id)
        self._recorded = True
        return self._next(waits.RUN_PAUSES)

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
        gone = self._is_gone()
        if running and not gone:
            return self._next(waits.RUN_PAUSES)
        if self._is_imported(wire):
            return None
        if running:
            return self._next(waits.RUN_PAUSES)
        if not self._has_history:
            return None  # nothing more can be known; it stays `import_queued`
        if gone:
            return self._missing()
        self._looks += 1
        if self._looks < END_LOOKS:
            return self._next(waits.END_PAUSES)
        return self._conclude(wire)

    def _is_running(self, wire: Wire) -> bool:
        if self._running and self._command_id is not None:
            try:
                self._end = self._api.state(self._command_id, wire)
                self._running = self._end.running
            except NotThere:
                self._running = False
            self._tries = self._tries if self._running else 0
        return self._running

    def _conclude(self, wire: Wire) -> float | None:
        """The command has ended, the file is still here, and no history says that it was imported:
        the dry run says why.
        """
        run = self._api.dry_run(self._path, self._grab or self._find_grab(wire), wire)
        if self._is_overtaken(run, wire):
            self._looks = self._tries = 0
            return 0.0
        reason = self._why_not(run)
        if reason is None:
            return self._ask_again_later()
        self._records.rejected(self._download, self._name, reason)
        return None

    def _why_not(self, run: DryRun | None) -> str | None:
        """What a person has to see to; None when it may still come about by itself."""
        if run is None:
            return self._unseen()
        if run.permanent:
            return self._refusal(run)
        if run.temporary:
            return None
        if self._asks >= MAX_ASKS:
            return (
                f"{self._name} was asked {self._asks} times and its history does not show the"
                " import; its log (System > Log Files) says why"
            )
        if self._end is not None and self._end.failed:
            said = f": {shown(self._end.message)}" if self._end.message else ""
            return f"{self._name} did not import it{said}; its log says why"
        return None

    def _ask_again_later(self) -> float:
        """At most one command an hour; until then the history may still come to show it."""
        if self._asked_at is not None:
            waited = (self._clock.now() - self._asked_at).total_seconds()
            if waited < waits.IMPORT_AGAIN_SECONDS:
                return min(waits.IMPORT_AGAIN_SECONDS - waited, waits.UNDECIDED_LOOK_SECONDS)
        self._asked_at = self._command_id = None
        return 0.0

    # -- outcomes ----------------------------------------------------------------------------------

    def _is_imported(self, wire: Wire) -> bool:
        """Whether a record proves it, one that proves no other download; then that is on record."""
        proofs = self._proofs(wire)
        return any(self._records.imported(self._download, self._name, proof) for proof in proofs)

    def _proofs(self, wire: Wire) -> list[Proof]:
        history = self._api.history
        try:
            after = self._known_after(wire)
            found = []
            if after is not None:
                path = self._api.seen_as(self._path)
                found = history.imports(path, self._download.info_hash, after, wire)
        except NotThere:
            self._has_history = False
            return []
        self._has_history = True
        self._records.proofs.seen(self._name, history.highest)
        return found

    def _known_after(self, wire: Wire) -> int | None:
        """From which id on records can be of this file. A server that was not known when the file
        appeared has at least not imported it before now if it is here, or before it was grabbed.
        """
        proofs = self._records.proofs
        after = proofs.after(self._id, self._name)
        if after is None:
            newest = look(self._api, self._records, wire)
            if self._is_gone():  # looked at last: if it is here, it is not in there
                grab = self._api.history.grab(self._download.info_hash, self._guid, wire)
                after = None if grab is None else max(grab.record_ids)
            else:
                after = newest
            if after is not None:
                proofs.mark(self._id, self._name, after)
        return after

    def _is_gone(self) -> bool:
        return self._records.volumes.is_gone(self._download.dest_path)

    def _refusal(self, run: DryRun) -> str:
        return f"{self._name} rejects the import: {quoted(run.permanent)}"

    def _missing(self) -> float | None:
        """Gone: a question to history, asked a few times because a move is written down late. A
        record may be of an earlier download of that path, which is to find its own first.
        """
        proofs = self._records.proofs
        earlier = proofs.earlier(self._id, self._name)
        if earlier is not None:
            self._looks = 0
            return self._wait(
                f"the file is gone, and {self._name} is asked first whether it has imported"
                f" download {earlier}, which had the same path"
            )
        self._looks += 1
        if self._looks <= GONE_LOOKS:
            return self._next(waits.END_PAUSES)
        after = proofs.after(self._id, self._name)
        begun_again = (
            ", which has begun again since the file was delivered,"
            if self._after is not None and after is not None and after < self._after
            else ""
        )
        self._records.lost(
            self._download,
            self._name,
            f"the file is gone from {shown(str(self._download.dest_path.parent))}, and the history"
            f" of {self._name}{begun_again} does not show that it imported it; nothing is"
            " downloaded again by itself",
        )
        return None

    def _next(self, pauses: Pauses) -> float:
        self._tries += 1
        return pauses.after(self._tries)
