"""Registration: what jack puts into Radarr and Sonarr, finds again, and says when it is refused."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jack.arr import entries
from jack.arr.api import ArrServer, Complaint
from jack.arr.registration import Destination, Registrar, Registration, RegistrationSettings
from jack.support.clock import SystemClock
from jack.support.pauses import Pauses
from tests.support.fake_arr import FakeArr
from tests.support.fake_torznab import FakeTorznab
from tests.support.waiting import eventually

ARR_KEY = "K-SENTINEL-arr-0123456789"
JACK_KEY = "K-SENTINEL-jack-0123456789"
SEEN_AS = "/data/torrents"


@pytest.fixture
def torznab() -> Iterator[FakeTorznab]:
    with FakeTorznab(JACK_KEY) as server:
        yield server


@pytest.fixture(params=["radarr", "sonarr"])
def arr(request: pytest.FixtureRequest, folders: Path) -> Iterator[FakeArr]:
    with FakeArr(request.param, api_key=ARR_KEY) as fake:
        fake.providers.mounts[SEEN_AS] = str(folders)
        yield fake


@pytest.fixture
def radarr(folders: Path) -> Iterator[FakeArr]:
    with FakeArr("radarr", api_key=ARR_KEY) as fake:
        fake.providers.mounts[SEEN_AS] = str(folders)
        yield fake


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    root = tmp_path / "torrents"
    (root / "watch").mkdir(parents=True)
    (root / "completed").mkdir()
    return root


Opener = Callable[..., Registration]


@pytest.fixture
def desk(folders: Path, torznab: FakeTorznab) -> Iterator[Opener]:
    """Makes the desk of a fake *arr; it is stepped by hand."""
    opened: list[Registration] = []

    def open_one(fake: FakeArr, priority: int = 7, **changes: Any) -> Registration:
        made = Registration(
            destination(fake, folders, priority), settings(torznab, folders, **changes)
        )
        opened.append(made)
        return made

    yield open_one
    for made in opened:
        made.close()


def destination(fake: FakeArr, folders: Path, priority: int = 7) -> Destination:
    mapping = ((str(folders), SEEN_AS),)
    server = ArrServer(fake.product, fake.kind, fake.url, ARR_KEY, path_map=mapping)
    return Destination(server, priority)


def settings(torznab: FakeTorznab, folders: Path, **changes: Any) -> RegistrationSettings:
    values: dict[str, Any] = {
        "internal_url": torznab.url,
        "api_key": JACK_KEY,
        "watch_path": str(folders / "watch"),
        "completed_path": str(folders / "completed"),
    }
    return RegistrationSettings(**{**values, **changes})


def saved(fake: FakeArr) -> list[tuple[str, str]]:
    """The requests that change something: method and path with its query."""
    return [
        (request.method, request.path.removeprefix("/api/v3/"))
        for request in fake.requests
        if request.method != "GET"
    ]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno >= logging.WARNING]


# -- what is registered ----------------------------------------------------------------------------


def test_the_blackhole_client_is_the_last_choice_and_has_the_paths_of_the_arr(
    arr: FakeArr, desk: Opener
) -> None:
    desk(arr).step()
    (client,) = arr.providers.entries["downloadclient"]
    assert (client["name"], client["implementation"]) == ("Jack", "TorrentBlackhole")
    assert client["configContract"] == "TorrentBlackholeSettings"
    assert client["enable"] is True
    assert client["priority"] == 50
    assert client["removeCompletedDownloads"] is True
    assert client["tags"] == []
    assert client["fields"] == {
        "torrentFolder": f"{SEEN_AS}/watch",
        "watchFolder": f"{SEEN_AS}/completed",
        "saveMagnetFiles": False,
        "magnetFileExtension": ".magnet",
        "readOnly": False,
    }


def test_the_indexer_is_bound_to_that_client(
    arr: FakeArr, desk: Opener, torznab: FakeTorznab
) -> None:
    desk(arr).step()
    (client,) = arr.providers.entries["downloadclient"]
    (indexer,) = arr.providers.entries["indexer"]
    assert (indexer["name"], indexer["implementation"]) == ("Jack", "Torznab")
    assert indexer["downloadClientId"] == client["id"]
    assert indexer["priority"] == 7
    assert indexer["enableRss"] is True
    assert indexer["enableAutomaticSearch"] is True
    assert indexer["enableInteractiveSearch"] is True
    fields = indexer["fields"]
    assert fields["baseUrl"] == f"{torznab.url}/torznab"
    assert (fields["apiPath"], fields["apiKey"]) == ("/api", JACK_KEY)
    assert fields["minimumSeeders"] == 1
    assert fields["seedCriteria.seedRatio"] is None
    assert fields["categories"][0] == {"radarr": 2000, "sonarr": 5000}[arr.kind]
    if arr.kind == "sonarr":
        assert {5030, 5040} <= set(fields["categories"])
        assert 5070 in fields["animeCategories"]
        assert fields["animeStandardFormatSearch"] is True
    assert [query["t"] for query in torznab.asked] == [
        "caps",
        {"radarr": "movie", "sonarr": "tvsearch"}[arr.kind],
    ]


@pytest.mark.parametrize(("configured", "sent"), [(0, 1), (1, 1), (50, 50), (99, 50)])
def test_the_priority_of_the_indexer_stays_within_what_the_arrs_take(
    radarr: FakeArr, desk: Opener, configured: int, sent: int
) -> None:
    desk(radarr, priority=configured).step()
    assert radarr.providers.entries["indexer"][0]["priority"] == sent


# -- found again -----------------------------------------------------------------------------------


def test_a_second_look_in_the_same_run_sends_nothing(arr: FakeArr, desk: Opener) -> None:
    one = desk(arr)
    one.step()
    before = saved(arr)
    arr.go_down()
    one.step()
    arr.come_back()
    one.step()
    assert saved(arr) == before


def test_after_a_restart_only_the_key_that_is_not_shown_is_sent_once(
    arr: FakeArr, desk: Opener
) -> None:
    desk(arr).step()
    tested = len(arr.providers.tests)
    first = saved(arr)
    desk(arr).step()
    number = arr.providers.entries["indexer"][0]["id"]
    assert saved(arr)[len(first) :] == [("PUT", f"indexer/{number}?forceSave=false")]
    assert len(arr.providers.tests) == tested


def test_a_new_key_reaches_the_indexer(arr: FakeArr, desk: Opener, torznab: FakeTorznab) -> None:
    desk(arr).step()
    torznab.api_key = "another-key"
    desk(arr, api_key="another-key").step()
    assert arr.providers.settings("indexer", "Jack")["apiKey"] == "another-key"
    assert len(arr.providers.entries["indexer"]) == 1


def test_an_entry_the_user_renamed_is_found_by_its_place_and_keeps_its_name(
    radarr: FakeArr, desk: Opener, torznab: FakeTorznab
) -> None:
    providers = radarr.providers
    providers.add(
        "downloadclient",
        "TorrentBlackhole",
        "Friends",
        enable=False,
        priority=1,
        fields={"torrentFolder": f"{SEEN_AS}/watch/", "watchFolder": "/old"},
    )
    providers.add(
        "indexer",
        "Torznab",
        "Friends too",
        priority=25,
        fields={"baseUrl": f"{torznab.url}/torznab/", "minimumSeeders": 9},
    )
    desk(radarr).step()
    (client,) = providers.entries["downloadclient"]
    (indexer,) = providers.entries["indexer"]
    assert (client["name"], client["enable"], client["priority"]) == ("Friends", True, 50)
    assert client["fields"]["watchFolder"] == f"{SEEN_AS}/completed"
    assert (indexer["name"], indexer["priority"]) == ("Friends too", 7)
    assert indexer["fields"]["minimumSeeders"] == 1
    assert indexer["fields"]["apiKey"] == JACK_KEY


def test_an_entry_that_leads_elsewhere_is_found_by_its_name_in_any_case(
    radarr: FakeArr, desk: Opener, torznab: FakeTorznab
) -> None:
    providers = radarr.providers
    old = {"torrentFolder": "/old/watch", "watchFolder": "/old"}
    providers.add("downloadclient", "TorrentBlackhole", "JACK", enable=True, fields=old)
    providers.add("indexer", "Torznab", "jacK", fields={"baseUrl": "http://old:5225/torznab"})
    desk(radarr).step()
    assert [entry["name"] for entry in providers.entries["downloadclient"]] == ["JACK"]
    assert [entry["name"] for entry in providers.entries["indexer"]] == ["jacK"]
    assert providers.settings("indexer", "jacK")["baseUrl"] == f"{torznab.url}/torznab"
    assert providers.settings("downloadclient", "JACK")["torrentFolder"] == f"{SEEN_AS}/watch"


def test_the_place_counts_before_the_name(radarr: FakeArr, desk: Opener) -> None:
    there = {"torrentFolder": f"{SEEN_AS}/watch", "watchFolder": f"{SEEN_AS}/completed"}
    other = {"torrentFolder": "/other/watch", "watchFolder": "/other/completed"}
    radarr.providers.add("downloadclient", "TorrentBlackhole", "Jack", fields=other)
    mine = radarr.providers.add("downloadclient", "TorrentBlackhole", "Mine", fields=there)
    desk(radarr).step()
    assert radarr.providers.settings("downloadclient", "Jack")["torrentFolder"] == "/other/watch"
    assert radarr.providers.entries["indexer"][0]["downloadClientId"] == mine["id"]


def test_what_the_user_set_beside_jacks_own_switches_stays(radarr: FakeArr, desk: Opener) -> None:
    desk(radarr).step()
    (indexer,) = radarr.providers.entries["indexer"]
    indexer["tags"] = [3]
    indexer["fields"]["seedCriteria.seedRatio"] = 2.0
    indexer["priority"] = 33
    desk(radarr).step()
    assert indexer["priority"] == 7
    assert indexer["tags"] == [3]
    assert indexer["fields"]["seedCriteria.seedRatio"] == 2.0


def test_the_client_of_an_older_jack_is_taken_over_in_place(radarr: FakeArr, desk: Opener) -> None:
    old = radarr.providers.add("downloadclient", "QBittorrent", "Jack", enable=True, priority=50)
    desk(radarr).step()
    (client,) = radarr.providers.entries["downloadclient"]
    assert client["id"] == old["id"]
    assert client["implementation"] == "TorrentBlackhole"
    assert client["fields"]["readOnly"] is False


def test_something_else_of_that_name_stays_and_the_remedy_is_said(
    radarr: FakeArr, desk: Opener, caplog: pytest.LogCaptureFixture
) -> None:
    radarr.providers.add("downloadclient", "Sabnzbd", "jack", enable=True, priority=1)
    desk(radarr).step()
    (client,) = radarr.providers.entries["downloadclient"]
    assert client["implementation"] == "Sabnzbd"
    (line,) = warnings(caplog)
    assert "Name: 'Should be unique' -> rename the other 'Jack' there, or remove it" in line


def test_a_client_that_was_made_anew_gets_its_indexer_bound_again(
    radarr: FakeArr, desk: Opener
) -> None:
    desk(radarr).step()
    radarr.providers.entries["downloadclient"].clear()
    desk(radarr).step()
    (client,) = radarr.providers.entries["downloadclient"]
    assert radarr.providers.entries["indexer"][0]["downloadClientId"] == client["id"]


# -- what the *arr refuses -------------------------------------------------------------------------


def test_an_empty_library_is_registered_switched_off_first_then_forced(
    arr: FakeArr, desk: Opener, torznab: FakeTorznab, caplog: pytest.LogCaptureFixture
) -> None:
    torznab.items = 0
    desk(arr).step()
    (indexer,) = arr.providers.entries["indexer"]
    assert indexer["enableRss"] is True
    assert indexer["enableAutomaticSearch"] is True
    assert indexer["enableInteractiveSearch"] is True
    posts = [r.body for r in arr.requests if r.method == "POST" and "/indexer" in r.path]
    assert [body["enableRss"] for body in posts] == [True, False]
    assert saved(arr)[-1] == ("PUT", f"indexer/{indexer['id']}?forceSave=true")
    (line,) = warnings(caplog)
    assert "no results in the configured categories" in line
    assert line.endswith("it is registered all the same")


def test_an_indexer_the_arr_cannot_reach_is_registered_with_the_remedy(
    radarr: FakeArr, desk: Opener, caplog: pytest.LogCaptureFixture
) -> None:
    desk(radarr, internal_url="http://127.0.0.1:1/").step()
    assert radarr.providers.settings("indexer", "Jack")["baseUrl"] == "http://127.0.0.1:1/torznab"
    (line,) = warnings(caplog)
    assert "Radarr refuses jack's indexer: 'Unable to connect to indexer" in line
    assert "Radarr must be able to open http://127.0.0.1:1/torznab: check internalUrl" in line


def test_a_changed_indexer_that_fails_its_test_is_forced(
    radarr: FakeArr, desk: Opener, torznab: FakeTorznab
) -> None:
    desk(radarr).step()
    torznab.items = 0
    desk(radarr, priority=9).step()
    assert radarr.providers.entries["indexer"][0]["priority"] == 9


def test_an_indexer_that_is_refused_even_switched_off_is_said_and_tried_again(
    radarr: FakeArr, desk: Opener, caplog: pytest.LogCaptureFixture
) -> None:
    foreign = radarr.providers.add("indexer", "Newznab", "jack", protocol="usenet", priority=25)
    assert desk(radarr).step() == 5.0
    assert radarr.providers.entries["indexer"] == [foreign]
    (line,) = warnings(caplog)
    assert "Radarr refuses jack's indexer: Name: 'Should be unique' -> rename the other" in line


def test_an_update_that_is_refused_even_when_forced_is_said_and_tried_again(
    radarr: FakeArr, desk: Opener, caplog: pytest.LogCaptureFixture
) -> None:
    desk(radarr).step()
    radarr.providers.add("indexer", "Newznab", "jack", protocol="usenet", priority=25)
    caplog.clear()
    assert desk(radarr, priority=9).step() == 5.0
    (line,) = warnings(caplog)
    assert "Radarr refuses jack's indexer: Name: 'Should be unique'" in line


def test_a_folder_the_arr_does_not_see_is_said_with_the_path_map(
    radarr: FakeArr, desk: Opener, caplog: pytest.LogCaptureFixture
) -> None:
    radarr.providers.mounts = {"/elsewhere": "/elsewhere"}
    one = desk(radarr)
    assert one.step() == 5.0
    assert one.step() == 10.0
    (line,) = warnings(caplog)
    assert line.startswith(
        "jack is not registered with Radarr yet: Radarr refuses jack's download client:"
        " TorrentFolder: 'Folder does not exist'"
    )
    assert "set pathMap" in line
    assert "'/data/torrents/watch'" in line
    assert radarr.providers.entries == {"indexer": [], "downloadclient": []}


def test_a_folder_the_arr_may_not_write_to_is_a_matter_of_rights(
    radarr: FakeArr, desk: Opener, caplog: pytest.LogCaptureFixture
) -> None:
    radarr.providers.not_writable.add(f"{SEEN_AS}/completed")
    desk(radarr).step()
    (line,) = warnings(caplog)
    assert "WatchFolder: 'Unable to write to folder' -> give the user of Radarr the right" in line
    assert "pathMap" not in line


def test_a_text_in_another_language_gets_both_remedies() -> None:
    wanted = entries.download_client("/data/watch", "/data/completed")
    text = entries.remedy(wanted, Complaint("WatchFolder", "Ordner fehlt"), "Radarr")
    assert "see this folder as '/data/completed'" in text
    assert "the right to write to '/data/completed'" in text


def test_the_words_of_the_arr_cannot_fake_a_log_line(
    radarr: FakeArr, desk: Opener, caplog: pytest.LogCaptureFixture
) -> None:
    one = desk(radarr)
    with radarr.answering(400, [{"propertyName": "X\nY", "errorMessage": "no\nERROR fake"}]):
        one.step()
    assert "'no\\nERROR fake'" in warnings(caplog)[0]
    assert "\n" not in warnings(caplog)[0]


def test_no_key_appears_in_any_line(
    radarr: FakeArr,
    desk: Opener,
    folders: Path,
    torznab: FakeTorznab,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, logger="jack")
    one = desk(radarr)
    echo = [{"propertyName": "", "errorMessage": f"at [http://x?apikey={JACK_KEY}] with {ARR_KEY}"}]
    with radarr.answering(400, echo):
        one.step()
    with radarr.answering(500, {"message": f"{JACK_KEY}"}):
        one.step()
    one.step()
    assert "apikey=***" in caplog.text
    assert "jack is registered with Radarr" in caplog.text
    assert JACK_KEY not in caplog.text + repr(settings(torznab, folders))
    assert ARR_KEY not in caplog.text + repr(destination(radarr, folders))


# -- when ------------------------------------------------------------------------------------------


def test_the_pauses_double_from_5_seconds_to_15_minutes_and_one_line_says_why(
    radarr: FakeArr, desk: Opener, caplog: pytest.LogCaptureFixture
) -> None:
    one = desk(radarr)
    radarr.go_down()
    pauses = [one.step() for _ in range(10)]
    assert pauses == [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0, 900.0, 900.0]
    assert len(warnings(caplog)) == 1
    radarr.come_back()
    assert one.step() == 60.0
    assert len(radarr.providers.entries["indexer"]) == 1
    radarr.go_down()
    assert one.step() == 5.0


def test_a_server_restored_from_a_backup_gets_its_entries_again(
    radarr: FakeArr, desk: Opener
) -> None:
    one = desk(radarr)
    one.step()
    radarr.go_down()
    one.step()
    radarr.providers.entries["indexer"].clear()
    radarr.come_back()
    one.step()
    assert len(radarr.providers.entries["indexer"]) == 1


@pytest.mark.parametrize(
    "answer", [{"a": 1}, "<html>", [{"name": "Jack", "implementation": "Torznab"}]]
)
def test_an_answer_that_makes_no_sense_is_a_reason_to_wait_not_a_crash(
    radarr: FakeArr, desk: Opener, caplog: pytest.LogCaptureFixture, answer: Any
) -> None:
    with radarr.answering(200, answer):
        assert desk(radarr).step() == 5.0
    assert "Traceback" not in caplog.text


def test_a_bug_is_logged_with_its_traceback_and_tried_again(
    radarr: FakeArr,
    desk: Opener,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = desk(radarr)
    with monkeypatch.context() as broken:
        broken.setattr(entries, "find", lambda *_: 1 / 0)
        assert one.step() == 5.0
    assert "ZeroDivisionError" in caplog.text
    assert one.step() == 60.0
    assert len(radarr.providers.entries["indexer"]) == 1


def test_the_start_waits_for_nobody_and_a_server_that_is_down_is_registered_when_it_is_back(
    radarr: FakeArr, folders: Path, torznab: FakeTorznab
) -> None:
    with FakeArr("sonarr", api_key=ARR_KEY) as sonarr:
        radarr.go_down()
        sonarr.providers.mounts[SEEN_AS] = str(folders)
        registrar = Registrar(
            [destination(radarr, folders), destination(sonarr, folders)],
            settings(torznab, folders, pauses=Pauses(0.01, 0.02)),
            SystemClock(),
        )
        registrar.start()
        eventually(lambda: sonarr.providers.entries["indexer"], what="Sonarr's indexer")
        assert radarr.providers.entries["indexer"] == []
        radarr.come_back()
        eventually(lambda: radarr.providers.entries["indexer"], what="Radarr's indexer")
        assert registrar.stop(20.0)


def test_stopping_frees_a_request_that_hangs(
    radarr: FakeArr, folders: Path, torznab: FakeTorznab
) -> None:
    registrar = Registrar([destination(radarr, folders)], settings(torznab, folders), SystemClock())
    with radarr.hanging():
        registrar.start()
        radarr.wait_for_requests(1)
        assert registrar.stop(20.0)


def test_stopping_before_the_start_is_fine(
    radarr: FakeArr, folders: Path, torznab: FakeTorznab
) -> None:
    one = Registrar([destination(radarr, folders)], settings(torznab, folders), SystemClock())
    assert one.stop(1.0)
    assert radarr.requests == []
