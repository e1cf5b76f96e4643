"""What `jack check` says: which key a problem is about, and what a file of the TypeScript jack has
that is not known here."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from jack.config import Config

Load = Callable[..., Config]
Problems = Callable[..., list[str]]
Expect = Callable[..., None]

DOWNLOADS = "downloads: {watchPath: /w, completedPath: /c, "


def said(lines: list[str]) -> list[str]:
    """The problems without file, line and column."""
    return [line.partition("jack.yaml:")[2].split(": ", 1)[1] for line in lines]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            DOWNLOADS + "checkpointBytes: 64MB}",
            "downloads.checkpointBytes: expected an integer in bytes, in digits only",
        ),
        ("downloads:\n  watchPath: /w\n", "downloads: completedPath is required here"),
        ("jack: {statePath: x}", "jack.statePath: expected an absolute path, starting with /"),
        ("jack: x", "jack: expected a block with the keys internalUrl, apiKey, statePath"),
        ("dowloads: {}", "dowloads: unknown key dowloads: did you mean downloads?"),
        (
            "peers:\n- {name: a, url: http://a, apiKey: key}\n- {name: b, url: b, apiKey: key}\n",
            "peers[1].url: a URL must start with http:// or https://",
        ),
        (
            "servers: [{name: a, type: radarr, url: http://a, apiKey: key,"
            " autoregister: {priority: 0}}]",
            "servers[0].autoregister.priority: expected a whole number, at least 1",
        ),
        (
            "servers: [{name: a, type: radarr, url: http://a, apiKey: key,"
            " pathMap: [{jack: /a, arr: /b}, {jack: a, arr: /b}]}]",
            "servers[0].pathMap[1].jack: expected an absolute path, starting with /",
        ),
        (
            "peers: [{name: a, url: http://a, apiKey: key, headers: {Range: x}}]",
            "peers[0].headers.Range: jack sends the header Range itself; remove it here",
        ),
        ("peers: [null]", "peers[0]: this entry of the list is empty"),
        ("- a\n", "expected keys such as `downloads:` at the top; copy jack.yaml.example and"),
    ],
)
def test_a_problem_names_the_path_of_its_key(problems: Problems, text: str, line: str) -> None:
    (found,) = said(problems(text))
    assert found.startswith(line)


def test_a_value_used_twice_is_named_at_both_places(problems: Problems) -> None:
    text = DOWNLOADS + "minFreeBytes: &size 1GB, maxFileBytes: *size}"
    assert [line.partition(": ")[0] for line in said(problems(text))] == [
        "downloads.maxFileBytes",
        "downloads.minFreeBytes",
    ]


def test_a_secret_in_the_place_of_a_key_is_in_no_path(problems: Problems) -> None:
    (line,) = said(problems("jack: {apiKey:hunter2: {x: y}}"))
    assert line.startswith("jack: this is no key that jack knows")
    (line,) = said(problems("jack: {apiKey: {hunter2: {x: y}}}"))
    assert line.startswith("jack.apiKey: a secret is a text")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("§version: 2", "no version number; remove this line"),
        ("jack: {§tmdbApiKey: {env: TMDB}}", "never asks TMDB for anything"),
        ("jack: {§external: {url: https://a, headers: {}}}", "tell your friends the address"),
        (DOWNLOADS + "§importPollIntervalMs: 1}", "how often it looks whether a file was imported"),
        (DOWNLOADS + "§maxManualImportAttempts: 6}", "fails no download, and `jack why` says"),
        (DOWNLOADS + "§manualImportBackoffBaseMs: 6}", "chooses the pauses between tries of an"),
        (DOWNLOADS + "§manualImportBackoffMaxMs: 6}", "chooses the pauses between tries of an"),
    ],
)
def test_a_key_of_the_typescript_jack_gets_its_own_sentence_and_no_hint_to_another_key(
    expect_problem: Expect, problems: Problems, text: str, words: str
) -> None:
    expect_problem(text, words, "remove this")
    assert "did you mean" not in problems(text.replace("§", ""))[0]


TYPESCRIPT = """\
{
  §// how friends reach it
  "jack": {
    "internalUrl": "http://jack:5225", // as the others see it
    "apiKey": "0123456789abcdef//0123456789"
  },
  // folders
  "downloads": { "watchPath": "/w", "completedPath": "/c//d" }
}
"""


def test_a_comment_of_jsonc_is_told_how_comments_look_here(expect_problem: Expect) -> None:
    words = ["this comment is JSONC (so are 2 more)", "a comment starts with # and not with //"]
    expect_problem(TYPESCRIPT, *words)
    expect_problem(
        "jack:\n  §// my key\n  apiKey: abcdefghijklmnop\n", "this comment is JSONC: this file"
    )
    expect_problem("jack: {internalUrl: 'http://a' §// mine\n}", "this comment is JSONC: ")
    expect_problem("jack:\n  apiKey: abcdefghijklmnop\n  §//the end", "this comment is JSONC: ")


def test_the_rest_of_a_file_with_such_comments_is_looked_at_as_well(problems: Problems) -> None:
    text = TYPESCRIPT.replace("§", "").replace('"/w"', '"w"').replace("jack:5225", "jack:0")
    assert [line.split(":")[1:3] for line in problems(text)] == [
        ["2", "3"],
        ["4", "20"],
        ["8", "31"],
    ]


def test_two_slashes_that_begin_no_comment_are_left_alone(load: Load) -> None:
    config = load(
        "# see // the manual\n"
        "jack: {internalUrl: http://nas:5225, apiKey: 'a // b // c 0123456789'} # http://x // y\n"
        "library: [{folder: //nas/video}, {folder: /a//b}]\n"
        "peers:\n"
        '- {name: "Ann // Ben", url: http://a, apiKey: some//key//0123456789}\n'
    )
    assert str(config.library[0].folder) == "//nas/video"
    assert config.peers[0].name == "Ann // Ben"
    assert config.jack.api_key is not None
    assert config.jack.api_key.reveal() == "a // b // c 0123456789"
