"""A jack that shares one folder on loopback, with a client that knows its key."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from jack.library.catalog import Catalog
from jack.web.server import Server
from tests.support.clock import FakeClock

KEY = "the-key-\u00fc"


@dataclass
class ServedPeer:
    """A jack that serves one folder on loopback, and a client that knows its key."""

    server: Server
    catalog: Catalog
    folder: Path
    clock: FakeClock

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    def get(self, path: str, method: str = "GET", **options: Any) -> requests.Response:
        headers = {"X-Api-Key": KEY.encode(), **options.pop("headers", {})}
        return requests.request(method, self.url + path, headers=headers, timeout=20, **options)

    def share(self, name: str, content: bytes = b"0123456789") -> str:
        """Put a file into the folder; returns the path of its item."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.clock.advance(3600)
        items = self.get("/peer/search").json()["items"]
        (item_id,) = (item["id"] for item in items if item["filename"] == path.name)
        return "/peer/items/" + item_id.replace(":", "%3A")
