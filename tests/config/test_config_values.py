"""Every kind of value: what it accepts, what it becomes, and what it refuses, at which place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from jack.config import Config, PathMapping, ServerType, WatchMode

Load = Callable[..., Config]
Problems = Callable[..., list[str]]
Expect = Callable[..., None]

FOLDERS = "watchPath: /w, completedPath: /c"


def downloads(entry: str) -> str:
    return f"downloads: {{{FOLDERS}, {entry}}}"


def server(entry: str) -> str:
    return f"servers: [{{name: a, type: radarr, url: http://a, apiKey: kkkkkkkkkkkkkkkk, {entry}}}]"


@pytest.mark.fault("F3")
@pytest.mark.parametrize(
    ("entry", "field", "value"),
    [
        ("maxConcurrentDownloads: 1", "max_concurrent_downloads", 1),
        ("maxConcurrentDownloads: 64", "max_concurrent_downloads", 64),
        ('maxConcurrentDownloads: "5"', "max_concurrent_downloads", 5),
        ("maxConcurrentDownloads: null", "max_concurrent_downloads", 3),
        ("maxConcurrentDownloads: ~", "max_concurrent_downloads", 3),
        ("maxConcurrentDownloads: ", "max_concurrent_downloads", 3),
        ("maxDownloadAttempts: 1", "max_download_attempts", 1),
        ("retryBaseDelayMs: 0", "retry_base_delay_seconds", 0.0),
        ("retryBaseDelayMs: 1500", "retry_base_delay_seconds", 1.5),
        ("retryMaxDelayMs: 604800000", "retry_max_delay_seconds", 604800.0),
        ("idleTimeoutMs: 100", "idle_timeout_seconds", 0.1),
        ("checkpointBytes: 1024", "checkpoint_bytes", 1024),
        ("checkpointIntervalMs: 100", "checkpoint_interval_seconds", 0.1),
        ("minFreeBytes: 0", "min_free_bytes", 0),
        ("minFreeBytes: 9223372036854775807", "min_free_bytes", 2**63 - 1),
        ("maxFileBytes: 1", "max_file_bytes", 1),
        ("rescanIntervalMs: 100", "rescan_interval_seconds", 0.1),
        ("watchMode: poll", "watch_mode", WatchMode.POLL),
        ('watchMode: "events"', "watch_mode", WatchMode.EVENTS),
        ('fileMode: "0640"', "file_mode", 0o640),
        ("fileMode: 0640", "file_mode", 0o640),
        ("fileMode: 775", "file_mode", 0o775),
        ("fileMode: 600", "file_mode", 0o600),
    ],
)
def test_a_good_value_of_downloads_is_read(
    load: Load, entry: str, field: str, value: object
) -> None:
    read = load(downloads(entry)).downloads
    assert getattr(read, field) == value
    assert type(getattr(read, field)) is type(value)


@pytest.mark.fault("F3", "F4")
@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("maxConcurrentDownloads: §0", ["a whole number, at least 1"]),
        ("maxConcurrentDownloads: §65", ["at most 64"]),
        ("maxConcurrentDownloads: §-1", ["at least 1"]),
        ("maxConcurrentDownloads: §1.5", ["a whole number"]),
        ("maxConcurrentDownloads: §1_0", ["digits only"]),
        ("maxConcurrentDownloads: §010", ["digits only"]),
        ("maxConcurrentDownloads: §0x10", ["digits only"]),
        ("maxConcurrentDownloads: §22:30", ["digits only"]),
        ("maxConcurrentDownloads: §1e1", ["digits only"]),
        ("maxConcurrentDownloads: §+3", ["digits only"]),
        ("maxConcurrentDownloads: §\uff13", ["digits only"]),
        ("maxConcurrentDownloads: §true", ["a whole number"]),
        ("maxConcurrentDownloads: §[3]", ["a whole number"]),
        ('maxConcurrentDownloads: §""', ["a whole number"]),
        ("maxDownloadAttempts: §0", ["at least 1"]),
        ("retryBaseDelayMs: §-1", ["an integer in milliseconds, at least 0"]),
        ("retryBaseDelayMs: §1s", ["an integer in milliseconds"]),
        ("retryMaxDelayMs: §604800001", ["at most 604800000"]),
        ("retryMaxDelayMs: §inf", ["an integer in milliseconds"]),
        ("idleTimeoutMs: §99", ["an integer in milliseconds, at least 100"]),
        ("checkpointBytes: §1023", ["an integer in bytes, at least 1024"]),
        ("checkpointBytes: §10MB", ["an integer in bytes"]),
        ("checkpointIntervalMs: §99", ["at least 100"]),
        ("minFreeBytes: §-1", ["an integer in bytes, at least 0"]),
        ("minFreeBytes: §1 GiB", ["an integer in bytes"]),
        ("maxFileBytes: §0", ["at least 1"]),
        ("maxFileBytes: §9223372036854775808", ["at most 9223372036854775807"]),
        ("maxFileBytes: §" + "9" * 50, ["at most 9223372036854775807"]),
        ("minFreeBytes: §-" + "9" * 50, ["at least 0"]),
        ("rescanIntervalMs: §99", ["at least 100"]),
        ("watchMode: §evnts", ["auto, events, poll", "did you mean events?"]),
        ("watchMode: §Poll", ["did you mean poll?"]),
        ("watchMode: §off", ["one of auto, events, poll, found 'off'"]),
        ('fileMode: §"0o664"', ["octal"]),
        ("fileMode: §668", ["octal"]),
        ("fileMode: §64", ["octal"]),
        ("fileMode: §rw-rw-r--", ["octal"]),
        ("fileMode: §4755", ["octal"]),
        ("fileMode: §0464", ["owner read and write"]),
        ("fileMode: §0264", ["owner read and write"]),
    ],
)
def test_a_bad_value_of_downloads_is_refused_at_its_place(
    expect_problem: Expect, entry: str, words: list[str]
) -> None:
    expect_problem(downloads(entry), *words)


BAD_PATHS = [
    ("§~/jack", "~ is not expanded"),
    ("§relative/path", "absolute path"),
    ("§./here", "absolute path"),
    ('§""', "absolute path"),
    (r"§C:\jack", "absolute path"),
    ('§"/a\\0b"', "control characters"),
    ('§"/a\\nb"', "control characters"),
    ("§[/a]", "a path"),
]


@pytest.mark.parametrize(("value", "words"), BAD_PATHS)
@pytest.mark.parametrize(
    "text",
    [
        "downloads: {watchPath: VALUE, completedPath: /c}",
        "downloads: {watchPath: /w, completedPath: VALUE}",
        "jack: {apiKey: kkkkkkkkkkkkkkkk, statePath: VALUE}",
        "{jack: {apiKey: kkkkkkkkkkkkkkkk}, library: [{folder: VALUE}]}",
        "peers: [{name: a, url: http://a, apiKey: kkkkkkkkkkkkkkkk, caFile: VALUE}]",
        server("pathMap: [{jack: VALUE, arr: /a}]"),
    ],
)
def test_a_path_of_this_machine_must_be_absolute(
    expect_problem: Expect, text: str, value: str, words: str
) -> None:
    expect_problem(text.replace("VALUE", value), words)


@pytest.mark.parametrize("path", ["/data", r"D:\data", "D:/data", r"'\\nas\media'"])
def test_the_path_of_an_arr_may_be_of_either_kind(load: Load, path: str) -> None:
    (read,) = load(server(f"pathMap: [{{jack: /j, arr: {path}}}]")).servers
    assert read.path_map == (PathMapping("/j", path.strip("'")),)


@pytest.mark.parametrize("path", ["data", r"D:data", r"\data"])
def test_a_relative_path_of_an_arr_is_refused(expect_problem: Expect, path: str) -> None:
    expect_problem(server(f"pathMap: [{{jack: /j, arr: §{path}}}]"), "absolute path")


@pytest.mark.fault("F3")
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True), ("True", True), ("yes", True), ("ON", True),
        ("false", False), ("FALSE", False), ("No", False), ("off", False),
    ],
)  # fmt: skip
def test_a_boolean_is_read_in_every_usual_spelling(load: Load, text: str, value: bool) -> None:
    (read,) = load(server(f"source: {text}, autoregister: {{enable: {text}}}")).servers
    assert read.source is value
    assert read.autoregister.enable is value


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("source: §1", "true or false"),
        ("destination: §maybe", "true or false"),
        ("destination: §[true]", "true or false"),
        ("autoregister: {priority: §0}", "at least 1"),
        ("autoregister: {priority: §51}", "at most 50"),
        ("autoregister: §true", "a block with the keys enable, priority"),
        ("pathMap: §{jack: /a, arr: /b}", "expected a list"),
        ("pathMap: [§/a]", "a block with the keys jack, arr"),
        ("headers: §[a]", "a block of `Name: value`"),
    ],
)
def test_a_bad_value_of_a_server_is_refused_at_its_place(
    expect_problem: Expect, entry: str, words: str
) -> None:
    expect_problem(server(entry), words)


def test_the_type_of_a_server_is_an_enum_with_a_suggestion(
    load: Load, expect_problem: Expect
) -> None:
    text = "servers: [{name: a, type: TYPE, url: http://a, apiKey: kkkkkkkkkkkkkkkk}]"
    (read,) = load(text.replace("TYPE", "sonarr")).servers
    assert read.type is ServerType.SONARR
    expect_problem(text.replace("TYPE", "§Radar"), "radarr, sonarr", "did you mean radarr?")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ('§""', "empty"),
        ("§'  '", "empty"),
        ('§"a\\nb"', "printable"),
        ('§"a\\u202eb"', "printable"),
        ("§' a'", "space around"),
        ("§" + "x" * 101, "at most 100"),
        ("§{}", "expected a name"),
    ],
)
def test_a_name_must_be_short_and_printable(expect_problem: Expect, name: str, words: str) -> None:
    expect_problem(f"peers: [{{name: {name}, url: http://a, apiKey: kkkkkkkkkkkkkkkk}}]", words)


GOOD_URLS = [
    "http://nas.local:7878", "https://jack.friend.example", "HTTP://NAS", "http://nas/",
    "http://nas/prefix/jack", "http://192.0.2.7:65535", "http://[2001:db8::1]:80/x", "http://my_nas",
    "https://bücher.example", "http://nas.local.:1",
]  # fmt: skip

BAD_URLS = [
    ("nas.local:7878", "http:// or https://"),
    ("ftp://nas", "http:// or https://"),
    ("//nas", "http:// or https://"),
    ("http:/nas", "http:// or https://"),
    ("http://", "valid host"),
    ("http://:80", "valid host"),
    ("http:///path", "valid host"),
    ("http://a..b", "valid host"),
    ("http://[::1", "valid host"),
    ("http://[nas]", "valid host"),
    ("http://::1", "valid host"),
    ("http://na!s", "valid host"),
    ("http://" + "x" * 64, "valid host"),
    ("http://user:hunter2@nas", "user name or password"),
    ("http://user@nas", "user name or password"),
    ("http://nas?apikey=hunter2", "query"),
    ("http://nas/?", "query"),
    ("http://nas/#top", "fragment"),
    ("http://nas:0", "from 1 to 65535"),
    ("http://nas:65536", "from 1 to 65535"),
    ("http://nas:", "from 1 to 65535"),
    ("http://nas:80a", "from 1 to 65535"),
    ("http://nas:+80", "from 1 to 65535"),
    ("http://nas:\uff18\uff10", "from 1 to 65535"),
    ("http://my nas", "spaces"),
    (" http://nas", "spaces"),
    (r"http://nas\share", "backslashes"),
    ("", "http:// or https://"),
]


@pytest.mark.fault("F8")
@pytest.mark.parametrize("url", GOOD_URLS)
def test_a_good_url_is_kept_as_it_is_written(load: Load, url: str) -> None:
    (peer,) = load(f"peers: [{{name: a, url: '{url}', apiKey: kkkkkkkkkkkkkkkk}}]").peers
    assert peer.url == url


@pytest.mark.fault("F8")
@pytest.mark.parametrize(("url", "words"), BAD_URLS)
@pytest.mark.parametrize(
    "text",
    [
        "peers: [{name: a, url: §'URL', apiKey: kkkkkkkkkkkkkkkk}]",
        "servers: [{name: a, type: sonarr, url: §'URL', apiKey: kkkkkkkkkkkkkkkk}]",
        "jack: {internalUrl: §'URL', apiKey: kkkkkkkkkkkkkkkk}",
    ],
)
def test_a_bad_url_is_refused_and_never_shown(
    expect_problem: Expect, problems: Problems, text: str, url: str, words: str
) -> None:
    marked = text.replace("URL", url)
    expect_problem(marked, words)
    assert "hunter2" not in problems(marked.replace("§", ""))[0]


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("http://nas.local:8000", 8000), ("http://nas.local", 5225), ("https://[::1]:9/x", 9),
        ("null", 5225),
    ],
)  # fmt: skip
def test_the_http_side_listens_on_the_port_of_internal_url(load: Load, url: str, port: int) -> None:
    assert (
        load(
            f"jack: {{apiKey: kkkkkkkkkkkkkkkk, internalUrl: '{url}'}}".replace("'null'", "null")
        ).jack.port
        == port
    )


def test_a_peer_id_is_made_of_the_url_as_it_is_written(load: Load) -> None:
    peers = load(
        "peers:\n"
        "- {name: a, url: https://jack.friend.example, apiKey: kkkkkkkkkkkkkkkk}\n"
        "- {name: b, url: https://jack.friend.example/x/, apiKey: kkkkkkkkkkkkkkkk}\n"
    ).peers
    # printf %s URL | sha256sum | cut -c -8
    assert [peer.id for peer in peers] == ["37b3c14d", "b4102032"]


def test_the_state_path_is_the_folder_of_the_file_unless_given(load: Load, tmp_path: Path) -> None:
    assert load("jack: {apiKey: kkkkkkkkkkkkkkkk}").jack.state_path == tmp_path.resolve()
    assert load("peers: []").jack.state_path == tmp_path.resolve()
    assert load("jack: {statePath: /var/lib/jack}").jack.state_path == Path("/var/lib/jack")
