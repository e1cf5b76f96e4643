"""The commands beside a running daemon and without one, the ends of a download, and the log."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from jack.blackhole.stub import read_stub
from jack.model import DownloadStatus, Stub, connector_id
from tests.scenarios.harness import (
    CHECKOUT,
    KIB,
    PATIENCE_SECONDS,
    Jack,
    content,
    cut,
    paused,
    peer_entry,
    run_jack,
    server_entry,
)
from tests.support.fake_arr import FakeArr
from tests.support.ports import Port
from tests.support.scripted_peer import Answer, ScriptedPeer, file_path, item_path
from tests.support.waiting import eventually

S = DownloadStatus
ITEM = "c:movie:1"
FILE = file_path(ITEM)
SIZE = 1000 * KIB
HALF = 500 * KIB
SENTINELS = {
    "jack": "sentinel-of-jack-1a2b",
    "peer": "sentinel-of-peer-3c4d",
    "peer header": "sentinel-of-header-5e6f",
    "radarr": "sentinel-of-radarr-7a8b",
}


@pytest.fixture
def you(new_jack: Callable[..., Jack], peer: ScriptedPeer) -> Jack:
    return new_jack(peers=[peer_entry("friend", peer.url)])


def fail_half_way(you: Jack, peer: ScriptedPeer, body: bytes) -> None:
    """Download 1 has failed for good with HALF of its bytes on disk; the peer is honest again."""
    peer.offer(ITEM, body, etag='"v1"')
    peer.script(FILE, cut(peer, HALF), Answer(404))
    you.drop("Film.torrent", peer.url, ITEM)
    you.start()
    row = you.row(1, S.FAILED)
    assert row.downloaded_bytes == HALF
    assert "does not have the file" in str(row.error)
    assert you.part().stat().st_size == HALF
    eventually(lambda: not you.stubs(), PATIENCE_SECONDS, "the end of the stub")
    assert (you.failed / "Film.torrent").exists()


def went_on(you: Jack, peer: ScriptedPeer, body: bytes) -> None:
    """Download 1 is complete with a Range request, and no stub is left anywhere."""
    you.row(1, S.COMPLETED)
    assert you.file().read_bytes() == body
    assert not you.part().exists()
    assert peer.requests_to(FILE)[-1].range == f"bytes={HALF}-"
    eventually(
        lambda: not you.stubs() and not list(you.failed.iterdir()), PATIENCE_SECONDS, "their end"
    )
    assert len(you.rows()) == 1


def test_a_failed_stub_dropped_again_goes_on_from_what_is_on_disk(
    you: Jack, peer: ScriptedPeer
) -> None:
    body = content(SIZE)
    fail_half_way(you, peer, body)
    (you.failed / "Film.torrent").rename(you.watch / "Film.torrent")
    went_on(you, peer, body)


def test_retry_goes_on_while_the_daemon_runs(you: Jack, peer: ScriptedPeer) -> None:
    body = content(SIZE)
    fail_half_way(you, peer, body)
    why = you.run("why", "1").stdout
    assert why.startswith("Failed: friend does not have the file")
    assert "500.0 KiB of 1000.0 KiB are safe on disk" in why
    assert "jack retry 1" in why
    done = you.run("retry", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("download 1: ")
    went_on(you, peer, body)
    late = you.run("cancel", "1")
    assert late.returncode == 1
    assert "complete already" in late.stderr


def test_retry_without_a_daemon_works_at_the_next_start(you: Jack, peer: ScriptedPeer) -> None:
    body = content(SIZE)
    fail_half_way(you, peer, body)
    assert you.stop() == 0
    assert you.run("retry", "1").returncode == 0
    row = you.row(1, S.QUEUED)
    assert row.downloaded_bytes == HALF
    assert "It starts by itself while jack runs" in you.run("why", "1").stdout
    you.start()
    went_on(you, peer, body)


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_cancel_removes_the_part_and_parks_the_stub(
    you: Jack, peer: ScriptedPeer, running: bool
) -> None:
    peer.offer(ITEM, content(SIZE))
    peer.script(FILE, paused(peer, HALF))
    you.drop("Film.torrent", peer.url, ITEM)
    you.start()
    you.row(1, S.DOWNLOADING, lambda row: row.downloaded_bytes > 0)
    assert you.run("why", "1").stdout.startswith("Downloading from friend, attempt 1; ")
    if not running:
        you.kill()
    done = you.run("cancel", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("download 1: Cancelled: cancelled by the user")
    row = you.row(1, S.CANCELLED)
    assert row.downloaded_bytes == 0
    assert not you.part().exists()
    assert not you.file().exists()
    assert [path.name for path in you.failed.iterdir()] == ["Film.torrent"]
    assert you.run("cancel", "1").returncode == 1
    if not running:
        you.start()
    peer.offer("c:movie:2", content(KIB), filename="Other (2021).mkv")
    you.drop("Other.torrent", peer.url, "c:movie:2")
    you.row(2, S.COMPLETED)
    assert you.row(1).status is S.CANCELLED, "nothing has brought it back"
    assert len(peer.requests_to(FILE)) == 1
    assert you.stop() == 0


def test_a_cancelled_stub_dropped_again_is_a_download_again(you: Jack, peer: ScriptedPeer) -> None:
    body = content(SIZE)
    peer.offer(ITEM, body)
    peer.script(FILE, paused(peer, HALF))
    you.drop("Film.torrent", peer.url, ITEM)
    you.start()
    you.row(1, S.DOWNLOADING, lambda row: row.downloaded_bytes > 0)
    assert you.run("cancel", "1").returncode == 0
    (you.failed / "Film.torrent").rename(you.watch / "Film.torrent")
    you.row(1, S.COMPLETED)
    assert you.file().read_bytes() == body
    assert peer.requests_to(FILE)[-1].range is None


def test_a_permanent_answer_to_the_grab_parks_the_stub_without_a_row(
    you: Jack, peer: ScriptedPeer
) -> None:
    peer.offer("c:movie:2", content(KIB), filename="../evil.mkv")
    you.start()
    for name, item in (("Gone.torrent", ITEM), ("Evil.torrent", "c:movie:2")):
        you.drop(name, peer.url, item)
        eventually(lambda: not you.stubs(), PATIENCE_SECONDS, "the end of the stub")
        assert (you.failed / name).exists()
        refusal = f"stub {name} refused"
        eventually(lambda r=refusal: r in you.log, PATIENCE_SECONDS, refusal)
    assert you.rows() == []
    assert you.stubs() == set()
    assert list(you.completed.iterdir()) == []


def every_secret_at_work(
    new_jack: Callable[..., Jack], new_arr: Callable[[str], FakeArr], port: Port, *options: str
) -> Jack:
    """A jack with sentinels for keys, and a peer and a Radarr that throw them back in errors."""
    with ExitStack() as stack:
        peer = stack.enter_context(ScriptedPeer(api_key=SENTINELS["peer"]))
        radarr = new_arr("radarr")
        echo = f"{SENTINELS['peer']} {SENTINELS['peer header']}\r\n\r\n".encode()
        target = f"http://else.example/{SENTINELS['peer']}?{SENTINELS['peer header']}"
        peer.offer(ITEM, content(SIZE))
        peer.offer("c:movie:2", content(SIZE), filename="Other (2021).mkv")
        peer.script(item_path(ITEM), Answer(raw=echo))
        peer.script(FILE, Answer(raw=echo), cut(peer, HALF))
        peer.script(file_path("c:movie:2"), *[Answer(302, {"Location": target})] * 2)
        you = new_jack(
            jack={"apiKey": SENTINELS["jack"], "internalUrl": port.url},
            peers=[
                peer_entry(
                    "friend",
                    peer.url,
                    SENTINELS["peer"],
                    headers={"X-Extra": SENTINELS["peer header"]},
                )
            ],
            servers=[server_entry("Radarr", "radarr", radarr.url, SENTINELS["radarr"])],
        )
        you.start(*options)
        (you.folder / "foreign").write_bytes(b"d7:comment1:xe")
        (you.folder / "foreign").rename(you.watch / f"{SENTINELS['radarr']} x.torrent")
        eventually(lambda: "*** x.torrent" in you.log, PATIENCE_SECONDS, "the redacted line")
        you.drop("Film.torrent", peer.url, ITEM)
        you.row(1, S.COMPLETED, lambda row: row.error is not None)  # Radarr has refused the key
        you.drop("Other.torrent", peer.url, "c:movie:2")
        you.row(2, S.FAILED)
        assert you.stop() == 0
        assert any(SENTINELS["peer header"] in r.headers.values() for r in peer.requests)
        assert radarr.requests[0].headers["X-Api-Key"] == SENTINELS["radarr"]
    return you


def holds_no_secret(you: Jack) -> None:
    for path in (you.log_path, *you.state.iterdir()):
        held = path.read_bytes()
        assert [name for name, secret in SENTINELS.items() if secret.encode() in held] == [], path
    shown = you.run("--log-level", "trace", "status", "--json")
    assert [name for name, key in SENTINELS.items() if key in shown.stdout + shown.stderr] == []


def test_no_key_appears_in_the_longest_log_a_row_or_a_command(
    new_jack: Callable[..., Jack], new_arr: Callable[[str], FakeArr], port: Port
) -> None:
    you = every_secret_at_work(new_jack, new_arr, port, "--log-level", "trace")
    assert "urllib3" in you.log
    holds_no_secret(you)


def test_a_json_log_is_one_object_per_line_without_a_key(
    new_jack: Callable[..., Jack], new_arr: Callable[[str], FakeArr], port: Port
) -> None:
    you = every_secret_at_work(new_jack, new_arr, port, "--log-level", "trace", "--log-json")
    lines = [json.loads(line) for line in you.log.splitlines()]
    assert {"time", "level", "logger", "message"} <= set.intersection(*map(set, lines))
    assert any("complete, 1000.0 KiB" in line["message"] for line in lines)
    holds_no_secret(you)


def test_check_and_run_name_every_problem_with_its_place_and_exit_2(tmp_path: Path) -> None:
    config = tmp_path / "jack.yaml"
    config.write_text(
        "downloads:\n  watchPath: relative\n  completedPath: /data/completed\n"
        "  maxDownloadAttempts: 0\n  retryBaseDelayMS: 5\n"
    )
    checked = run_jack("check", "-c", str(config), cwd=tmp_path)
    assert checked.returncode == 2
    *problems, count = checked.stdout.splitlines()
    place = re.compile(re.escape(str(config)) + r":(\d+):(\d+): .+")
    places = [match.groups() for match in map(place.fullmatch, problems) if match]
    assert places == [("2", "14"), ("4", "24"), ("5", "3")]
    assert "did you mean retryBaseDelayMs?" in problems[2]
    assert count == "3 problems"
    ran = run_jack("run", "-c", str(config), cwd=tmp_path)
    assert ran.returncode == 2
    assert [line for line in problems if line not in ran.stderr] == []
    assert ran.stdout == ""
    assert "Traceback" not in ran.stderr + checked.stderr
    assert list(tmp_path.iterdir()) == [config], "nothing was made"


def test_a_missing_config_and_an_unwritable_folder_are_one_line_each(
    you: Jack, tmp_path: Path
) -> None:
    missing = tmp_path / "nowhere.yaml"
    for command in ("check", "run", "status"):
        done = run_jack(command, "-c", str(missing), cwd=tmp_path)
        assert done.returncode == 2
        assert f"{missing}: there is no such file" in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
    blocker = tmp_path / "a file"
    blocker.write_bytes(b"")
    you.configure(downloads={"watchPath": str(blocker / "watch")})
    done = you.run("run")
    assert done.returncode == 1
    assert f"cannot create {blocker}" in done.stderr
    assert "Traceback" not in done.stderr


def test_commands_without_a_database_answer_and_make_none(you: Jack) -> None:
    assert you.run("check").stdout == "OK\n"
    assert json.loads(you.run("status", "--json").stdout) == {"downloads": [], "stubs": []}
    assert "No downloads yet" in you.run("status").stdout
    for command in ("why", "retry", "cancel"):
        done = you.run(command, "999")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("jack: there is no download 999;")
    assert not you.state.exists()


def test_status_is_a_table_with_the_sentence_of_why(you: Jack, peer: ScriptedPeer) -> None:
    peer.offer(ITEM, content(KIB), filename="[bold]Film (2020).mkv")
    you.drop("Film.torrent", peer.url, ITEM)
    you.start()
    you.row(1, S.COMPLETED, lambda row: row.error is not None)
    shown = you.run("status")
    assert shown.returncode == 0
    for word in ("completed", "[bold]Film (2020).mkv", "1.0 KiB", "no Radarr"):
        assert word in " ".join(shown.stdout.split())


def test_the_package_runs_as_a_module_and_as_a_plain_script(tmp_path: Path) -> None:
    as_script = run_jack("--version", cwd=CHECKOUT, script=("jack",))
    as_module = run_jack("--version", cwd=tmp_path)
    for done in (as_script, as_module):
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("jack ")
    assert as_script.stdout == as_module.stdout
    assert run_jack("unknown", cwd=tmp_path).returncode == 2
    assert run_jack("run", "--help", cwd=tmp_path).returncode == 0


def test_a_stub_made_by_hand_is_shown_read_and_downloaded(you: Jack, peer: ScriptedPeer) -> None:
    body = content(SIZE)
    peer.offer(ITEM, body)
    outside = you.folder / "hand made.torrent"
    arguments = ["--item", ITEM, "--title", "Film", "--size", str(SIZE), "-o", str(outside)]
    made = you.run("stub", "make", "--peer", "friend", *arguments)
    assert (made.returncode, made.stdout) == (0, f"{outside}\n"), made.stderr
    assert read_stub(outside.read_bytes()) == Stub(connector_id(peer.url), ITEM)
    shown = run_jack("stub", "show", str(outside), cwd=you.folder)
    assert shown.returncode == 0
    for value in (connector_id(peer.url), ITEM, "Film", str(SIZE)):
        assert value in shown.stdout
    assert you.run("stub", "make", "--peer", "nobody", *arguments).returncode == 1
    foreign = you.folder / "foreign.torrent"
    foreign.write_bytes(b"d7:comment1:xe")
    assert run_jack("stub", "show", str(foreign), cwd=you.folder).returncode == 1
    you.start()
    outside.rename(you.watch / outside.name)
    you.row(1, S.COMPLETED)
    assert you.file().read_bytes() == body
