"""The command line: what each command prints and its exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from jack import cli, screen
from jack.errors import StorageError
from jack.model import Download, DownloadStatus, Release, connector_id
from jack.store.database import Database
from jack.store.downloads import Downloads
from jack.store.lock import StateLock
from jack.support.clock import SystemClock
from jack.web.links import Ticket
from tests.cli.conftest import Jack

S = DownloadStatus
PEER = connector_id("http://127.0.0.1:9")
NOTHING: dict[str, list[object]] = {"downloads": [], "stubs": []}


@pytest.fixture
def rows(tmp_path: Path) -> Iterator[Downloads]:
    """Three downloads of an earlier run: one queued, one failed with a `.part`, one complete."""
    database = Database(tmp_path)
    downloads = Downloads(database, SystemClock())
    (tmp_path / "completed").mkdir()
    (tmp_path / "watch").mkdir()
    for number in (1, 2, 3):
        release = Release(f"c:movie:{number}", "F", f"film-{number}.mkv", 2000, 1000)
        downloads.create(
            torrent_filename=f"stub-{number}.torrent",
            stub_fingerprint="1",
            peer_id=PEER,
            peer_name="ann",
            release=release,
            release_json={},
            dest_path=tmp_path / "completed" / release.filename,
            blocked_by=None,
            sentence=None,
        )
    (tmp_path / "completed" / "film-2.mkv.part").write_bytes(b"x" * 400)
    downloads.checkpoint(2, 400)
    downloads.fail(2, "ann does not have the file (HTTP 410)")
    downloads.complete(3, 1000)
    downloads.import_queued(3, "Radarr", datetime.now(timezone.utc))
    database.close()
    yield downloads
    database.close()


def row(downloads: Downloads, number: int) -> Download:
    found = downloads.get(number)
    assert found is not None
    return found


# -- in general ------------------------------------------------------------------------------------


def test_version_and_help(jack: Jack) -> None:
    assert jack("--version").out.startswith("jack ")
    commands = "run check status why retry cancel stub demo".split()
    helped = jack("--help")
    assert helped.code == 0
    assert all(command in helped.out for command in commands)
    for command in commands:
        assert jack(command, "--help").code == 0


@pytest.mark.parametrize(
    "arguments",
    [[], ["fly"], ["why"], ["why", "one"], ["stub"], ["status", "--log-level", "loud"]],
)
def test_bad_usage_exits_2_and_says_so_on_stderr(jack: Jack, arguments: list[str]) -> None:
    result = jack(*arguments)
    assert (result.code, result.out) == (2, "")
    assert "usage: jack" in result.err


def test_a_missing_config_exits_2_in_one_line(jack: Jack, tmp_path: Path) -> None:
    result = jack("status", "-c", str(tmp_path / "nothing.yaml"))
    assert (result.code, result.out) == (2, "")
    assert "there is no such file (named with -c)" in result.err
    assert len(result.err.splitlines()) == 1


@pytest.mark.parametrize("place", ["before", "after"])
def test_the_config_may_be_named_before_or_after_the_command(
    jack: Jack, config: Path, place: str
) -> None:
    named = ["-c", str(config)]
    arguments = [*named, "check"] if place == "before" else ["check", *named]
    assert jack(*arguments).code == 0


def test_the_config_is_found_by_the_environment(
    jack: Jack, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JACK_CONFIG", str(config))
    assert jack("check").out == "OK\n"


def test_without_a_home_the_usual_places_are_still_named(
    jack: Jack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("JACK_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    result = jack("check")
    assert result.code == 2 or "OK" in result.out


@pytest.mark.parametrize(
    ("raised", "code"), [(StorageError("the disk"), 1), (KeyboardInterrupt(), 130)]
)
def test_what_ends_a_command_has_its_exit_code(
    jack: Jack, config: Path, monkeypatch: pytest.MonkeyPatch, raised: BaseException, code: int
) -> None:
    def fails(*_: object) -> None:
        raise raised

    monkeypatch.setattr(cli, "load_config", fails)
    assert jack("status", "-c", str(config)).code == code


def test_a_reader_who_leaves_early_is_no_failure(config: Path, rows: Downloads) -> None:
    """As in `jack status --json | head -0`: in a process, as stdout's descriptor is replaced."""
    process = subprocess.Popen(
        [sys.executable, "-m", "jack", "status", "--json", "-c", str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(cli.__file__).parent.parent),
            "PYTHONUNBUFFERED": "1",
        },
    )
    assert process.stdout and process.stderr
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 0
    assert errors == b""


# -- check -----------------------------------------------------------------------------------------


def test_check_says_ok_or_names_every_problem_with_its_place(jack: Jack, config: Path) -> None:
    assert (jack("check", "-c", str(config)).code, jack("check", "-c", str(config)).out) == (
        0,
        "OK\n",
    )
    config.write_text("downloads:\n  watchPaht: /w\n  completedPath: /c\npears: []\n")
    result = jack("check", "-c", str(config))
    assert result.code == 2
    *problems, count = result.out.splitlines()
    assert len(problems) >= 2
    assert all(line.startswith(f"{config}:") for line in problems)
    assert count == f"{len(problems)} problems"


def test_check_never_prints_a_secret(jack: Jack, config: Path) -> None:
    config.write_text(config.read_text().replace("http://127.0.0.1:9", "not a url"))
    result = jack("check", "-c", str(config))
    assert result.code == 2
    assert "1 problem\n" in result.out
    assert "the-secret-key" not in result.out + result.err


# -- status and why --------------------------------------------------------------------------------


def test_status_json_is_the_record_of_every_download_newest_change_first(
    jack: Jack, config: Path, rows: Downloads
) -> None:
    result = jack("status", "--json", "-c", str(config))
    downloads = json.loads(result.out)["downloads"]
    assert result.code == 0
    assert [entry["id"] for entry in downloads] == [3, 2, 1]
    assert downloads[1]["status"] == "failed"
    assert downloads[1]["downloadedBytes"] == 400


def test_status_before_the_first_run_is_empty_and_creates_nothing(
    jack: Jack, config: Path, tmp_path: Path
) -> None:
    assert json.loads(jack("status", "--json", "-c", str(config)).out) == NOTHING
    assert "No downloads yet." in jack("status", "-c", str(config)).out
    assert [path.name for path in tmp_path.iterdir()] == ["jack.yaml"]


def test_status_while_the_first_run_is_just_creating_its_database_is_empty(
    jack: Jack, config: Path, tmp_path: Path
) -> None:
    (tmp_path / "jack.db").touch()
    assert json.loads(jack("status", "--json", "-c", str(config)).out) == NOTHING


def test_a_database_that_is_broken_is_said_in_one_line(
    jack: Jack, config: Path, tmp_path: Path
) -> None:
    (tmp_path / "jack.db").write_bytes(b"this is no database " * 100)
    result = jack("status", "-c", str(config))
    assert (result.code, len(result.err.splitlines())) == (1, 1)
    assert "cannot use" in result.err


def test_status_shows_a_table(jack: Jack, config: Path, rows: Downloads) -> None:
    result = jack("status", "-c", str(config))
    assert result.code == 0
    for text in ("queued", "failed", "import_queued"):
        assert text in result.out


def test_status_watch_ends_with_ctrl_c(
    jack: Jack, config: Path, rows: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def stop_after_two(view: Any, width: int) -> Any:
        seen.append(view["downloads"])
        if len(seen) == 3:
            raise KeyboardInterrupt
        return lines(view, width)

    lines = screen.lines
    monkeypatch.setattr(screen, "lines", stop_after_two)
    monkeypatch.setattr(screen, "REFRESH_SECONDS", 0.01)
    assert jack("status", "--watch", "--all", "-c", str(config)).code == 0
    assert [len(downloads) for downloads in seen] == [3, 3, 3]


def test_why_is_one_sentence_about_one_download(jack: Jack, config: Path, rows: Downloads) -> None:
    result = jack("why", "2", "-c", str(config))
    assert result.code == 0
    assert result.out.startswith("Failed: ann does not have the file (HTTP 410); 400 B of 1000 B")
    assert len(result.out.splitlines()) == 1


@pytest.mark.parametrize("command", ["why", "retry", "cancel"])
@pytest.mark.parametrize("number", ["0", "99", "-3", "99999999999999999999999"])
def test_an_unknown_download_exits_1(
    jack: Jack, config: Path, rows: Downloads, command: str, number: str
) -> None:
    result = jack(command, "-c", str(config), "--", number)
    assert (result.code, result.out) == (1, "")
    assert f"there is no download {number}" in result.err


def test_why_without_any_state_exits_1(jack: Jack, config: Path) -> None:
    assert jack("why", "1", "-c", str(config)).code == 1


# -- retry and cancel ------------------------------------------------------------------------------


def test_retry_without_a_daemon_queues_it_for_the_next_start(
    jack: Jack, config: Path, rows: Downloads
) -> None:
    result = jack("retry", "2", "-c", str(config))
    assert result.code == 0
    assert "download 2: Waiting for a free transfer slot; 400 B of 1000 B" in result.out
    found = row(rows, 2)
    assert (found.status, found.downloaded_bytes) == (S.QUEUED, 400)


def test_cancel_without_a_daemon_removes_the_part(
    jack: Jack, config: Path, rows: Downloads, tmp_path: Path
) -> None:
    result = jack("cancel", "2", "-c", str(config))
    assert result.code == 0
    assert "Cancelled: cancelled by the user" in result.out
    assert not (tmp_path / "completed" / "film-2.mkv.part").exists()
    assert row(rows, 2).downloaded_bytes == 0


def test_what_is_complete_is_not_cancelled(jack: Jack, config: Path, rows: Downloads) -> None:
    result = jack("cancel", "3", "-c", str(config))
    assert (result.code, result.out) == (1, "")
    assert "download 3 is complete already" in result.err


def test_what_runs_is_not_retried_and_what_is_cancelled_is_not_cancelled_again(
    jack: Jack, config: Path, rows: Downloads
) -> None:
    row = rows.get(1)
    assert row is not None
    rows.begin_attempt(row)
    assert "running already" in jack("retry", "1", "-c", str(config)).err
    rows.cancel(2, "x")
    assert "cancelled already" in jack("cancel", "2", "-c", str(config)).err


def test_what_another_download_is_writing_is_not_retried(
    jack: Jack, config: Path, rows: Downloads, tmp_path: Path
) -> None:
    release = Release("c:movie:9", "F", "film-2.mkv", 2000, 1000)
    rows.create(
        torrent_filename="again.torrent",
        stub_fingerprint="1",
        peer_id=PEER,
        peer_name="ann",
        release=release,
        release_json={},
        dest_path=tmp_path / "completed" / "film-2.mkv",
        blocked_by=None,
        sentence=None,
    )
    result = jack("retry", "2", "-c", str(config))
    assert result.code == 1
    assert "download 4 is writing the same file" in result.err


def test_retry_of_what_is_complete_but_not_handed_over_is_left_to_the_next_start(
    jack: Jack, config: Path, rows: Downloads
) -> None:
    rows.complete(1, 1000)
    for number in (1, 3):
        assert jack("retry", str(number), "-c", str(config)).code == 0
        assert row(rows, number).status is S.COMPLETED


def test_a_jack_that_does_not_answer_is_said_in_one_line(
    jack: Jack, config: Path, rows: Downloads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jack.control.running.CONTROL_START_SECONDS", 0.1)
    lock = StateLock(tmp_path)
    lock.acquire()
    try:
        for command in ("status", "why 1", "retry 1", "cancel 1"):
            result = jack(*command.split(), "-c", str(config))
            assert (result.code, result.out) == (1, "")
            assert "does not answer on its socket" in result.err
            assert len(result.err.splitlines()) == 1
    finally:
        lock.release()


# -- stubs -----------------------------------------------------------------------------------------


def test_a_stub_made_by_hand_says_what_was_asked_for(
    jack: Jack, config: Path, tmp_path: Path
) -> None:
    output = tmp_path / "x.torrent"
    made = jack(
        *("stub", "make", "-c", str(config), "--peer", "ann", "--item", "c:movie:1"),
        *("--title", "Film (2020)", "--size", "1000", "-o", str(output)),
    )
    assert (made.code, made.out) == (0, f"{output}\n")
    shown = jack("stub", "show", str(output))
    assert shown.code == 0
    for line in (f"peer:      {PEER}", "item:      c:movie:1", "title:     Film (2020)"):
        assert line in shown.out
    assert "size:      1000" in shown.out


def test_a_stub_made_by_hand_has_the_info_hash_of_the_one_that_the_feed_would_bring(
    jack: Jack, config: Path, tmp_path: Path
) -> None:
    hashes = []
    for item in ("c:movie:1", "c:movie:2"):
        output = tmp_path / f"{item[-1]}.torrent"
        options = ("--peer", "ann", "--item", item, "--title", "Film (2020) 1080p", "--size", "10")
        assert jack("stub", "make", "-c", str(config), *options, "-o", str(output)).code == 0
        hashes.append(jack("stub", "show", str(output)).out.partition("info hash: ")[2].strip())
    offered = [Ticket(PEER, item, "Film (2020) 1080p", 10) for item in ("c:movie:1", "c:movie:2")]
    assert hashes == [ticket.info_hash() for ticket in offered]
    assert len(set(hashes)) == 2


def test_a_stub_gets_its_name_from_the_title(
    jack: Jack, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ["--peer", PEER, "--item", "c:movie:1", "--title", "A/B", "--size", "1"]
    assert jack("stub", "make", "-c", str(config), *options).out == "A+B.torrent\n"
    assert jack("stub", "make", "-c", str(config), *options).code == 0, "our own stub is replaced"
    (tmp_path / "A+B.torrent").write_bytes(b"somebody else's")
    result = jack("stub", "make", "-c", str(config), *options)
    assert (result.code, result.out) == (1, "")
    assert "exists already and is something else" in result.err


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"--peer": "bob"}, "no peer is named 'bob'; the config has: ann"),
        ({"--item": "a\nb"}, "control character"),
        ({"--size": "0"}, "at least 1 byte"),
        ({"--title": ""}, "cannot be a title"),
        ({"-o": "/nowhere/at/all/x.torrent"}, "cannot write /nowhere/at/all/x.torrent"),
    ],
)
def test_a_stub_that_cannot_be_made_is_explained(
    jack: Jack, config: Path, tmp_path: Path, changes: dict[str, str], sentence: str
) -> None:
    options = {
        "--peer": "ann",
        "--item": "c:movie:1",
        "--title": "T",
        "--size": "1",
        "-o": str(tmp_path / "x.torrent"),
    }
    flat = [word for pair in {**options, **changes}.items() for word in pair]
    result = jack("stub", "make", "-c", str(config), *flat)
    assert (result.code, result.out) == (1, "")
    assert sentence in result.err


def test_what_is_not_a_stub_is_said(jack: Jack, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"hello")
    assert "is not a stub of jack's" in jack("stub", "show", str(tmp_path / "x")).err
    missing = jack("stub", "show", str(tmp_path / "y"))
    assert missing.code == 1
    assert "cannot read" in missing.err


def test_a_pipe_or_a_device_is_no_stub_and_is_not_waited_for(jack: Jack, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        result = jack("stub", "show", str(path))
        assert (result.code, result.out) == (1, "")
        assert result.err == f"jack: cannot read {path}: it is no regular file\n"


# -- check -----------------------------------------------------------------------------------------


def test_check_says_what_a_config_without_a_key_of_its_own_cannot_do(
    jack: Jack, config: Path
) -> None:
    result = jack("check", "-c", str(config))
    assert (result.code, result.out) == (0, "OK\n")
    assert (
        f"{config}: jack.apiKey is not set, so jack serves nobody, and Radarr and Sonarr cannot"
        " search through jack: set jack.internalUrl and jack.apiKey" in result.err
    )
    content = json.loads(config.read_text())
    content["jack"]["apiKey"] = "a-long-key-of-one's-own-0123"
    content["jack"]["internalUrl"] = "http://nas.local:5225"
    config.write_text(json.dumps(content))
    assert "cannot search" not in jack("check", "-c", str(config)).err


# -- run and demo ----------------------------------------------------------------------------------


def test_run_hands_the_config_to_the_daemon_and_its_exit_code_back(
    jack: Jack, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def daemon(loaded: Any) -> int:
        seen.append(loaded.path)
        return 1

    monkeypatch.setattr("jack.daemon.run_daemon", daemon)
    assert jack("run", "-c", str(config)).code == 1
    assert seen == [config]


def test_demo_takes_its_size_in_mebibytes(jack: Jack, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    monkeypatch.setattr("jack.demo.run_demo", lambda size: sizes.append(size) or 0)
    assert jack("demo", "--size-mib", "4").code == 0
    assert jack("demo").code == 0
    assert sizes == [4 * 1024 * 1024, 256 * 1024 * 1024]
