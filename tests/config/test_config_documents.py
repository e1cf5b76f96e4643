"""The file as a whole: what is no configuration at all gets one line, with a position."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from jack.config import Config, load_config
from jack.config.load import MAX_CONFIG_BYTES
from jack.errors import ConfigError

Load = Callable[..., Config]
Problems = Callable[..., list[str]]
Expect = Callable[..., None]


@pytest.mark.fault("F1", "F5")
@pytest.mark.parametrize(
    ("marked", "words"),
    [
        ("§", ["empty", "jack.yaml.example"]),
        ("§# only a comment\n", ["empty"]),
        ("§---\n...\n", ["empty"]),
        ("§- jack\n", ["expected keys"]),
        ("§just words\n", ["expected keys"]),
        ("jack:\n§\tapiKey: kkkkkkkkkkkkkkkk\n", ["a tab", "spaces"]),
        ("jack: {apiKey: aaaaaaaaaaaaaaaa§", ["not valid YAML"]),
        ("jack: {apiKey: 'a§", ["closing quote"]),
        ("jack: apiKey§: a\n", ["':'"]),
        ("jack:\n  apiKey: §@secret\n", ["needs quotes"]),
        ("jack: {apiKey: §*secret}\n", ["alias", "quote"]),
        ("jack: {apiKey: §!secret a}\n", ["tag"]),
        ("jack: {apiKey: §!x!secret a}\n", ["tag"]),
        ("jack: {apiKey: §!!python/object:os.system ls}\n", ["tag"]),
        ("jack: {apiKey: §!!binary aGk=}\n", ["tag"]),
        ("a: 1\n§---\nb: 2\n", ["second document"]),
        ("? §[a]\n: 1\n", ["plain word"]),
        ("a: &x 1\nb: §&x 2\n", ["twice"]),
        ("a: 1\nb: §\x00", ["U+0000"]),
        ('pathMap: "D:\\§m"\n', ["single quotes"]),
    ],
)
def test_a_text_that_is_no_configuration_is_one_problem_at_its_place(
    expect_problem: Expect, marked: str, words: list[str]
) -> None:
    expect_problem(marked, *words)


@pytest.mark.parametrize(
    ("content", "position"),
    [
        (b"\xff\xfej\x00", ":1:1:"),
        (b"jack:\n  # caf\xe9\n", ":2:8:"),
        ("jack:\n  # ééé ".encode() + b"\xff", ":2:9:"),
    ],
)
def test_bytes_that_are_not_utf8_are_shown_with_their_place(
    problems: Problems, content: bytes, position: str
) -> None:
    (line,) = problems(content)
    assert position in line
    assert "UTF-8" in line


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(load: Load) -> None:
    config = load(b"\xef\xbb\xbfjack:\r\n  internalUrl: null\r\n  apiKey: kkkkkkkkkkkkkkkk\r\n")
    assert config.jack.api_key is not None
    assert config.jack.api_key.reveal() == "k" * 16


@pytest.mark.fault("F5")
@pytest.mark.parametrize("text", ["[" * 1000, "- " * 1000, "a: &x {b: *x}\n"])
def test_what_is_nested_without_end_is_a_problem_and_no_traceback(
    problems: Problems, text: str
) -> None:
    assert len(problems(text)) == 1


@pytest.mark.fault("F5")
def test_a_file_at_the_size_limit_is_read_and_one_byte_more_is_refused(
    load: Load, problems: Problems
) -> None:
    fits = "jack: {}\n#".ljust(MAX_CONFIG_BYTES, "x")
    assert load(fits).jack.api_key is None
    (line,) = problems(fits + "x")
    assert f"larger than {MAX_CONFIG_BYTES} bytes" in line


def test_an_alias_may_save_typing(load: Load) -> None:
    config = load(
        "servers:\n"
        "- {name: a, type: radarr, url: http://a, apiKey: k, pathMap: &map [{jack: /j, arr: /a}]}\n"
        "- {name: b, type: sonarr, url: http://b, apiKey: k, pathMap: *map}\n"
    )
    assert config.servers[0].path_map == config.servers[1].path_map
    assert config.servers[0].path_map[0].arr == "/a"


def failure(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(path, {})
    (line,) = caught.value.problems
    return line


def test_a_missing_file_names_the_remedy(config_file: Path) -> None:
    assert failure(config_file).startswith(f"{config_file}:1:1: there is no such file; copy")


def test_a_folder_is_no_config_file(tmp_path: Path) -> None:
    assert "this is a folder" in failure(tmp_path)


def test_a_pipe_or_a_device_is_no_config_file_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), Path("/dev/null")):
        assert failure(path).startswith(f"{path}:1:1: this is no regular file; name one")


def test_a_file_that_cannot_be_opened_says_why(tmp_path: Path) -> None:
    loop = tmp_path / "loop.yaml"
    os.symlink(loop, loop)
    line = failure(loop)
    assert line.startswith(f"{loop}:1:1: the file cannot be read")
    assert "symbolic links" in line
