"""The configuration, the start and secrets: what a user can get wrong before anything runs."""

from __future__ import annotations

import configparser
import os
import re
import runpy
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jack import requirements
from jack.config import load_config
from jack.errors import ConfigError
from jack.model import DownloadStatus
from jack.requirements import REQUIRED, complaint
from tests.faults.broken_configs import ENVIRON, SENTINELS, broken_config
from tests.scenarios.harness import (
    CHECKOUT,
    KEY,
    PATIENCE_SECONDS,
    Jack,
    environment,
    peer_entry,
)
from tests.support.hurt_jack import HurtJack
from tests.support.scripted_peer import ScriptedPeer
from tests.support.seeds import each_seed
from tests.support.waiting import eventually

SEEDS = 300
FIXED_SEEDS = (2243, 2294, 2771)
"""Seeds that once failed: a key in the place of a type was repeated in the message."""
LONGEST_SECONDS = 10.0


def _complaint(seed: int, path: Path) -> str | None:
    """What is wrong with how jack takes the config of `seed`; None when nothing is."""
    data = broken_config(seed)
    path.write_bytes(data)
    started = time.thread_time()
    try:
        load_config(path, ENVIRON)
        said = ""
    except ConfigError as error:
        said = "\n".join(error.problems)
        line = re.compile(re.escape(str(path)) + r":[1-9][0-9]*:[1-9][0-9]*: .+")
        if not error.problems or not all(map(line.fullmatch, error.problems)):
            return f"not one FILE:LINE:COL line for each problem: {error.problems}"
        if not all(problem.isprintable() for problem in error.problems):
            return f"control characters in a message: {error.problems}"
    except Exception as error:  # a traceback for the user
        return f"{type(error).__name__}: {error}"
    if any(secret in said for secret in SENTINELS):
        return f"a secret is shown: {said}"
    seconds = time.thread_time() - started
    return f"took {seconds:.1f} s" if seconds > LONGEST_SECONDS else None


@pytest.mark.fault("F1", "F3", "F5")
def test_any_accident_in_the_config_is_a_list_of_places_or_no_accident(tmp_path: Path) -> None:
    path = tmp_path / "jack.yaml"
    with each_seed(SEEDS, FIXED_SEEDS) as seeds:
        complaints = {seed: found for seed in seeds if (found := _complaint(seed, path))}
    assert complaints == {}


def test_the_accidents_are_neither_all_fatal_nor_all_harmless(tmp_path: Path) -> None:
    path = tmp_path / "jack.yaml"
    outcomes = []
    for seed in range(100):
        path.write_bytes(broken_config(seed))
        try:
            load_config(path, ENVIRON)
            outcomes.append("read")
        except ConfigError:
            outcomes.append("refused")
    assert outcomes.count("read") >= 5
    assert outcomes.count("refused") >= 50


# -- secrets, uses and the port --------------------------------------------------------------------


@pytest.mark.fault("F15")
@pytest.mark.parametrize(
    "key",
    [
        *(
            "change-me",
            "CHANGE_ME",
            "<your api key>",
            "YOUR-API-KEY",
            "${JACK_API_KEY}",
            "xxxxxxxx",
        ),
        *("$RADARR_API_KEY", "{{ jack_key }}", "%JACK_KEY%", "00000000000000000000000000000000"),
    ],
)
def test_a_key_that_the_template_or_another_program_left_is_refused(
    tmp_path: Path, key: str
) -> None:
    path = tmp_path / "jack.yaml"
    path.write_text(f"peers: [{{name: a, url: 'http://a', apiKey: '{key}'}}]\n")
    with pytest.raises(ConfigError, match="placeholder"):
        load_config(path, {})


@pytest.mark.fault("F15")
def test_the_start_says_what_a_config_is_missing_to_be_of_use(tmp_path: Path) -> None:
    you = Jack(tmp_path / "you")
    try:
        you.start()
        assert "WARNING jack.daemon: there are no peers to download from: add a friend" in you.log
        assert "there are no servers to import what was downloaded" in you.log
        assert you.stop() == 0
    finally:
        you.close()


@pytest.mark.fault("F12")
def test_a_port_that_is_taken_is_said_with_its_holder_before_anything_is_changed(
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        you = Jack(
            tmp_path / "you", jack={"apiKey": "k" * 16, "internalUrl": f"http://127.0.0.1:{port}"}
        )
        done = you.run("run")
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("jack: ")]
    assert f"port {port} on any address is already in use" in line
    assert f"(pid {os.getpid()})" in line
    assert "jack.internalUrl" in line
    assert not (you.state / "jack.db").exists()
    assert not you.watch.exists()


# -- where jack is started -------------------------------------------------------------------------


def _ends_well(you: Jack) -> None:
    assert you.stop() == 0
    assert "Traceback" not in you.log


BARE = {
    "LANG": "C",
    "LC_ALL": "C",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONPATH": str(CHECKOUT),
}


@pytest.mark.fault("F14")
def test_an_environment_with_nothing_in_it_is_enough(tmp_path: Path) -> None:
    """No HOME, no TZ, no PATH, and a locale that knows ASCII only; the log is UTF-8 even so."""
    with ScriptedPeer(api_key=KEY) as peer:
        peer.offer("c:movie:1", b"x" * 1000, filename="Am\u00e9lie \u4e16.mkv")
        you = Jack(tmp_path / "you", peers=[peer_entry("Ren\u00e9", peer.url)])
        try:
            you.start(env=BARE)
            you.drop("A.torrent", peer.url, "c:movie:1")
            you.row(1, DownloadStatus.COMPLETED)
            eventually(lambda: "Am\u00e9lie \u4e16.mkv" in you.log_path.read_text("utf-8"))
            shown = run_bare(you, "status")
            assert (shown.returncode, shown.stderr) == (0, b"")
            _ends_well(you)
        finally:
            you.close()


def run_bare(you: Jack, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "jack", *arguments, "-c", str(you.config_path)]
    return subprocess.run(command, env=BARE, capture_output=True, timeout=PATIENCE_SECONDS)


def _unshare(*options: str) -> list[str]:
    """A command that starts another one in namespaces of its own; skips where it may not."""
    command = ["unshare", *options]
    found = shutil.which("unshare")
    works = found and subprocess.run([*command, "true"], capture_output=True).returncode == 0
    if not works:
        pytest.skip("no user namespaces here")
    return command


@pytest.mark.fault("F14")
def test_a_user_without_a_passwd_entry_is_a_user(tmp_path: Path) -> None:
    """As in a container that was started with `--user 12345`."""
    before = _unshare("-U", "--map-user=12345", "--map-group=12345")
    you = Jack(tmp_path / "you")
    try:
        you.start(before=before, env=BARE)
        _ends_well(you)
    finally:
        you.close()


@pytest.mark.fault("F14")
def test_a_read_only_system_is_fine_as_long_as_the_own_folders_are_not(tmp_path: Path) -> None:
    you = Jack(tmp_path / "you")
    for folder in (you.state, you.watch, you.completed):
        folder.mkdir()
    read_only = 'mount -o remount,bind,ro / && exec "$@"'
    disks = 'for d in {state,watch,completed}; do mount -t tmpfs t "$0/$d"; done; '
    before = _unshare("-Urm", "bash", "-c")
    if subprocess.run([*before, "mount -o remount,bind,ro /"], capture_output=True).returncode:
        pytest.skip("the root of this machine cannot be mounted read-only")
    try:
        you.start(before=[*before, disks + read_only, str(you.folder)])
        _ends_well(you)
        process = you.start(before=[*before, read_only, "sh"], wait=False)
        assert process.wait(PATIENCE_SECONDS) == 1
        assert f"jack: cannot create {you.state}/jack.lock: Read-only file system" in you.log
    finally:
        you.close()


# -- the packages ----------------------------------------------------------------------------------


@pytest.mark.fault("F13")
def test_the_packages_asked_for_are_those_of_the_installation() -> None:
    setup = configparser.ConfigParser()
    setup.read(CHECKOUT / "setup.cfg")
    wanted = setup["options"]["install_requires"].split()
    assert wanted == [f"{name}{limits}" for name, (_, limits) in REQUIRED.items()]


@pytest.mark.fault("F13")
@pytest.mark.parametrize(
    ("version", "fits"),
    [("2.2", True), ("2.2.0", True), ("2.10.1.post1", True), ("2.1.9", False), ("3.0", False)],
)
def test_versions_are_compared_as_numbers(
    monkeypatch: pytest.MonkeyPatch, version: str, fits: bool
) -> None:
    genuine = requirements.version
    monkeypatch.setattr(
        requirements, "version", lambda name: version if name == "urllib3" else genuine(name)
    )
    found = complaint()
    assert (found is None) is fits
    assert fits or f"of the wrong version: urllib3 {version}" in str(found)


@pytest.mark.fault("F13")
@pytest.mark.parametrize(
    ("files", "words"),
    [
        (
            {
                "urllib3/__init__.py": "__version__ = '1.26.20'",
                "urllib3-1.26.20.dist-info/METADATA": "Name: urllib3\nVersion: 1.26.20\n",
            },
            "of the wrong version: urllib3 1.26.20",
        ),
        ({"yaml.py": "raise ImportError('no libyaml')"}, "a package does not work (no libyaml)"),
    ],
)
def test_a_package_that_does_not_fit_is_one_line(
    tmp_path: Path, files: dict[str, str], words: str
) -> None:
    for name, text in files.items():
        path = tmp_path / "packages" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    packages = os.pathsep.join([str(tmp_path / "packages"), str(CHECKOUT)])
    done = subprocess.run(
        [sys.executable, "-m", "jack", "check", "-c", "none"],
        env={**os.environ, "PYTHONPATH": packages},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("jack: ")
    assert words in line


@pytest.mark.fault("F13")
def test_an_old_python_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 18, "final", 0))
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(CHECKOUT / "jack" / "__init__.py"))
    assert ended.value.code == "jack: this is Python 3.9; jack needs 3.10 or newer"


# -- what users do at the terminal -----------------------------------------------------------------


@pytest.mark.fault("F14")
def test_a_working_folder_that_is_gone_is_no_traceback(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    done = subprocess.run(
        ["sh", "-c", 'rmdir "$PWD"; exec "$0" -m jack check -c jack.yaml', sys.executable],
        cwd=gone,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert (done.returncode, done.stderr) == (2, "")
    assert "jack.yaml: there is no such file (named with -c)" in done.stdout


@pytest.mark.fault("R8")
@pytest.mark.parametrize("arguments", [["check"], ["status"], ["status", "--json"], ["--help"]])
def test_results_that_find_no_room_are_one_line_and_a_failure(
    tmp_path: Path, arguments: list[str]
) -> None:
    you = Jack(tmp_path / "you")
    options = [] if arguments == ["--help"] else ["-c", str(you.config_path)]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "jack", *arguments, *options],
            env={**environment(), "PYTHONUNBUFFERED": ""},
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=PATIENCE_SECONDS,
        )
    assert (done.returncode, done.stderr) == (
        1,
        b"jack: cannot go on: No space left on device\n",
    )


@pytest.mark.fault("R8")
@pytest.mark.parametrize("options", [["--watch"], ["--watch", "--all"], []])
def test_a_status_whose_reader_leaves_ends(tmp_path: Path, options: list[str]) -> None:
    """As in `jack status --watch | head -1`: also when nothing changes that could be written."""
    you = Jack(tmp_path / "you")
    process = subprocess.Popen(
        [sys.executable, "-m", "jack", "status", *options, "-c", str(you.config_path)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout and process.stderr
    assert process.stdout.readline().strip()
    process.stdout.close()
    assert process.wait(PATIENCE_SECONDS) == 0
    assert process.stderr.read() == b""
    process.stderr.close()


@pytest.mark.parametrize("moved", ["watch", "completed"])
def test_two_folders_that_become_one_under_a_running_jack_end_it_and_it_starts_no_more(
    you: HurtJack, moved: str
) -> None:
    you.configure(downloads={"rescanIntervalMs": 200})
    process = you.start()
    folder = you.folder / moved
    other = {"watch": you.completed, "completed": you.watch}[moved]
    folder.rename(you.folder / "before")
    folder.symlink_to(other)
    assert process.wait(PATIENCE_SECONDS) == 1
    assert "completedPath is the same folder as watchPath: finished files and stubs" in you.log
    for command in ("run", "check", "doctor"):
        done = you.run(command)
        assert done.returncode == 2
        assert "downloads.completedPath: completedPath is the same folder" in (
            done.stdout + done.stderr
        )
