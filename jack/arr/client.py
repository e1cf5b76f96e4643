"""One Radarr or Sonarr as a place that imports files: the command, and what its answer means."""

from __future__ import annotations

from collections.abc import Mapping

from jack.arr.api import ArrApi, ArrServer
from jack.arr.paths import translate
from jack.errors import ProtocolError
from jack.support.http import Wire
from jack.support.waits import SCAN_SECONDS

__all__ = ["ArrClient", "ArrServer"]

_MAX_COMMAND_ID = 2**63 - 1
"""The largest integer SQLite stores; real ids are far below (32 bits)."""
_SCANS = {"radarr": "DownloadedMoviesScan", "sonarr": "DownloadedEpisodesScan"}


class ArrClient:
    """Talks to one server. The class of an error says whose trouble it is (see `scan_path`)."""

    def __init__(self, server: ArrServer) -> None:
        self.server = server
        self._scan = _SCANS[server.kind]
        self.api = ArrApi(server)

    def close(self) -> None:
        """Give back the connections."""
        self.api.close()

    def scan_path(self, path: str, wire: Wire) -> int:
        """Have the file or folder `path` (as jack sees it) imported; return the command's id.

        The path goes through the server's `path_map`. No downloadClientId: an id the *arr knows
        without a parsed movie or episode makes the command fail (Radarr issue 6275). No importMode:
        the default, Auto, moves a file of no known download. An identical command still waiting is
        answered with its id, so asking twice does no harm.

        Raises TransientError (PeerUnreachable, PeerRefused, ProtocolError included) when it is the
        server's trouble and every file would meet it, PermanentError when the server refused this
        one, and what the wire was aborted with. No text of these holds a secret.
        """
        body = {"name": self._scan, "path": translate(path, self.server.path_map)}
        return self.send_command(body, wire)

    def send_command(self, body: Mapping[str, object], wire: Wire) -> int:
        """Post an import command as it is; return its id. Raises like `scan_path`."""
        answer = self.api.call(
            "POST", "command", wire, body=body, what="import", header_seconds=SCAN_SECONDS
        )
        return self._command_id(answer)

    def _command_id(self, answer: object) -> int:
        number = answer.get("id") if isinstance(answer, dict) else None
        # Not isinstance: `true` would pass as the integer 1.
        if type(number) is not int or not 0 <= number <= _MAX_COMMAND_ID:
            raise ProtocolError(
                f"{self.server.name} took the command but named no command id;"
                f" check that its url leads to {self.api.product}"
            )
        return number
