"""`jack doctor`: exit codes, what goes to stdout, and that no key is ever in it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest

from jack import cli
from tests.doctor.patient import ARR_KEY, JACK_KEY, PEER_KEY, Patient
from tests.scenarios.harness import PATIENCE_SECONDS, Jack, server_entry
from tests.support.fake_arr import FakeArr
from tests.support.ports import Port
from tests.support.scripted_peer import Answer, ScriptedPeer
from tests.support.waiting import eventually


@pytest.fixture(autouse=True)
def _no_logging(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command would take over the logging of the whole test run."""
    monkeypatch.setattr(cli, "set_up_logging", lambda *_: None)


def test_all_well_is_exit_0_and_one_line_each(
    patient: Patient,
    peer: ScriptedPeer,
    new_arr: Callable[..., FakeArr],
    capsys: pytest.CaptureFixture[str],
) -> None:
    peer.offer("c:movie:1", b"x" * 1000)
    patient.befriend(peer)
    patient.employ(new_arr())
    assert cli.main(["doctor", "-c", str(patient.path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 10
    assert {line[:5] for line in lines} <= {"ok   ", "warn "}


def test_one_failure_is_exit_1_and_the_rest_is_looked_at_all_the_same(
    patient: Patient, new_arr: Callable[..., FakeArr], capsys: pytest.CaptureFixture[str]
) -> None:
    patient.blocks["peers"] = [{"name": "f", "url": "http://127.0.0.1:1", "apiKey": PEER_KEY}]
    patient.employ(new_arr())
    assert cli.main(["doctor", "-c", str(patient.path)]) == 1
    said = capsys.readouterr().out
    assert "FAIL friend f:" in said
    assert "ok   Movies: sees completedPath" in said


def test_a_config_with_mistakes_is_exit_2(
    patient: Patient, capsys: pytest.CaptureFixture[str]
) -> None:
    patient.blocks["peers"] = 5
    assert cli.main(["doctor", "-c", str(patient.path)]) == 2
    assert capsys.readouterr().out == ""


def test_no_key_is_ever_printed(
    patient: Patient,
    peer: ScriptedPeer,
    new_arr: Callable[..., FakeArr],
    capsys: pytest.CaptureFixture[str],
) -> None:
    keys = f"{ARR_KEY} {JACK_KEY} {PEER_KEY}"
    patient.blocks["jack"] |= {"apiKey": JACK_KEY, "internalUrl": "http://127.0.0.1:5225"}
    peer.always("/handshake", Answer(200, {}, f'{{"version": "{PEER_KEY}"}}'.encode()))
    patient.befriend(peer)
    arr = new_arr()
    patient.employ(arr)
    with arr.answering(500, {"message": keys}):
        assert cli.main(["doctor", "-c", str(patient.path)]) == 1
    printed = capsys.readouterr()
    assert "***" in printed.out
    for key in (ARR_KEY, JACK_KEY, PEER_KEY):
        assert key not in printed.out + printed.err


def test_a_running_jack_is_reached_by_what_it_is_registered_with(
    tmp_path: Path, new_arr: Callable[..., FakeArr]
) -> None:
    """The whole way: jack's own feed, without a friend, before the *arr's Test."""
    port, radarr = Port(), new_arr()
    jack = Jack(
        tmp_path / "you",
        jack={"apiKey": JACK_KEY, "internalUrl": port.url},
        servers=[server_entry("Movies", "radarr", radarr.url, ARR_KEY)],
    )
    with contextlib.closing(jack), contextlib.closing(port):
        jack.start()
        eventually(lambda: radarr.providers.entries["indexer"], PATIENCE_SECONDS, "registration")
        done = jack.run("doctor")
        assert f"ok   Movies: reaches jack at {port.url}\n" in done.stdout, done.stdout
        assert done.returncode == 0


def test_it_works_while_the_daemon_runs_and_does_not_disturb_it(tmp_path: Path) -> None:
    jack = Jack(tmp_path / "you")
    try:
        jack.start()
        said = len(jack.log)
        done = jack.run("doctor")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "FAIL" not in done.stdout
        assert jack.stubs() == set()
        assert jack.stop() == 0
        assert "WARNING" not in jack.log[said:]
    finally:
        jack.close()
