"""Download links that need nobody: all a stub is made of stands in the link, signed.

Radarr and Sonarr report a grab as successful even when the stub could not be fetched, so fetching
it must not depend on the friend being there at that moment.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from urllib.parse import quote

from itsdangerous import BadData, URLSafeSerializer

from jack.blackhole.stub import MAX_STUB_BYTES, PIECE_BYTES, build_stub, info_hash
from jack.model import Stub
from jack.peers.protocol import MAX_ID_CHARACTERS
from jack.web.titles import MAX_FILE_NAME_BYTES, STUB_SUFFIX

DOWNLOAD_PATH = "/torznab/download/"
MAX_STUB_SIZE = (
    (MAX_STUB_BYTES - 2 * 4 * MAX_ID_CHARACTERS - MAX_FILE_NAME_BYTES - 1024) // 20 * PIECE_BYTES
)
"""The largest file, in bytes, whose stub stays within MAX_STUB_BYTES whatever its id, which stands
in it twice, and title."""

_PURPOSE = "jack torznab download link"


@dataclass(frozen=True)
class Ticket:
    """What a link says. `size` is bytes, 0 when the friend does not know it."""

    peer_id: str
    item_id: str
    title: str
    size: int

    def stub(self) -> bytes:
        """The stub: the same for the same ticket, so that its info hash is stable. A file of
        unknown size is announced as one byte, for the loaders refuse an empty one.

        Raises UserError when there can be no such stub.
        """
        return build_stub(Stub(self.peer_id, self.item_id), self.title, max(1, self.size))

    def info_hash(self) -> str:
        """Of that stub, lower-case hex. Raises like `stub`."""
        return info_hash(self.stub())


class DownloadLinks:
    """Makes and reads the links of one jack; another key makes other signatures."""

    def __init__(self, base_url: str, api_key: str) -> None:
        self._base = base_url.rstrip("/") + DOWNLOAD_PATH
        self._query = f"{STUB_SUFFIX}?apikey={quote(api_key, safe='')}"
        # A key derived from it, so that a signature never tells anything about the API key.
        signer = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
        self._tokens = URLSafeSerializer(api_key, salt=_PURPOSE, signer_kwargs=signer)

    def url(self, ticket: Ticket) -> str:
        """The absolute URL that `read` understands; it carries the key, for *arr sends none."""
        said = [ticket.peer_id, ticket.item_id, ticket.title, ticket.size]
        return self.url_of_token(str(self._tokens.dumps(said)))

    def url_of_token(self, token: str) -> str:
        """The URL of any token, also of one that leads nowhere."""
        return f"{self._base}{token}{self._query}"

    def read(self, token: str) -> Ticket | None:
        """What this jack once put into `token`; None for everything else."""
        try:
            return Ticket(*self._tokens.loads(token))
        except BadData:
            return None
