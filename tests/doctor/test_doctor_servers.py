"""The doctor on Radarr and Sonarr: which program it is, and whether it sees jack's folders."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from jack.doctor import examine
from jack.doctor.findings import Level
from jack.doctor.servers import shared_mapping
from jack.support.clock import SystemClock
from tests.doctor.patient import JACK_KEY, Patient
from tests.support.fake_arr import FakeArr
from tests.support.fake_torznab import FakeTorznab

NewArr = Callable[..., FakeArr]


def mounted(arr: FakeArr, patient: Patient, seen_as: str = "/data/torrents") -> None:
    arr.providers.mounts[seen_as] = str(patient.completed.parent)


def test_an_arr_that_sees_both_folders_is_well(patient: Patient, new_arr: NewArr) -> None:
    patient.employ(new_arr())
    lines = [finding.line for finding in patient.examine() if "Movies" in finding.text]
    assert lines == [
        "ok   Movies: Radarr 6.1.0.10293 answers and accepts the key",
        "ok   Movies: its clock and ours agree",
        f"ok   Movies: sees completedPath as {patient.completed}",
        f"ok   Movies: sees watchPath as {patient.watch}",
    ]
    assert patient.leftovers() == []


def test_the_path_map_is_used(patient: Patient, new_arr: NewArr) -> None:
    arr = new_arr("sonarr")
    mounted(arr, patient)
    mapping = {"jack": str(patient.completed.parent), "arr": "/data/torrents"}
    patient.employ(arr, pathMap=[mapping])
    assert patient.found("sees completedPath").text.endswith("as /data/torrents/completed")
    assert patient.troubles() == []


def test_a_folder_it_calls_otherwise_is_found_in_its_own_client(
    patient: Patient, new_arr: NewArr
) -> None:
    arr = new_arr()
    mounted(arr, patient, "/mnt/odd/place")
    folders = {"torrentFolder": "/mnt/odd/place/watch", "watchFolder": "/mnt/odd/place/completed/"}
    arr.providers.add("downloadclient", "TorrentBlackhole", "Mine", enable=True, fields=folders)
    patient.employ(arr)
    line = f"pathMap: [{{jack: {patient.completed.parent}, arr: /mnt/odd/place}}]"
    troubles = patient.troubles()
    assert len(troubles) == 2
    assert all(trouble.endswith(f"put this into its block: {line}") for trouble in troubles)
    assert patient.leftovers() == []


def test_the_line_it_prints_makes_the_next_visit_well(patient: Patient, new_arr: NewArr) -> None:
    arr = new_arr()
    mounted(arr, patient, "/data")
    patient.employ(arr)
    arr.providers.mounts["/"] = str(patient.root / "rootfs")
    (patient.root / "rootfs" / "data").mkdir(parents=True)
    (trouble, _) = patient.troubles()
    assert f"pathMap: [{{jack: {patient.completed.parent}, arr: /data}}]" in trouble
    patient.blocks["servers"][0]["pathMap"] = [
        {"jack": str(patient.completed.parent), "arr": "/data"}
    ]
    assert patient.troubles() == []


def test_a_folder_it_does_not_see_at_all_needs_a_mount(patient: Patient, new_arr: NewArr) -> None:
    arr = new_arr()
    arr.providers.mounts["/elsewhere"] = "/nowhere"
    patient.employ(arr)
    trouble = patient.troubles()[0]
    assert f"FAIL Movies: does not see completedPath as {patient.completed} -> mount" in trouble
    assert f"pathMap: [{{jack: {patient.completed}, arr: /this/folder/in/Movies}}]" in trouble


def test_a_guess_comes_from_its_client_when_nothing_can_be_proven(
    patient: Patient, new_arr: NewArr
) -> None:
    arr = new_arr()
    arr.providers.mounts["/elsewhere"] = "/nowhere"
    folders = {"torrentFolder": "/d/w", "watchFolder": "/d/My Films"}
    arr.providers.add("downloadclient", "TorrentBlackhole", "Mine", fields=folders)
    patient.employ(arr)
    assert f'[{{jack: {patient.completed}, arr: "/d/My Films"}}]' in patient.troubles()[0]


@pytest.mark.parametrize(
    ("here", "there", "short"),
    [
        ("/v/t/completed", "/data/t/completed", ("/v/t", "/data/t")),
        ("/v/t/completed", "/downloads", ("/v/t/completed", "/downloads")),
        ("/v/t/completed", "/completed", ("/v/t/completed", "/completed")),
        ("/v/t/completed", "D:\\t\\completed", ("/v/t", "D:\\t")),
    ],
)
def test_one_mapping_serves_both_folders_and_no_more(
    here: str, there: str, short: tuple[str, str]
) -> None:
    assert shared_mapping(here, there, "/v/t") == short


def test_the_other_program_is_named(patient: Patient, new_arr: NewArr) -> None:
    patient.employ(new_arr("sonarr"), type="radarr")
    (line,) = patient.troubles()
    assert line == (
        "FAIL Movies: this is Sonarr, the config says type: radarr -> correct its url, or set"
        " type: sonarr"
    )


def test_something_else_at_its_url_is_a_failure(patient: Patient, new_arr: NewArr) -> None:
    arr = new_arr()
    patient.employ(arr)
    with arr.answering(200, {"appName": "Prowlarr"}):
        assert "its url leads to something else" in patient.troubles()[0]
    with arr.answering(200, []):
        assert "its url leads to something else" in patient.troubles()[0]


def test_a_missing_url_base_is_said(patient: Patient, new_arr: NewArr) -> None:
    arr = new_arr(url_base="/radarr")
    patient.employ(arr, url=arr.url.removesuffix("/radarr"))
    assert "is the URL base missing?" in patient.troubles()[0]


def test_a_wrong_key_is_a_failure(patient: Patient, new_arr: NewArr) -> None:
    patient.employ(new_arr(), apiKey="another-key")
    (line,) = patient.troubles()
    assert "FAIL Movies: refuses the apiKey (401)" in line


def test_an_arr_that_is_down_is_a_failure(patient: Patient, new_arr: NewArr) -> None:
    arr = new_arr()
    patient.employ(arr)
    arr.go_down()
    (line,) = patient.troubles()
    assert "FAIL Movies: cannot be reached" in line
    assert line.endswith("-> check its url, and whether it runs")


def test_a_server_that_gets_no_downloads_need_not_see_the_folders(
    patient: Patient, new_arr: NewArr
) -> None:
    arr = new_arr()
    arr.providers.mounts["/elsewhere"] = "/nowhere"
    patient.employ(arr, destination=False)
    assert patient.troubles() == []


def test_a_folder_jack_cannot_write_to_is_told_apart_from_one_the_arr_does_not_see(
    patient: Patient, new_arr: NewArr
) -> None:
    patient.employ(new_arr())
    patient.completed.rmdir()
    lines = patient.troubles()
    assert any("whether it sees completedPath cannot be tried" in line for line in lines)
    assert not any("pathMap" in line for line in lines)


def test_jacks_as_the_only_torrent_client_is_warned_about(
    patient: Patient, new_arr: NewArr
) -> None:
    arr = new_arr()
    arr.providers.add("downloadclient", "TorrentBlackhole", "Jack", enable=True)
    patient.employ(arr)
    assert not [f for f in patient.examine() if "only torrent client" in f.text]
    arr.providers.add("indexer", "Torznab", "Other")
    assert patient.found("only torrent client").level is Level.WARN
    arr.providers.add("downloadclient", "QBittorrent", "qBittorrent", enable=True)
    assert not [f for f in patient.examine() if "only torrent client" in f.text]


# -- clock, address and folder ---------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "words"), [(600, "behind"), (-600, "ahead of")])
def test_a_clock_that_is_another_than_ours_is_warned_about(
    patient: Patient, new_arr: NewArr, seconds: int, words: str
) -> None:
    class Elsewhen(SystemClock):
        def now(self) -> datetime:
            return super().now() + timedelta(seconds=seconds)

    patient.employ(new_arr())
    assert patient.found("its clock").line == "ok   Movies: its clock and ours agree"
    (finding,) = [f for f in examine(patient.config(), Elsewhen()) if "its clock" in f.text]
    assert finding.level is Level.WARN
    assert re.fullmatch(
        rf"Movies: its clock is 0:(09:5\d|10:0\d) \(h:mm:ss\) {words} ours", finding.text
    )
    assert "NTP" in finding.remedy


def reachable(patient: Patient, url: str) -> None:
    patient.blocks["jack"] |= {"apiKey": JACK_KEY, "internalUrl": url}


def reaches(patient: Patient) -> str:
    return patient.found("jack at http").line


def test_whether_it_reaches_jack_is_said_by_its_own_test(patient: Patient, new_arr: NewArr) -> None:
    arr = new_arr()
    patient.employ(arr)
    with FakeTorznab(JACK_KEY) as feed:
        reachable(patient, feed.url)
        assert reaches(patient) == f"ok   Movies: reaches jack at {feed.url}"
        assert {query["t"] for query in feed.asked} == {"caps", "movie"}
        assert arr.providers.entries["indexer"] == [], "nothing was stored"


def test_the_entry_it_has_is_tested_with_the_address_of_the_config(
    patient: Patient, new_arr: NewArr
) -> None:
    arr = new_arr()
    patient.employ(arr)
    fields = {"baseUrl": "http://127.0.0.1:1/torznab", "apiKey": "another", "categories": [2000]}
    arr.providers.add("indexer", "Torznab", "Jack", fields=fields)
    with FakeTorznab(JACK_KEY) as feed:
        reachable(patient, feed.url)
        assert reaches(patient) == f"ok   Movies: reaches jack at {feed.url}"
    assert arr.providers.settings("indexer", "Jack")["apiKey"] == "another"


def test_an_address_that_leads_nowhere_from_there_is_a_failure_in_its_own_words(
    patient: Patient, new_arr: NewArr
) -> None:
    patient.employ(new_arr())
    with FakeTorznab(JACK_KEY) as feed:
        url = feed.url.replace("127.0.0.1", "no-such-host.invalid")
        reachable(patient, url)
        line = reaches(patient)
    assert line.startswith(f"FAIL Movies: does not reach jack at {url}: 'Unable to connect to")
    assert f"-> Movies must be able to open {url}/torznab: check internalUrl from its side" in line


def test_another_program_at_the_address_is_told_apart(patient: Patient, new_arr: NewArr) -> None:
    patient.employ(new_arr())
    with FakeTorznab("the key of another jack") as feed:
        reachable(patient, feed.url)
        line = patient.found("does not know jack's key").line
    assert "another jack, answers there" in line


def test_an_empty_feed_is_not_jacks(patient: Patient, new_arr: NewArr) -> None:
    patient.employ(new_arr())
    with FakeTorznab(JACK_KEY, items=0) as feed:
        reachable(patient, feed.url)
        line = reaches(patient)
    assert line.startswith(f"FAIL Movies: does not reach jack at {feed.url}: 'Query successful")


def test_without_a_running_jack_nothing_is_tried(patient: Patient, new_arr: NewArr) -> None:
    arr = new_arr()
    patient.employ(arr)
    reachable(patient, "http://127.0.0.1:1")
    assert patient.found("does not run now").level is Level.WARN
    assert arr.providers.tests == []


def test_two_servers_with_one_blackhole_folder_are_told_what_they_will_see(
    patient: Patient, new_arr: NewArr
) -> None:
    patient.employ(new_arr())
    assert not [f for f in patient.examine() if "blackhole folder" in f.text]
    patient.employ(new_arr("sonarr"), name="Series")
    finding = patient.found("share one blackhole folder")
    assert finding.level is Level.WARN
    assert finding.text.startswith("Movies and Series share")
    assert "unlinkImportedFiles" in finding.remedy
    patient.blocks["servers"][1]["destination"] = False
    assert not [f for f in patient.examine() if "blackhole folder" in f.text]
