"""The fakes answer what real ones answered: every recorded request is asked once more, here.

`tests/support/recordings` holds what a Radarr 6.0.3, a Sonarr 5 and clients of theirs exchanged:
requests as they were, answers with each value replaced by its type (events of a history by name).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlsplit

import pytest
import requests

from tests.support.fake_arr_history import neighbours
from tests.support.fake_arr_imports import ImportingArr
from tests.support.fake_torznab import FakeTorznab

RECORDINGS = Path(__file__).parents[1] / "support" / "recordings"
KEY = "recorded-key"
COMPLETED = "/volume1/torrents/completed"
LEFT_OUT = {
    "rootfolder": "the library's: `LibraryServer` has the part that jack reads",
    "movie": "the library's: `LibraryServer` has the part that jack reads",
    "series": "the library's: `LibraryServer` has the part that jack reads",
    "episodefile": "the library's: `LibraryServer` has the part that jack reads",
    "episode": "the library's: `LibraryServer` has the part that jack reads",
    "movie/lookup": "jack does not ask for it",
    "series/lookup": "jack does not ask for it",
    "queue": "jack does not ask for it",
    "blocklist": "jack does not ask for it",
    "health": "jack does not ask for it",
    "config/downloadclient": "jack does not ask for it",
    "config/mediamanagement": "jack does not ask for it",
    "qualityprofile": "jack does not ask for it",
    "release": "jack does not ask for it: its own page shows what it finds",
    "downloadclient/test": "of a qBittorrent: the fake tests folders and indexers",
    "diskspace": "jack does not ask for it",
    "tag": "jack does not ask for it",
    "wanted/missing": "jack does not ask for it",
    "remotepathmapping": "jack does not ask for it; a blackhole has none",
    "/": "that one had no page of its own; the fake has one, as an installed one does",
}
"""Routes that are not asked of `ImportingArr`, and why."""
IN_PART = {
    "downloadclient": "labels, help and choices are for the *arr's own page",
    "indexer": "labels, help, choices and capabilities are for the *arr's own page",
    "system/status": "jack reads the name and the version",
    "filesystem": "jack reads names and paths",
}
"""Routes whose answers have fewer keys here, and why; those they have are as recorded."""
NOT_RECORDED = {
    ("radarr", "movieFileDeleted"),
    ("radarr", "movieFileRenamed"),
    ("sonarr", "downloadFailed"),
    ("sonarr", "episodeFileRenamed"),
}
"""Events that the fakes write and nobody recorded."""


@dataclass(frozen=True)
class Exchange:
    """One recorded request with the form of its answer."""

    kind: str
    line: int
    method: str
    path: str
    status: int
    body: Any
    answer: Any

    @property
    def route(self) -> str:
        """Without what stands for one entry: "history/failed/9" is "history/failed"."""
        path = urlsplit(self.path).path.removeprefix("/api/v3/")
        parts = path.split("/")
        return "/".join(parts[:-1]) if parts[-1].isdigit() else path

    def __str__(self) -> str:
        return f"{self.kind}-{self.line}-{self.method}-{self.route}"


def recorded(kind: str) -> Iterator[Exchange]:
    with (RECORDINGS / f"{kind}.jsonl").open(encoding="utf-8") as file:
        for number, line in enumerate(file):
            said = json.loads(line)
            yield Exchange(
                kind,
                number,
                said["method"],
                said["path"],
                said["status"],
                said.get("body"),
                said.get("answer"),
            )


ALL = [*recorded("radarr"), *recorded("sonarr")]
ASKED = [each for each in ALL if each.route not in LEFT_OUT]


def test_what_is_left_out_was_recorded_and_is_named_once() -> None:
    routes = {each.route for each in ALL}
    assert set(LEFT_OUT) | set(IN_PART) <= routes
    assert not set(LEFT_OUT) & set(IN_PART)


def test_a_form_that_differs_is_seen() -> None:
    """So that what follows can fail."""
    forms = Forms([{"id": "int", "data": {"a": "str"}}, {"id": "int", "date": "str"}])
    assert list(forms.differences({"id": 1}, in_part=False)) == []
    assert list(forms.differences({"id": "1"}, in_part=False)) == [".id: str, recorded ['int']"]
    assert list(forms.differences({"data": {}}, in_part=False)) == [
        ".id: missing",
        ".data.a: missing",
    ]
    assert list(forms.differences({"x": 1}, in_part=True)) == [".x: never recorded"]


# -- the answers -----------------------------------------------------------------------------------


class Forms:
    """What recorded answers of one kind may look like: for each key the types it was seen with."""

    def __init__(self, answers: list[Any]) -> None:
        self.answers = answers

    def differences(self, answer: Any, in_part: bool, where: str = "") -> Iterator[str]:
        """What is not as recorded, with its place."""
        if not self.answers:
            return
        seen = {_type(each) for each in self.answers}
        if _type(answer) not in seen:
            yield f"{where or 'answer'}: {_type(answer)}, recorded {sorted(seen)}"
        elif isinstance(answer, list):
            known = Forms([one for each in self.answers if isinstance(each, list) for one in each])
            for one in answer if known.answers else ():
                yield from known.alike(one).differences(one, in_part, f"{where}[]")
        elif isinstance(answer, dict):
            known_dicts = [each for each in self.answers if isinstance(each, dict)]
            yield from self._of_keys(known_dicts, answer, in_part, where)

    def _of_keys(
        self, known: list[dict[str, Any]], answer: Mapping[str, Any], in_part: bool, where: str
    ) -> Iterator[str]:
        always = set.intersection(*(set(each) for each in known)) - {DOWNLOAD_ID}
        ever = set().union(*known) | {DOWNLOAD_ID}
        if not in_part:
            yield from (f"{where}.{key}: missing" for key in sorted(always - set(answer)))
        yield from (f"{where}.{key}: never recorded" for key in sorted(set(answer) - ever))
        for key in sorted(set(answer) & ever):
            forms = Forms([each[key] for each in known if key in each])
            yield from forms.differences(answer[key], in_part, f"{where}.{key}")

    def alike(self, one: Any) -> Forms:
        """Records of a history: those of the same event."""
        if not isinstance(one, dict) or "eventType" not in one:
            return self
        event = f"={one['eventType']}"
        return Forms([each for each in self.answers if each["eventType"] == event])


def _type(value: Any) -> str:
    """Of an answer, or of what stands for it in a recording."""
    if isinstance(value, str):
        is_form = value in {"null", "bool", "int", "number"}
        return value if is_form else "str"
    names = {bool: "bool", int: "int", float: "number", list: "list", dict: "dict"}
    return names.get(type(value), "null")


DOWNLOAD_ID = "downloadId"
"""In a record of whatever event, unless it is null: what a client calls the download."""
_A_THING = ("movie", "series", "episodes")
"""In a dry run: all that the server knows of it. jack reads the ids, and the fake has them."""


def _without_library(answer: Any) -> Any:
    if isinstance(answer, list):
        return [_without_library(each) for each in answer]
    if not isinstance(answer, dict):
        return answer
    return {key: _without_library(value) for key, value in answer.items() if key not in _A_THING}


def _forms(exchange: Exchange) -> Forms:
    """All answers of that program to requests like that; a history holds any of its records."""
    like = [
        each
        for each in ALL
        if (each.method, each.route, each.status)
        == (exchange.method, exchange.route, exchange.status)
        and each.kind == exchange.kind
    ]
    answers = [_without_library(each.answer) for each in like]
    if not exchange.route.startswith("history") or exchange.method != "GET":
        return Forms(answers)
    records = _recorded_records(exchange.kind)
    return Forms([records if isinstance(r, list) else {**r, "records": records} for r in answers])


def _recorded_records(kind: str) -> list[Any]:
    found = [each.answer for each in ALL if each.kind == kind and "/history" in each.path]
    pages = [each if isinstance(each, list) else each.get("records", []) for each in found]
    return [record for page in pages for record in page]


def test_which_events_the_fakes_write_that_nobody_recorded() -> None:
    events = {
        (kind, neighbour[0])
        for kind in ("radarr", "sonarr")
        for neighbour in neighbours(kind, 1, "/a/b.mkv")
    } | {("radarr", "downloadFailed"), ("sonarr", "downloadFailed")}
    seen = {(k, r["eventType"][1:]) for k in ("radarr", "sonarr") for r in _recorded_records(k)}
    assert events - seen == NOT_RECORDED


# -- asking once more ------------------------------------------------------------------------------


@pytest.fixture
def feed() -> Iterator[FakeTorznab]:
    with FakeTorznab(KEY) as fake:
        yield fake


def _known_to(arr: ImportingArr, exchange: Exchange, feed: FakeTorznab) -> None:
    """What it had in its settings: a client and an indexer, unless they are just being made."""
    if exchange.answer == []:
        return
    made_now = exchange.route if exchange.method == "POST" and exchange.status == 201 else ""
    if made_now == "downloadclient":
        return
    folders = {"torrentFolder": COMPLETED, "watchFolder": COMPLETED}
    made = {"priority": 1, "configContract": "x"}
    arr.providers.add("downloadclient", "TorrentBlackhole", "Jack", fields=folders, **made)
    if made_now == "indexer":
        return
    settings = {"baseUrl": feed.url, "apiKey": KEY}
    arr.providers.add("indexer", "Torznab", "Jack", fields=settings, **made)
    arr.providers.entries["indexer"][0]["id"] = 1


def _happened_at(arr: ImportingArr, folder: Path) -> None:
    """Everything a history may tell."""
    names = ("movie_id",) if arr.kind == "radarr" else ("series_id", "episode_id")
    grabbed = arr.grab(info_hash="ab" * 20, guid="c", **dict.fromkeys(names, 7))
    for _ in range(2):
        (folder / "earlier.mkv").write_bytes(b"x")
        arr.import_by_its_own_scanner(f"{COMPLETED}/earlier.mkv")
        (folder / "earlier.mkv").write_bytes(b"x")
        arr.import_by_a_person(f"{COMPLETED}/earlier.mkv")
    _ask(arr, "POST", f"/api/v3/history/failed/{grabbed}", {})


def _sent(exchange: Exchange, feed: FakeTorznab) -> Any:
    """The recorded body, with the addresses of here."""
    body = json.loads(json.dumps(exchange.body))
    for field in body.get("fields", []) if isinstance(body, dict) else []:
        field.update({"value": feed.url} if field["name"] == "baseUrl" else {})
        field.update({"value": KEY} if field["name"] == "apiKey" else {})
        field.update({"value": COMPLETED} if field["name"].endswith("Folder") else {})
    return body


def _files_of(exchange: Exchange) -> Iterator[str]:
    query = parse_qs(urlsplit(exchange.path).query)
    yield from (unquote_plus(path) for path in query.get("folder", []) if path.endswith(".mkv"))
    body = exchange.body
    entries = body if isinstance(body, list) else (body or {}).get("files", [])
    yield from (each["path"] for each in entries)


def _ask(arr: ImportingArr, method: str, path: str, body: Any, key: str = KEY) -> Any:
    with requests.Session() as session:
        session.trust_env = False
        return session.request(
            method, arr.url + path, json=body, headers={"X-Api-Key": key}, timeout=20
        )


@pytest.mark.parametrize("exchange", ASKED, ids=str)
def test_the_fake_answers_in_the_form_that_was_recorded(
    exchange: Exchange, feed: FakeTorznab, tmp_path: Path
) -> None:
    sees = {COMPLETED: tmp_path, "/data/torrents/completed": tmp_path}
    with ImportingArr(exchange.kind, sees, api_key=KEY) as arr:
        arr.providers.mounts = {seen: str(real) for seen, real in sees.items()}
        _known_to(arr, exchange, feed)
        _happened_at(arr, tmp_path)
        for path in _files_of(exchange):
            (tmp_path / os.path.basename(path)).write_bytes(b"x")
        path = _prepared_path(arr, exchange, feed)
        key = "wrong" if exchange.status == 401 else KEY
        answer = _ask(arr, exchange.method, path, _sent(exchange, feed), key)
        assert answer.status_code == exchange.status, answer.text
        if exchange.answer is None:
            assert answer.text == ""
            return
        found = _without_library(answer.json())
        part = exchange.route in IN_PART
        assert list(_forms(exchange).differences(found, part)) == []


def _prepared_path(arr: ImportingArr, exchange: Exchange, feed: FakeTorznab) -> str:
    """A command that is looked at has been sent before, as recorded."""
    if exchange.route == "command" and exchange.method == "GET" and exchange.status == 200:
        order = next(
            each
            for each in ALL
            if each.kind == exchange.kind and each.body and each.body.get("name") == "ManualImport"
        )
        number = _ask(arr, "POST", order.path, _sent(order, feed)).json()["id"]
        return f"/api/v3/command/{number}"
    return exchange.path
