"""Making jack known to Radarr and Sonarr: a download client, and an indexer bound to it.

Every server has a thread of its own, so one that is down holds up neither the start nor the others.
It tries until it has succeeded, then only looks whether the *arr is there, to do it once more when
it comes back from an outage (which may have been a restored backup).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from jack.arr import entries
from jack.arr.api import ArrApi, ArrServer, Refused
from jack.arr.entries import Json, Wanted
from jack.arr.paths import translate
from jack.errors import Interrupted, JackError, ProtocolError
from jack.support import waits
from jack.support.clock import Clock
from jack.support.files import shown
from jack.support.http import Wire
from jack.support.once import Once
from jack.support.pauses import Pauses
from jack.support.waits import TEST_SECONDS

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Destination:
    """A server to register with; `priority` is that of the indexer there, 1 (first) to 50."""

    server: ArrServer
    priority: int


@dataclass(frozen=True)
class RegistrationSettings:
    """What is registered: folders as jack sees them, `internal_url` as the *arrs reach jack.

    Failed tries are repeated with `pauses`; a registered server is looked at every `look_seconds`.
    """

    internal_url: str
    api_key: str = field(repr=False)
    watch_path: str
    completed_path: str
    pauses: Pauses = waits.REGISTER_PAUSES
    look_seconds: float = waits.REGISTERED_LOOK_SECONDS


class Registrar:
    """Registers jack with every server, in the background and for as long as it takes."""

    def __init__(
        self, servers: Sequence[Destination], settings: RegistrationSettings, clock: Clock
    ) -> None:
        self._clock = clock
        self._registrations = [Registration(destination, settings) for destination in servers]

    def start(self) -> None:
        """Start one thread per server and return at once."""
        for one in self._registrations:
            one.start()

    def stop(self, timeout_seconds: float) -> bool:
        """Abort what is under way; True when all threads ended in time."""
        for one in self._registrations:
            one.request_stop()
        end = self._clock.monotonic() + timeout_seconds
        ended = [one.join(max(0.0, end - self._clock.monotonic())) for one in self._registrations]
        return all(ended)


class Registration:
    """The registration with one server. `step` does the next thing; the thread loops over it."""

    def __init__(self, destination: Destination, settings: RegistrationSettings) -> None:
        self._server = destination.server
        self._priority = destination.priority
        self._settings = settings
        self._pauses = settings.pauses
        self._api = ArrApi(self._server, hidden=(settings.api_key,))
        self._name = self._server.name
        self._registered = False
        self._failures = 0
        self._said = Once()
        self._key_sent = False
        self._lock = threading.Lock()
        self._wire = Wire()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(
            target=self._run, name=f"register-{self._name}", daemon=True
        )
        self._thread.start()

    def request_stop(self) -> None:
        with self._lock:
            self._stopping.set()
            self._wire.abort(Interrupted("jack is stopping"))

    def join(self, timeout_seconds: float) -> bool:
        if self._thread is not None:
            self._thread.join(timeout_seconds)
            return not self._thread.is_alive()
        return True

    def close(self) -> None:
        """Close its connections; one that is stepped by hand needs this at its end."""
        self._api.close()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._stopping.wait(self.step())
        finally:
            self.close()

    def step(self) -> float:
        """Register, or look whether a registered server is still there; return the seconds to wait
        before the next step.
        """
        with self._lock:
            if self._stopping.is_set():
                return 0.0
            wire = self._wire = Wire()
        try:
            if self._registered:
                self._api.get("system/status", wire)
                return self._settings.look_seconds
            self._register(wire)
        except Interrupted:
            return 0.0
        except JackError as error:
            return self._failed(error)
        except Exception as error:
            log.exception("registering with %s failed unexpectedly", self._name)
            return self._failed(error)
        self._registered, self._failures = True, 0
        self._said.over()
        return self._settings.look_seconds

    def _failed(self, error: Exception) -> float:
        """Back to the start; said once for each reason, not with each try."""
        if self._registered:
            log.info(
                "%s is away (%s); jack looks at its entries there again when it is back",
                self._name,
                error,
            )
            self._registered = False
            self._said.first(str(error))
        self._failures += 1
        pause = self._pauses.after(self._failures)
        if self._said.first(str(error)):
            log.warning(
                "jack is not registered with %s yet: %s; tried again in %g s, then with pauses of"
                " up to %g s",
                self._name,
                error,
                pause,
                self._pauses.longest,
            )
        return pause

    # -- one registration --------------------------------------------------------------------------

    def _register(self, wire: Wire) -> None:
        """The client first: an indexer without it would send stubs to some other client."""
        settings = self._settings
        client = entries.download_client(
            translate(settings.watch_path, self._server.path_map),
            translate(settings.completed_path, self._server.path_map),
        )
        client_id, client_done = self._keep(client, wire)
        base_url = entries.feed_url(settings.internal_url)
        indexer = entries.indexer(
            self._server.kind, base_url, settings.api_key, self._priority, client_id
        )
        indexer_id, indexer_done = self._keep(indexer, wire)
        self._key_sent = True
        log.info(
            "jack is registered with %s: download client %d %s, indexer %d %s",
            self._name,
            client_id,
            client_done,
            indexer_id,
            indexer_done,
        )

    def _keep(self, wanted: Wanted, wire: Wire) -> tuple[int, str]:
        """Have the entry as wanted; its id, and what was done."""
        present = entries.find(wanted, self._list(wanted, wire))
        if present is None:
            return self._create(wanted, wire), "added"
        number = self._id_of(present, wanted)
        changes = entries.differences(wanted, present)
        # A key that is not shown may be an old one of ours: sent once in each run of jack.
        if not changes and (self._key_sent or not entries.has_hidden_key(present)):
            return number, "as it should be"
        self._update(wanted, entries.merged(wanted, present), wire)
        return number, f"updated ({', '.join(changes)})" if changes else "as it should be"

    def _create(self, wanted: Wanted, wire: Wire) -> int:
        body = wanted.body()
        try:
            return self._id_of(self._send("POST", wanted.route, wanted, body, False, wire), wanted)
        except Refused as error:
            if wanted.route != "indexer":
                raise self._with_remedy(wanted, error) from error
            objection = error
        # An *arr refuses an indexer whose feed is empty or cannot be had now, and forceSave does
        # not help with POST. Switched off it is not tested, and a forced PUT is not either.
        off = {**body, **dict.fromkeys(entries.INDEXER_SWITCHES, False)}
        try:
            saved = self._send("POST", wanted.route, wanted, off, False, wire)
            number = self._id_of(saved, wanted)
            path = f"{wanted.route}/{number}"
            self._send("PUT", path, wanted, {**body, "id": number}, True, wire)
        except Refused as error:
            raise self._with_remedy(wanted, error) from error
        self._say_forced(wanted, objection)
        return number

    def _update(self, wanted: Wanted, body: Json, wire: Wire) -> None:
        path = f"{wanted.route}/{body['id']}"
        try:
            self._send("PUT", path, wanted, body, False, wire)
        except Refused as error:
            if wanted.route != "indexer":
                raise self._with_remedy(wanted, error) from error
            try:
                self._send("PUT", path, wanted, body, True, wire)
            except Refused as final:
                raise self._with_remedy(wanted, final) from final
            self._say_forced(wanted, error)

    def _say_forced(self, wanted: Wanted, objection: Refused) -> None:
        log.warning("%s; it is registered all the same", self._with_remedy(wanted, objection))

    # -- the wire ----------------------------------------------------------------------------------

    def _list(self, wanted: Wanted, wire: Wire) -> list[Json]:
        found = self._api.get(wanted.route, wire, what=wanted.noun)
        if not isinstance(found, list):
            raise ProtocolError(f"{self._name} was asked for its {wanted.noun}s and sent no list")
        return [entry for entry in found if isinstance(entry, dict)]

    def _send(
        self, method: str, path: str, wanted: Wanted, body: Json, force: bool, wire: Wire
    ) -> Any:
        return self._api.call(
            method,
            path,
            wire,
            body=body,
            query={"forceSave": "true" if force else "false"},
            what=wanted.noun,
            header_seconds=TEST_SECONDS,
        )

    def _id_of(self, entry: Any, wanted: Wanted) -> int:
        number = entry.get("id") if isinstance(entry, dict) else None
        if type(number) is not int or number <= 0:
            raise ProtocolError(f"{self._name} named no id for jack's {wanted.noun}")
        return number

    def _with_remedy(self, wanted: Wanted, error: Refused) -> Refused:
        """The *arr's own words, and what its user can do."""
        if not error.complaints:
            return error
        said = "; ".join(
            f"{shown(complaint.field)[1:-1]}: {shown(complaint.text)}".removeprefix(": ")
            for complaint in error.complaints
        )
        remedies = dict.fromkeys(
            entries.remedy(wanted, complaint, self._name) for complaint in error.complaints
        )
        return Refused(
            f"{self._name} refuses jack's {wanted.noun}: {said} -> {'; '.join(remedies)}",
            error.complaints,
        )
