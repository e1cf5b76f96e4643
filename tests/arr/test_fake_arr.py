"""The fake *arr keeps to the facts, so that a test that passes with it means something."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.fake_arr import FakeArr

SCAN = "DownloadedMoviesScan"


@pytest.fixture
def fake() -> Iterator[FakeArr]:
    with FakeArr("radarr", api_key="k", url_base="/radarr") as server:
        yield server


def ask(fake: FakeArr, method: str, path: str, key: str = "k", json: Any = None) -> Any:
    with requests.Session() as session:
        session.trust_env = False
        return session.request(
            method, fake.url + path, headers={"X-Api-Key": key}, json=json, timeout=5
        )


def test_status_tells_which_product_answers(fake: FakeArr) -> None:
    assert ask(fake, "GET", "/api/v3/system/status").json()["appName"] == "Radarr"


def test_a_wrong_key_is_a_401_without_body_but_ping_needs_none(fake: FakeArr) -> None:
    answer = ask(fake, "GET", "/api/v3/system/status", key="wrong")
    assert (answer.status_code, answer.text) == (401, "")
    assert ask(fake, "GET", "/ping", key="wrong").json() == {"status": "OK"}


def test_without_the_url_base_the_start_page_comes(fake: FakeArr) -> None:
    answer = requests.post(f"http://127.0.0.1:{fake.port}/api/v3/command", json={}, timeout=5)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html"


def test_an_unknown_command_is_a_500_and_a_missing_name_a_400(fake: FakeArr) -> None:
    wrong = ask(fake, "POST", "/api/v3/command", json={"name": "DownloadedEpisodesScan"})
    assert wrong.status_code == 500
    assert ask(fake, "POST", "/api/v3/command", json={"path": "/x"}).status_code == 400
    assert fake.commands == []


def test_a_command_is_a_201_and_its_end_depends_on_the_path(fake: FakeArr, tmp_path: Path) -> None:
    ends = {}
    for path in (str(tmp_path), str(tmp_path / "missing"), None):
        body = {"name": SCAN.lower()} | ({"path": path} if path else {})
        answer = ask(fake, "POST", "/api/v3/command", json=body)
        assert (answer.status_code, answer.json()["status"]) == (201, "started")
        end = ask(fake, "GET", f"/api/v3/command/{answer.json()['id']}").json()
        ends[path] = (end["status"], end["result"])
    assert list(ends.values()) == [
        ("completed", "successful"),
        ("completed", "unsuccessful"),
        ("failed", "unknown"),
    ]
    assert ask(fake, "GET", "/api/v3/command/99").status_code == 404
    assert len(ask(fake, "GET", "/api/v3/command").json()) == 3


def test_an_identical_queued_command_is_answered_with_the_first_one() -> None:
    with FakeArr("radarr", api_key="k", hold_commands=True) as fake:
        bodies = [{"name": SCAN, "path": path} for path in ("/a", "/a", "/b")]
        answers = [ask(fake, "POST", "/api/v3/command", json=body) for body in bodies]
        assert [answer.json()["id"] for answer in answers] == [1, 1, 2]


def test_going_down_while_a_request_hangs_cuts_it_and_takes_no_command(fake: FakeArr) -> None:
    def cut() -> None:
        fake.wait_for_requests(1)
        fake.go_down()

    cutter = threading.Thread(target=cut)
    cutter.start()
    with fake.hanging(), pytest.raises(requests.ConnectionError):
        ask(fake, "POST", "/api/v3/command", json={"name": SCAN, "path": "/a"})
    cutter.join()
    assert fake.commands == []


def test_waiting_for_what_never_comes_fails_with_what_came(fake: FakeArr) -> None:
    with pytest.raises(AssertionError, match="no 1 commands"):
        fake.wait_for_commands(1, timeout_seconds=0.01)
