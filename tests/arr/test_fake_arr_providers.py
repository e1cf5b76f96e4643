"""The fake *arr saves indexers and download clients as the real ones do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.fake_arr import FakeArr
from tests.support.fake_torznab import FakeTorznab

MASK = "********"
SWITCHES = ("enableRss", "enableAutomaticSearch", "enableInteractiveSearch")


@pytest.fixture
def fake() -> Iterator[FakeArr]:
    with FakeArr("radarr", api_key="k", url_base="/radarr") as server:
        yield server


@pytest.fixture
def torznab() -> Iterator[FakeTorznab]:
    with FakeTorznab("secret") as server:
        yield server


def ask(fake: FakeArr, method: str, path: str, body: Any = None) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        url = f"{fake.url}/api/v3/{path}"
        return session.request(method, url, headers={"X-Api-Key": "k"}, json=body, timeout=20)


def indexer(torznab: FakeTorznab, **changes: Any) -> dict[str, Any]:
    fields = {"baseUrl": f"{torznab.url}/torznab", "apiKey": "secret", "unknown": 1}
    body = {
        "name": "Indexer",
        "implementation": "Torznab",
        "priority": 25,
        **dict.fromkeys(SWITCHES, True),
        "fields": [{"name": name, "value": value} for name, value in fields.items()],
    }
    return {**body, **changes}


def client(folder: Path, **changes: Any) -> dict[str, Any]:
    fields = {"torrentFolder": str(folder), "watchFolder": str(folder)}
    body = {
        "name": "Client",
        "implementation": "TorrentBlackhole",
        "enable": True,
        "priority": 1,
        "fields": [{"name": name, "value": value} for name, value in fields.items()],
    }
    return {**body, **changes}


def fields_of(answer: requests.Response) -> dict[str, Any]:
    return {field["name"]: field.get("value") for field in answer.json()["fields"]}


def complaint(answer: requests.Response) -> tuple[str, str]:
    assert answer.status_code == 400
    (failure,) = answer.json()
    return failure["propertyName"], failure["errorMessage"]


def test_a_post_is_a_201_a_put_a_202_and_keys_come_back_masked(
    fake: FakeArr, torznab: FakeTorznab
) -> None:
    created = ask(fake, "POST", "indexer", indexer(torznab))
    assert created.status_code == 201
    assert fields_of(created)["apiKey"] == MASK
    assert "unknown" not in fields_of(created)
    changed = {**created.json(), "name": "Renamed"}
    assert ask(fake, "PUT", f"indexer/{created.json()['id']}", changed).status_code == 202
    (listed,) = ask(fake, "GET", "indexer").json()
    assert listed["name"] == "Renamed"
    assert fake.providers.settings("indexer", "Renamed")["apiKey"] == "secret"


def test_what_is_not_given_takes_the_default_of_its_type(fake: FakeArr, tmp_path: Path) -> None:
    body = client(tmp_path)
    del body["enable"]
    created = ask(fake, "POST", "downloadclient", body)
    assert created.json()["enable"] is False
    assert created.json()["removeCompletedDownloads"] is False
    assert fields_of(created)["readOnly"] is True


def test_names_are_unique_in_any_case_and_radarr_checks_the_priority(
    fake: FakeArr, tmp_path: Path
) -> None:
    ask(fake, "POST", "downloadclient", client(tmp_path))
    again = ask(fake, "POST", "downloadclient", client(tmp_path, name="CLIENT"))
    assert complaint(again) == ("Name", "Should be unique")
    low = ask(fake, "POST", "downloadclient", client(tmp_path, name="x", priority=51))
    assert complaint(low)[0] == "Priority"


def test_an_indexer_cannot_be_bound_to_a_client_that_is_not_there(
    fake: FakeArr, torznab: FakeTorznab
) -> None:
    answer = ask(fake, "POST", "indexer", indexer(torznab, downloadClientId=9))
    assert complaint(answer)[0] == "DownloadClientId"


def test_a_client_is_tested_by_writing_into_both_folders(fake: FakeArr, tmp_path: Path) -> None:
    missing = client(tmp_path / "missing")
    answer = ask(fake, "POST", "downloadclient", missing)
    assert answer.status_code == 400
    assert [failure["propertyName"] for failure in answer.json()] == [
        "TorrentFolder",
        "WatchFolder",
    ]
    assert {failure["errorMessage"] for failure in answer.json()} == {"Folder does not exist"}
    assert ask(fake, "POST", "downloadclient", client(tmp_path)).status_code == 201
    assert list(tmp_path.iterdir()) == []


def test_the_test_of_an_indexer_asks_for_caps_and_the_newest_items(
    fake: FakeArr, torznab: FakeTorznab
) -> None:
    ask(fake, "POST", "indexer", indexer(torznab))
    caps, news = torznab.asked
    assert caps == {"t": "caps", "apikey": "secret"}
    assert news == {
        "t": "movie",
        "cat": "2000,2010",
        "extended": "1",
        "offset": "0",
        "limit": "100",
        "apikey": "secret",
    }


def test_an_empty_feed_fails_a_post_even_a_forced_one_unless_it_is_switched_off(
    fake: FakeArr, torznab: FakeTorznab
) -> None:
    torznab.items = 0
    for path in ("indexer", "indexer?forceSave=true"):
        assert "no results" in complaint(ask(fake, "POST", path, indexer(torznab)))[1]
    off = ask(fake, "POST", "indexer", indexer(torznab, **dict.fromkeys(SWITCHES, False)))
    assert off.status_code == 201
    on = {**off.json(), **dict.fromkeys(SWITCHES, True)}
    path = f"indexer/{off.json()['id']}"
    assert ask(fake, "PUT", path, on).status_code == 400
    assert ask(fake, "PUT", f"{path}?forceSave=true", on).status_code == 202
    torznab.asked.clear()
    assert ask(fake, "PUT", path, on).status_code == 202  # nothing changes: not tested
    assert torznab.asked == []


def test_a_wrong_key_and_a_dead_address_are_told_apart(fake: FakeArr, torznab: FakeTorznab) -> None:
    torznab.api_key = "other"
    assert complaint(ask(fake, "POST", "indexer", indexer(torznab)))[0] == "ApiKey"
    dead = indexer(torznab, fields=[{"name": "baseUrl", "value": "http://127.0.0.1:1"}])
    assert complaint(ask(fake, "POST", "indexer", dead))[0] == ""


def test_a_deleted_entry_is_gone(fake: FakeArr, tmp_path: Path) -> None:
    number = ask(fake, "POST", "downloadclient", client(tmp_path)).json()["id"]
    assert ask(fake, "DELETE", f"downloadclient/{number}").json() == {}
    assert ask(fake, "GET", "downloadclient").json() == []
    assert ask(fake, "GET", f"downloadclient/{number}").status_code == 404


def test_a_folder_without_a_slash_at_its_end_lists_its_parent(
    fake: FakeArr, tmp_path: Path
) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / ".hidden.tmp").write_text("x")
    fake.providers.mounts["/data"] = str(tmp_path)

    def files(path: str, **query: str) -> list[str]:
        asked = "&".join(f"{k}={v}" for k, v in {"includeFiles": "true", **query}.items())
        listing = ask(fake, "GET", f"filesystem?path={path}&{asked}").json()
        return [entry["name"] for entry in listing["files"]]

    assert files("/data/inner/") == [".hidden.tmp"]
    assert files("/data/inner") == []
    assert files("/data/inner", allowFoldersWithoutTrailingSlashes="true") == [".hidden.tmp"]
    assert files("/missing/") == []


def test_only_a_file_it_sees_is_a_file(fake: FakeArr, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    fake.providers.mounts["/data"] = str(tmp_path)
    kinds = [
        ask(fake, "GET", f"filesystem/type?path={path}").json()["type"]
        for path in ("/data/a", "/data", "/data/b", "/other/a")
    ]
    assert kinds == ["file", "folder", "folder", "folder"]
