"""Where the configuration is looked for, and in which order."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jack.config import find_config
from jack.errors import ConfigError


@pytest.fixture
def cwd(tmp_path: Path) -> Path:
    folder = tmp_path / "cwd"
    folder.mkdir()
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    (folder / ".config" / "jack").mkdir(parents=True)
    return folder


def put(path: Path) -> Path:
    path.write_text("{}")
    return path


def test_the_named_file_comes_before_all_others(cwd: Path, home: Path) -> None:
    put(cwd / "jack.yaml")
    named, other = put(cwd / "named.yaml"), put(home / "other.yaml")
    assert find_config("named.yaml", {"JACK_CONFIG": str(other)}, cwd, home) == named
    assert find_config(str(other), {}, cwd, home) == other


def test_the_environment_comes_next(cwd: Path, home: Path) -> None:
    put(cwd / "jack.yaml")
    other = put(home / "other.yaml")
    assert find_config(None, {"JACK_CONFIG": str(other)}, cwd, home) == other
    assert find_config(None, {"JACK_CONFIG": "../home/other.yaml"}, cwd, home).samefile(other)


def test_an_empty_variable_counts_as_not_set(cwd: Path, home: Path) -> None:
    here = put(cwd / "jack.yaml")
    assert find_config(None, {"JACK_CONFIG": ""}, cwd, home) == here


def test_the_working_folder_comes_before_the_home_folder(cwd: Path, home: Path) -> None:
    at_home = put(home / ".config" / "jack" / "jack.yaml")
    assert find_config(None, {}, cwd, home) == at_home
    here = put(cwd / "jack.yaml")
    assert find_config(None, {}, cwd, home) == here


def test_a_folder_of_that_name_is_passed_over(cwd: Path, home: Path) -> None:
    (cwd / "jack.yaml").mkdir()
    at_home = put(home / ".config" / "jack" / "jack.yaml")
    assert find_config(None, {}, cwd, home) == at_home


@pytest.mark.parametrize(
    ("explicit", "environ", "words"),
    [
        ("gone.yaml", {}, "named with -c"),
        (None, {"JACK_CONFIG": "gone.yaml"}, "named by $JACK_CONFIG"),
    ],
)
def test_a_named_file_that_is_missing_is_not_replaced_by_another(
    cwd: Path, home: Path, explicit: str | None, environ: dict[str, str], words: str
) -> None:
    put(cwd / "jack.yaml")
    with pytest.raises(ConfigError, match="there is no such file") as caught:
        find_config(explicit, environ, cwd, home)
    (line,) = caught.value.problems
    assert line.startswith(f"{cwd / 'gone.yaml'}: ")
    assert words in line


def test_a_named_file_that_cannot_be_looked_at_is_left_to_the_reader(cwd: Path) -> None:
    loop = cwd / "loop.yaml"
    os.symlink(loop, loop)
    assert find_config("loop.yaml", {}, cwd, None) == loop


@pytest.mark.skipif(os.path.exists("/etc/jack/jack.yaml"), reason="this machine has a jack.yaml")
def test_when_there_is_none_every_place_is_named(cwd: Path, home: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        find_config(None, {}, cwd, home)
    (line,) = caught.value.problems
    places = [cwd / "jack.yaml", home / ".config/jack/jack.yaml", Path("/etc/jack/jack.yaml")]
    assert ", ".join(map(str, places)) in line
    assert "-c FILE or $JACK_CONFIG" in line
    with pytest.raises(ConfigError) as without_home:
        find_config(None, {}, cwd, None)
    assert ".config" not in str(without_home.value)
    assert "/etc/jack/jack.yaml" in str(without_home.value)
