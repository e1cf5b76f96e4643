"""Downloads as JSON, behind the key."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import requests

from jack.web.status import status_blueprint
from tests.web.served_peer import KEY

ROWS = {1: {"id": 1, "status": "failed"}, 2: {"id": 2, "error": "\ud800"}}


@pytest.fixture
def get(serve_blueprints: Callable[..., Any], guard: Any) -> Callable[..., requests.Response]:
    def each(take: Callable[[str], object]) -> None:
        for row in ROWS.values():
            take(json.dumps(row))

    blueprint = status_blueprint(guard, each, ROWS.get)
    port = serve_blueprints(blueprint).port

    def fetch(path: str, key: str = KEY) -> requests.Response:
        headers = {"X-Api-Key": key.encode()}
        return requests.get(f"http://127.0.0.1:{port}{path}", headers=headers, timeout=20)

    return fetch


def test_the_list_is_wrapped_and_in_the_given_order(get: Callable[..., Any]) -> None:
    assert get("/downloads").json() == {"downloads": [ROWS[1], ROWS[2]]}


def test_one_download_is_the_row_itself(get: Callable[..., Any]) -> None:
    assert get("/downloads/1").json() == ROWS[1]


@pytest.mark.parametrize("text", ["3", "0", "-1", "x", "1.0", "9" * 5000, "%D9%A1"])
def test_an_unknown_download_is_404(get: Callable[..., Any], text: str) -> None:
    assert get(f"/downloads/{text}").status_code == 404


@pytest.mark.parametrize("path", ["/downloads", "/downloads/1"])
def test_both_need_the_key(get: Callable[..., Any], path: str) -> None:
    assert get(path, key="x").status_code == 401
