"""Downloads as JSON, behind the key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pytest
import requests

from jack.errors import UserError
from jack.web.manage import manage_blueprint
from jack.web.status import status_blueprint
from tests.web.served_peer import KEY

ROWS = {1: {"id": 1, "status": "failed"}, 2: {"id": 2, "error": "\ud800"}}
STUB = {"torrentFilename": "a.torrent"}


class Rows:
    """What `jack.downloads.view` shows."""

    def one(self, download_id: int) -> Mapping[str, Any] | None:
        return ROWS.get(download_id)

    def each(self) -> Iterable[Mapping[str, Any]]:
        return ROWS.values()

    def stubs(self) -> Sequence[Mapping[str, Any]]:
        return [STUB]

    def overview(self) -> Mapping[str, Any]:
        return {"downloads": list(ROWS.values()), "more": 3, "stubs": [STUB]}


class Orders:
    """Notes what it is told, and refuses what concerns download 2."""

    def __init__(self) -> None:
        self.given: list[tuple[int, str]] = []

    def steer(self, download_id: int, action: str, *, files: bool = False) -> None:
        if download_id == 2:
            raise UserError("download 2 is running already")
        self.given.append((download_id, action + (" with files" if files else "")))

    def steer_all(self, action: str) -> int:
        self.given.append((0, action))
        return 2


@pytest.fixture
def orders() -> Orders:
    return Orders()


@pytest.fixture
def ask(
    serve_blueprints: Callable[..., Any], guard: Any, orders: Orders
) -> Callable[..., requests.Response]:
    rows = Rows()
    port = serve_blueprints(
        status_blueprint(guard, rows), manage_blueprint(rows, orders, guard)
    ).port

    def fetch(path: str, key: str = KEY, method: str = "GET", **more: Any) -> requests.Response:
        headers = {"X-Api-Key": key.encode()}
        url = f"http://127.0.0.1:{port}{path}"
        return requests.request(method, url, headers=headers, timeout=20, **more)

    return fetch


@pytest.mark.parametrize("path", ["/downloads", "/manage/downloads"])
def test_the_list_is_wrapped_and_in_the_given_order(ask: Callable[..., Any], path: str) -> None:
    assert ask(path).json() == {"downloads": [ROWS[1], ROWS[2]], "stubs": [STUB]}


@pytest.mark.parametrize("path", ["/downloads/1", "/manage/downloads/1"])
def test_one_download_is_the_row_itself(ask: Callable[..., Any], path: str) -> None:
    assert ask(path).json() == ROWS[1]


@pytest.mark.parametrize("folder", ["/downloads", "/manage/downloads"])
@pytest.mark.parametrize("text", ["3", "0", "-1", "x", "1.0", "9" * 5000, "%D9%A1"])
def test_an_unknown_download_is_404(ask: Callable[..., Any], folder: str, text: str) -> None:
    assert ask(f"{folder}/{text}").status_code == 404


def test_an_order_is_carried_out_and_answered_with_the_download(
    ask: Callable[..., Any], orders: Orders
) -> None:
    answer = ask("/manage/downloads/1/retry", method="POST")
    assert (answer.status_code, answer.json()) == (200, ROWS[1])
    assert orders.given == [(1, "retry")]


def test_an_order_that_cannot_be_carried_out_is_answered_with_the_reason(
    ask: Callable[..., Any],
) -> None:
    answer = ask("/manage/downloads/2/retry", method="POST")
    assert answer.status_code == 409
    assert answer.json()["error"]["message"] == "download 2 is running already"


def test_all_are_paused_or_resumed_at_once_and_nothing_else_is_done_to_all(
    ask: Callable[..., Any], orders: Orders
) -> None:
    assert ask("/manage/downloads/all/pause", method="POST").json() == {"count": 2}
    assert ask("/manage/downloads/all/cancel", method="POST").status_code == 404
    assert orders.given == [(0, "pause")]


def test_files_go_only_where_that_is_said(ask: Callable[..., Any], orders: Orders) -> None:
    for body in (None, {"files": False}, {"files": "yes"}, {"files": True}):
        assert ask("/manage/downloads/1/remove", method="POST", json=body).json() == ROWS[1]
    assert orders.given == [(1, "remove")] * 3 + [(1, "remove with files")]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/manage/downloads/3/retry", 404),
        ("/manage/downloads/1/explode", 404),
        ("/manage/downloads/1/__class__", 404),
    ],
)
def test_unknown_downloads_and_orders_are_404(
    ask: Callable[..., Any], orders: Orders, path: str, status: int
) -> None:
    assert ask(path, method="POST").status_code == status
    assert orders.given == []


def test_an_order_is_never_a_get(ask: Callable[..., Any], orders: Orders) -> None:
    assert ask("/manage/downloads/1/retry").status_code == 405
    assert orders.given == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/downloads"),
        ("GET", "/downloads/1"),
        ("GET", "/manage/overview"),
        ("GET", "/manage/downloads"),
        ("GET", "/manage/downloads/1"),
        ("POST", "/manage/downloads/1/retry"),
    ],
)
def test_everything_needs_the_key(
    ask: Callable[..., Any], orders: Orders, method: str, path: str
) -> None:
    assert ask(path, key="x", method=method).status_code == 401
    assert orders.given == []
