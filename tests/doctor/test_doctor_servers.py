"""The doctor on Radarr and Sonarr: which program it is, and whether it sees jack's folders."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from jack.doctor.findings import Level
from jack.doctor.servers import _shortened
from tests.doctor.patient import Patient
from tests.support.fake_arr import FakeArr

NewArr = Callable[..., FakeArr]


def mounted(arr: FakeArr, patient: Patient, seen_as: str = "/data/torrents") -> None:
    arr.providers.mounts[seen_as] = str(patient.completed.parent)


def test_an_arr_that_sees_both_folders_is_well(patient: Patient, new_arr: NewArr) -> None:
    patient.employ(new_arr())
    lines = [finding.line for finding in patient.examine() if "Movies" in finding.text]
    assert lines == [
        "ok   Movies: Radarr 6.1.0.10293 answers and accepts the key",
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
    assert _shortened(here, there, "/v/t") == short


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
