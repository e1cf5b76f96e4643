"""Blocks and lists: unknown and doubled keys, what is required, and rules about several values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from jack.config import AutoregisterConfig, Config, ShareConfig

Load = Callable[..., Config]
Problems = Callable[..., list[str]]
Expect = Callable[..., None]


@pytest.mark.parametrize(
    ("marked", "words"),
    [
        ("§dowloads: {}", "unknown key dowloads: did you mean downloads?"),
        ("jack: {§baseUrl: http://a}", "unknown key baseUrl: did you mean internalUrl?"),
        ("jack: {§base_url: http://a}", "did you mean internalUrl?"),
        ("jack: {§apikey: k}", "did you mean apiKey?"),
        (
            "jack: {§zzz: k}",
            "unknown key zzz: known here are internalUrl, apiKey, statePath, proxies",
        ),
        ("jack: {§zzz: }", "unknown key zzz"),
        ("jack: {§'': a}", "no key that jack knows"),
        ("jack: {§<<: {apiKey: kkkkkkkkkkkkkkkk}}", "merge keys (<<) are not supported"),
        ("downloads: {watchPath: /w, completedPath: /c, §watch_mode: poll}", "mean watchMode?"),
        (
            "library: [{§path: /a, folder: /b}]\njack: {apiKey: kkkkkkkkkkkkkkkk}",
            "known here are folder",
        ),
        (
            "jack: {apiKey: aaaaaaaaaaaaaaaa,\n  §apiKey: bbbbbbbbbbbbbbbb}",
            "the key apiKey is already given on line 1",
        ),
        (
            "peers: []\njack: {apiKey: kkkkkkkkkkkkkkkk}\n§peers: []",
            "the key peers is already given on line 1",
        ),
        ("jack: §text", "a block with the keys internalUrl, apiKey, statePath"),
        ("downloads: §[]", "a block with the keys watchPath"),
        ("peers: §{}", "expected a list"),
        ("peers: §text", "expected a list"),
        ("peers: [§null]", "entry of the list is empty"),
        ("peers: [§text]", "a block with the keys name, url"),
    ],
)
def test_a_block_that_is_not_what_it_should_be_is_refused_at_its_place(
    expect_problem: Expect, marked: str, words: str
) -> None:
    expect_problem(marked, words)


@pytest.mark.parametrize(
    ("marked", "words"),
    [
        ("downloads:\n  §watchPath: /w\n", "completedPath is required here"),
        ("downloads:\n  §completedPath: /c\n", "watchPath is required here"),
        ("downloads: {watchPath: /w, completedPath: §~}", "completedPath is required here"),
        ("peers:\n- §url: http://a\n  apiKey: kkkkkkkkkkkkkkkk\n", "name is required here"),
        ("peers: [§{name: a, apiKey: kkkkkkkkkkkkkkkk}]", "url is required here"),
        ("servers: [§{name: a, url: http://a, apiKey: kkkkkkkkkkkkkkkk}]", "type is required here"),
        ("jack: {apiKey: kkkkkkkkkkkkkkkk}\nlibrary: [§{}]", "folder is required here"),
        (
            "servers: [{name: a, type: radarr, url: http://a, apiKey: k, pathMap: [§{jack: /j}]}]",
            "arr is required here",
        ),
    ],
)
def test_what_is_required_is_asked_for_in_its_block(
    expect_problem: Expect, marked: str, words: str
) -> None:
    expect_problem(marked, words)


@pytest.mark.parametrize("nothing", ["null", "~", ""])
def test_a_block_that_is_null_counts_as_not_given(load: Load, tmp_path: Path, nothing: str) -> None:
    text = "\n".join(f"{key}: {nothing}" for key in "jack downloads servers library peers".split())
    config = load(text)
    assert config.downloads is None
    assert (config.servers, config.library, config.peers) == ((), (), ())
    assert (config.jack.internal_url, config.jack.api_key) == (None, None)
    assert config.path == tmp_path / "jack.yaml"


def test_nothing_to_do_is_no_problem(load: Load) -> None:
    assert load("{}").secrets() == ()


def test_a_short_server_gets_its_defaults(load: Load) -> None:
    (server,) = load(
        "servers: [{name: a, type: radarr, url: http://a, apiKey: kkkkkkkkkkkkkkkk}]"
    ).servers
    assert dict(server.headers) == {}
    assert (server.source, server.destination, server.path_map) == (True, True, ())
    assert server.autoregister == AutoregisterConfig(enable=True, priority=1)


@pytest.mark.parametrize(
    ("watch", "completed", "words"),
    [
        ("/t", "/t", "the same folder as watchPath"),
        ("/t/", "/t", "the same folder"),
        ("//t", "/a/../t/.", "the same folder"),
        ("/t", "/t/done", "inside watchPath"),
        ("/", "/t", "inside watchPath"),
        ("/t/watch", "/t", "around watchPath"),
        ("/t/a/../watch", "/t//", "around watchPath"),
    ],
)
def test_stubs_and_finished_files_must_not_mix(
    expect_problem: Expect, watch: str, completed: str, words: str
) -> None:
    text = f"downloads: {{watchPath: {watch}, completedPath: §{completed}}}"
    expect_problem(text, words, "would mix")


@pytest.mark.parametrize(
    ("watch", "completed", "words"),
    [
        ("real", "link", "the same folder as watchPath"),
        ("link", "real", "the same folder as watchPath"),
        ("real", "link/done", "inside watchPath"),
        ("link/watch", "real", "around watchPath"),
        ("link/../real/later", "link/later", "the same folder as watchPath"),
    ],
)
def test_folders_that_meet_through_a_link_are_refused_whether_they_are_there_or_not(
    expect_problem: Expect, tmp_path: Path, watch: str, completed: str, words: str
) -> None:
    (tmp_path / "link").symlink_to("real")
    text = f"downloads: {{watchPath: {tmp_path}/{watch}, completedPath: §{tmp_path}/{completed}}}"
    for _ in range(2):
        expect_problem(text, f"downloads.completedPath: completedPath is {words}", "would mix")
        (tmp_path / "real").mkdir(exist_ok=True)


def test_folders_side_by_side_are_fine(load: Load) -> None:
    downloads = load("downloads: {watchPath: /t/watch, completedPath: /t/watched}").downloads
    assert downloads is not None
    assert (downloads.watch_path, downloads.completed_path) == (
        Path("/t/watch"),
        Path("/t/watched"),
    )


@pytest.mark.parametrize(
    "delays",
    [
        "retryBaseDelayMs: 2000, retryMaxDelayMs: §1999",
        "retryBaseDelayMs: §1800001",
        "retryMaxDelayMs: §999",
    ],
)
def test_the_longest_wait_cannot_be_shorter_than_the_first(
    expect_problem: Expect, delays: str
) -> None:
    text = f"downloads: {{watchPath: /w, completedPath: /c, {delays}}}"
    expect_problem(text, "retryBaseDelayMs (", "is larger than retryMaxDelayMs (")


def test_equal_waits_are_fine(load: Load) -> None:
    waits = "retryBaseDelayMs: 500, retryMaxDelayMs: 500"
    downloads = load(f"downloads: {{watchPath: /w, completedPath: /c, {waits}}}").downloads
    assert downloads is not None
    assert downloads.retry_base_delay_seconds == downloads.retry_max_delay_seconds == 0.5


@pytest.mark.fault("F8")
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("http://nas", "http://nas"),
        ("http://nas", "http://nas/"),
        ("http://nas", "HTTP://NAS:80"),
        ("https://nas:443/x", "https://nas./x/"),
    ],
)
def test_the_same_peer_twice_is_refused(expect_problem: Expect, first: str, second: str) -> None:
    expect_problem(
        f"peers:\n- {{name: a, url: {first}, apiKey: k}}\n- {{name: b, url: §{second}, apiKey: k}}",
        "this peer is already given on line 2",
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("http://nas", "https://nas"),
        ("http://nas", "http://nas:81"),
        ("http://nas/a", "http://nas/A"),
        ("http://nas", "http://nas/a"),
    ],
)
def test_peers_at_different_places_are_fine(load: Load, first: str, second: str) -> None:
    text = f"[{{name: a, url: {first}, apiKey: k}}, {{name: b, url: {second}, apiKey: k}}]"
    assert [peer.url for peer in load(f"peers: {text}").peers] == [first, second]


@pytest.mark.parametrize(
    ("marked", "words"),
    [
        (
            "peers: [{name: Ann, url: http://a, apiKey: kkkkkkkkkkkkkkkk},\n"
            "{name: §ann, url: http://b, apiKey: kkkkkkkkkkkkkkkk}]",
            "a peer of this name",
        ),
        (
            "servers:\n- {name: X, type: radarr, url: http://a, apiKey: kkkkkkkkkkkkkkkk}\n"
            "- {name: §x, type: sonarr, url: http://b, apiKey: kkkkkkkkkkkkkkkk}",
            "a server of this name is already given on line 2",
        ),
        (
            "jack: {apiKey: kkkkkkkkkkkkkkkk}\nlibrary: [{folder: /v}, {folder: §/v/}]",
            "this folder is already given on line 2",
        ),
        (
            "jack: {apiKey: kkkkkkkkkkkkkkkk}\n"
            "friends: [{name: Ann, apiKey: aaaaaaaaaaaaaaaa},\n"
            "{name: §ann, apiKey: bbbbbbbbbbbbbbbb}]",
            "a friend of this name is already given on line 2",
        ),
        (
            "jack: {apiKey: kkkkkkkkkkkkkkkk}\n"
            "friends: [{name: Ann, apiKey: aaaaaaaaaaaaaaaa},\n"
            "{name: Ben, apiKey: §aaaaaaaaaaaaaaaa}]",
            "this key is already given on line 2",
        ),
    ],
)
def test_what_must_be_unique_is_refused_the_second_time(
    expect_problem: Expect, marked: str, words: str
) -> None:
    expect_problem(marked, words)


def test_every_repetition_names_the_first(problems: Problems) -> None:
    peers = "\n".join(
        f"- {{name: a, url: http://h{n}, apiKey: kkkkkkkkkkkkkkkk}}" for n in range(3)
    )
    assert [line.partition("jack.yaml")[2] for line in problems(f"peers:\n{peers}")] == [
        ":3:10: peers[1].name: a peer of this name is already given on line 2",
        ":4:10: peers[2].name: a peer of this name is already given on line 2",
    ]


@pytest.mark.parametrize(
    ("marked", "words"),
    [
        ("library: §[{folder: /v}]", "nothing of this library would be shared"),
        ("jack: {statePath: /s}\nlibrary: §[{folder: /v}]", "set jack.apiKey"),
        (
            "friends: §[{name: Ann, apiKey: kkkkkkkkkkkkkkkk}]",
            "could not reach jack: set jack.apiKey",
        ),
    ],
)
def test_what_needs_the_http_side_needs_its_key(
    expect_problem: Expect, marked: str, words: str
) -> None:
    expect_problem(marked, words)


def test_an_empty_library_needs_no_key(load: Load) -> None:
    assert load("library: []").library == ()


def test_a_key_that_is_given_but_wrong_is_one_problem_only(expect_problem: Expect) -> None:
    expect_problem("jack: {apiKey: {env: §UNSET}}\nlibrary: [{folder: /v}]", "UNSET is not set")
    expect_problem("jack: §text\nlibrary: [{folder: /v}]", "expected a block")


def test_all_problems_are_reported_together_in_the_order_of_the_file(problems: Problems) -> None:
    lines = problems(
        "jack:\n"
        "  baseUrl: http://nas:5225\n"
        "  statePath: state\n"
        "downloads:\n"
        "  watchPath: ~/watch\n"
        "  maxConcurrentDownloads: 0\n"
        "  checkpointBytes: 64MB\n"
        "  watchMode: pool\n"
        "  watchMode: poll\n"
        "servers:\n"
        "- {name: R, type: lidarr, url: nas, apiKey: {env: UNSET}}\n"
        "library:\n"
        "- folder: /v\n"
        "peers:\n"
        "- {name: a, url: http://h, apiKey: change-me}\n"
        "- {name: a, url: http://h/, headers: {X-Api-Key: b}}\n"
    )
    starts = [line.partition("jack.yaml:")[2].partition(": ")[0] for line in lines]
    assert starts == [
        "2:3", "3:14", "5:3", "5:14", "6:27", "7:20", "8:14", "9:3", "11:19", "11:32", "11:51",
        "13:1", "15:36", "16:3", "16:10", "16:18", "16:39",
    ]  # fmt: skip


def test_a_peer_whose_key_is_the_owners_is_refused(expect_problem: Expect) -> None:
    """Whoever gave us that key knows what opens everything here."""
    text = (
        "jack: {apiKey: same-for-everybody}\n"
        "peers: [{name: Ann, url: http://a, apiKey: §same-for-everybody}]"
    )
    expect_problem(text, "this is jack.apiKey, which opens everything")


@pytest.mark.parametrize(
    "text",
    [
        "jack: {apiKey: §KEY}",
        "jack: {apiKey: kkkkkkkkkkkkkkkk}\nfriends: [{name: Ann, apiKey: §KEY}]",
        "jack: {apiKey: {env: §SHORT}}",
    ],
)
@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("fifteen-letters", "has 15 characters, which can be guessed; it needs at least 16"),
        ("long-enough-and-\u00fcber", "not every program sends alike"),
    ],
)
def test_a_key_that_opens_jack_is_long_and_plain(
    expect_problem: Expect, text: str, key: str, problem: str
) -> None:
    expect_problem(text.replace("KEY", key), problem, environ={"SHORT": key})


def test_the_key_of_a_peer_may_be_as_short_as_that_peer_likes(load: Load) -> None:
    (peer,) = load("peers: [{name: Ann, url: http://a, apiKey: short}]").peers
    assert peer.api_key.reveal() == "short"


def test_a_friend_cannot_have_the_owners_key(expect_problem: Expect) -> None:
    text = "jack: {apiKey: same-for-everybody}\nfriends: [{name: Ann, apiKey: §same-for-everybody}]"
    expect_problem(text, "opens everything", "another key")


def test_a_short_friend_gets_its_defaults(load: Load) -> None:
    config = load(
        "jack: {apiKey: kkkkkkkkkkkkkkkk}\nfriends: [{name: Ann, apiKey: aaaaaaaaaaaaaaaa}]"
    )
    (friend,) = config.friends
    assert (friend.name, friend.max_downloads, friend.enabled) == ("Ann", 0, True)
    assert friend.api_key.reveal() in config.secrets()
    assert config.share == ShareConfig(max_uploads=16, upload_bytes_per_second=0)


@pytest.mark.parametrize(
    ("marked", "words"),
    [
        ("share: {maxUploads: §0}", "at least 1"),
        ("jack: {proxies: §192.168.1.2}", "expected a list"),
        ("jack: {proxies: [§proxy.lan]}", "expected an IP address, or a network"),
        ("jack: {proxies: [§192.168.1.2/24]}", "expected an IP address, or a network"),
        ("share: {uploadBytesPerSecond: §16383}", "at least 16384"),
        ("share: {uploadBytesPerSecond: §1MB}", "digits only"),
        ("share: {uploadBytesPerSecond: §[]}", "expected a number"),
        (
            "jack: {apiKey: kkkkkkkkkkkkkkkk}\n"
            "friends: [{name: a, apiKey: bbbbbbbbbbbbbbbb, maxDownloads: §-1}]",
            "at least 0",
        ),
    ],
)
def test_a_limit_that_would_stop_everything_is_refused(
    expect_problem: Expect, marked: str, words: str
) -> None:
    expect_problem(marked, words)


def test_no_limit_is_written_as_0(load: Load) -> None:
    assert load("share: {uploadBytesPerSecond: 0}").share.upload_bytes_per_second == 0
    assert load("share: {uploadBytesPerSecond: 16384}").share.upload_bytes_per_second == 16384
