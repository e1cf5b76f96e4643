"""The doctor on folders, and on configs that are right and useless."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import pytest
from watchdog.observers.api import BaseObserver

from jack.blackhole.names import concerns_intake
from jack.blackhole.watcher import Watcher
from jack.doctor import folders
from jack.doctor.findings import Level, fail, ok, warn
from jack.doctor.folders import download_findings, probe_file
from jack.support.files import MEDIA_EXTENSIONS
from tests.doctor.patient import JACK_KEY, Patient


def test_a_line_begins_with_its_level_and_ends_with_the_remedy() -> None:
    assert ok("fine").line == "ok   fine"
    assert warn("meh", "do").line == "warn meh -> do"
    assert fail("bad", "do").line == "FAIL bad -> do"


def test_good_folders_are_all_well_and_nothing_is_left_in_them(patient: Patient) -> None:
    patient.share(patient.library)
    lines = [finding.line for finding in patient.examine()]
    assert f"ok   watchPath {patient.watch} exists and can be written to" in lines
    assert f"ok   completedPath {patient.completed} exists and can be written to" in lines
    assert "ok   watchPath and completedPath are on the same file system" in lines
    assert f"ok   library folder {patient.library} can be read" in lines
    assert patient.troubles() == []
    assert patient.leftovers() == []


def test_folders_that_turn_out_to_be_one_are_a_failure(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk is mounted after the config was read; and a share that is mounted twice, which looks
    like two folders and shows the same files."""
    config = patient.config()
    patient.completed.rmdir()
    patient.completed.symlink_to(patient.watch)
    assert config.downloads is not None
    for problem in ("is the same folder as watchPath", "shows what is in watchPath"):
        lines = [finding.line for finding in download_findings(config.downloads)]
        (line,) = [line for line in lines if "would mix" in line]
        assert line == (
            f"FAIL completedPath {problem}: finished files and stubs would mix -> use two folders"
            " side by side"
        )
        monkeypatch.setattr(folders, "folders_mixed", lambda *_: None)
    assert patient.leftovers() == []


@pytest.mark.parametrize("key", ["watchPath", "completedPath"])
def test_a_missing_folder_is_one_failure_with_its_remedy(patient: Patient, key: str) -> None:
    patient.blocks["downloads"][key] = str(patient.root / "missing")
    (line,) = patient.troubles()
    assert line.startswith(f"FAIL {key} {patient.root}/missing cannot be written to")
    assert "-> create the folder" in line


def test_a_state_folder_that_is_a_file_is_a_failure(patient: Patient) -> None:
    (patient.root / "file").write_text("x")
    patient.blocks["jack"]["statePath"] = str(patient.root / "file")
    (line,) = patient.troubles()
    assert "FAIL statePath" in line


@pytest.mark.fault("D9")
@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_to_names_the_user(patient: Patient) -> None:
    patient.watch.chmod(0o555)
    try:
        (line,) = patient.troubles()
    finally:
        patient.watch.chmod(0o755)
    assert f"-> give uid {os.getuid()}, which runs this, the right to write to it" in line


def test_too_little_space_is_a_failure(patient: Patient) -> None:
    patient.blocks["downloads"]["minFreeBytes"] = 2**60
    (line,) = patient.troubles()
    assert line.startswith("FAIL no room:")
    assert "1024.0 PiB stay free" in line
    assert line.endswith("-> make room, or lower minFreeBytes")


@pytest.mark.fault("W4")
def test_how_stubs_are_noticed_is_said(patient: Patient) -> None:
    patient.blocks["downloads"]["watchMode"] = "poll"
    finding = patient.found("new stubs in watchPath")
    assert finding.line == (
        "ok   new stubs in watchPath are noticed by scan only (watchMode: poll) every 60 s"
    )


@pytest.mark.parametrize("mode", ["auto", "events"])
def test_file_events_that_cannot_be_had_are_a_warning(
    patient: Patient, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    def none_left() -> BaseObserver:
        raise OSError(24, "inotify instance limit reached")

    monkeypatch.setattr(folders, "Watcher", partial(Watcher, observer_factory=none_left))
    patient.blocks["downloads"]["watchMode"] = mode
    assert patient.found("new stubs in watchPath").line == (
        "warn new stubs in watchPath are noticed by scan only (inotify instance limit reached)"
        " every 60 s -> fine when that is soon enough, else lower rescanIntervalMs"
    )


def test_an_unreadable_library_folder_is_a_failure_and_an_empty_one_a_warning(
    patient: Patient,
) -> None:
    (patient.root / "empty").mkdir()
    patient.share(patient.root / "empty", patient.root / "gone")
    (line,) = patient.troubles()
    assert f"FAIL library folder {patient.root}/gone cannot be read" in line
    assert patient.found("is empty").level is Level.WARN


def test_the_probe_is_nothing_a_jack_or_an_arr_would_take(patient: Patient) -> None:
    with probe_file(patient.completed) as probe:
        assert probe.exists()
        assert probe.name.startswith(".")
        assert probe.suffix not in MEDIA_EXTENSIONS
        assert not concerns_intake(probe.name)
    assert not probe.exists()


@pytest.mark.fault("F15")
@pytest.mark.parametrize(
    ("blocks", "words"),
    [
        ({"downloads": None}, "jack would do nothing"),
        ({}, "there are no peers to download from"),
        ({}, "there are no servers to import"),
        ({"apiKey": True}, "there is nothing to share"),
    ],
)
def test_a_config_that_is_right_and_useless_is_warned_about(
    patient: Patient, blocks: dict[str, Any], words: str
) -> None:
    if "downloads" in blocks:
        del patient.blocks["downloads"]
    if "apiKey" in blocks:
        patient.blocks["jack"]["apiKey"] = JACK_KEY
    assert patient.found(words).level is Level.WARN
    assert patient.troubles() == []


def test_a_server_that_jack_cannot_add_itself_to_is_warned_about(patient: Patient) -> None:
    url = "http://127.0.0.1:1"
    patient.blocks["servers"] = [{"name": "R", "type": "radarr", "url": url, "apiKey": JACK_KEY}]
    assert "set jack.internalUrl" in patient.found("cannot search through jack").remedy
