"""What scripts and dashboards read over HTTP: the rows of `jack status --json`, behind the key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import requests

from jack.model import DownloadStatus
from tests.scenarios.harness import Jack, content, peer_entry
from tests.support.ports import Port
from tests.support.scripted_peer import ScriptedPeer

ITEM = "c:movie:1"
KEY = "key-of-the-http-side-1"
VARIES = {"why"}
"""The sentence speaks of now."""


def _get(url: str, key: str | None = KEY) -> requests.Response:
    headers = {"X-Api-Key": key} if key else {}
    return requests.get(url, headers=headers, timeout=20)


def _steady(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in VARIES}


def test_downloads_over_http_are_the_rows_of_status_json_and_need_the_key(
    new_jack: Callable[..., Jack], peer: ScriptedPeer, port: Port
) -> None:
    peer.offer(ITEM, content(1000))
    you = new_jack(
        peers=[peer_entry("friend", peer.url)], jack={"internalUrl": port.url, "apiKey": KEY}
    )
    you.drop("Film.torrent", peer.url, ITEM)
    you.start()
    you.row(1, DownloadStatus.COMPLETED)
    listed = _get(f"{port.url}/downloads").json()["downloads"]
    assert [_steady(row) for row in listed] == [_steady(row) for row in you.status()]
    assert _steady(_get(f"{port.url}/downloads/1").json()) == _steady(listed[0])
    assert listed[0]["status"] == "completed"
    assert "Complete at" in listed[0]["why"]
    assert _get(f"{port.url}/downloads/2").status_code == 404
    assert _get(f"{port.url}/downloads", key=None).status_code == 401
    assert _get(f"{port.url}/downloads/1", key="wrong").status_code == 401
    assert _get(f"{port.url}/ping", key=None).json() == {"status": "OK"}
