"""A running jack as a command sees it: `/manage/...` over the unix socket of the state folder."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from pathlib import Path
from typing import Any

from jack.control.sockets import connect
from jack.errors import UserError
from jack.support.clock import Clock
from jack.support.waits import CONTROL_SECONDS, CONTROL_START_SECONDS

LOOK_SECONDS = 0.1


class Daemon:
    """The jack that holds the lock of `state_path`; so long it may need until it listens."""

    def __init__(
        self, state_path: Path, clock: Clock, patience_seconds: float | None = None
    ) -> None:
        self._state_path = state_path
        self._clock = clock
        self._patience_seconds = (
            CONTROL_START_SECONDS if patience_seconds is None else patience_seconds
        )

    def get(self, path: str) -> Any:
        """The JSON of `/manage/<path>`. Raises UserError with what jack says, or what keeps it from
        answering."""
        return self._ask("GET", path)

    def post(self, path: str, body: object = None) -> Any:
        return self._ask("POST", path, body)

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        connection = _UnixConnection(self._connected())
        try:
            text = None if body is None else json.dumps(body)
            headers = {} if text is None else {"Content-Type": "application/json"}
            connection.request(method, f"/manage/{path}", text, headers)
            response = connection.getresponse()
            answer = json.loads(response.read())
        except TimeoutError as error:
            raise UserError(
                f"the running jack has not answered for {CONTROL_SECONDS:.0f} s; what was asked of"
                " it may still be done: `jack status` shows it"
            ) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise UserError(
                "the running jack broke off, it is stopping perhaps; try again in a few seconds"
            ) from error
        finally:
            connection.close()
        if response.status != 200:
            said = answer.get("error", {}) if isinstance(answer, dict) else {}
            raise UserError(str(said.get("message", f"jack answered {response.status}")))
        return answer

    def _connected(self) -> socket.socket:
        """Also to one that has only just begun, and with patience for one that is stopping."""
        patience = threading.Event()
        end = self._clock.monotonic() + self._patience_seconds
        while True:
            try:
                return connect(self._state_path, CONTROL_SECONDS)
            except OSError as error:
                if self._clock.monotonic() >= end:
                    raise UserError(
                        f"a jack uses {self._state_path} and does not answer on its socket"
                        f" ({error.strerror or error}): it is starting, stopping or of an older"
                        " version; try again in a few seconds, or restart it"
                    ) from error
            patience.wait(LOOK_SECONDS)


class _UnixConnection(http.client.HTTPConnection):
    """http.client over a socket that is connected already."""

    def __init__(self, connected: socket.socket) -> None:
        super().__init__("localhost")
        self.sock = connected
