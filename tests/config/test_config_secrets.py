"""Secrets: three ways to write one, what can be wrong with each, and that none is ever shown."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from jack.config import Config, Secret
from jack.config.secret import MAX_SECRET_BYTES

Load = Callable[..., Config]
Problems = Callable[..., list[str]]
Expect = Callable[..., None]

HIDDEN = "s3cr3t-h1dden-Value"


def peer(key: str, headers: str = "{}") -> str:
    return f"peers: [{{name: a, url: http://a, apiKey: {key}, headers: {headers}}}]"


def api_key(config: Config) -> str:
    return config.peers[0].api_key.reveal()


def test_a_secret_shows_itself_only_when_asked() -> None:
    secret = Secret(HIDDEN)
    assert (repr(secret), str(secret), f"{secret}", f"{secret:>5}") == (
        "***",
        "***",
        "***",
        "  ***",
    )
    assert f"{[secret]} {secret!a}" == "[***] ***"
    assert secret.reveal() == HIDDEN


def test_secrets_are_equal_and_hash_by_value() -> None:
    assert Secret("a") == Secret("a")
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("abc", "abc"), ("0123", "0123"), ("off", "off"), ('"null"', "null"), ("'a b'", "a b"),
        ('"line\\r\\n"', "line"), ("'¡é'", "¡é"), ("{env: JACK_KEY}", "from-env"),
        ("{env: ENDS_IN_NEWLINE}", "from-env"),
    ],
)  # fmt: skip
def test_a_secret_is_a_text_or_an_environment_variable(load: Load, written: str, read: str) -> None:
    environ = {"JACK_KEY": "from-env", "ENDS_IN_NEWLINE": "from-env\r\n"}
    assert api_key(load(peer(written), environ)) == read


@pytest.mark.parametrize(
    "content", [b"from-file", b"from-file\n", b"from-file\r\n\n", b"\xef\xbb\xbffrom-file"]
)
def test_a_secret_is_read_from_a_file(load: Load, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    assert api_key(load(peer(f"{{file: {tmp_path}/key}}"))) == "from-file"


def test_a_secret_file_may_be_a_link_as_container_platforms_make_them(
    load: Load, tmp_path: Path
) -> None:
    (tmp_path / "data").write_text("from-file")
    (tmp_path / "key").symlink_to(tmp_path / "data")
    assert api_key(load(peer(f"{{file: {tmp_path}/key}}"))) == "from-file"


@pytest.mark.fault("F7")
@pytest.mark.parametrize(
    ("written", "words"),
    [
        ('§""', "is empty"),
        ("§'  '", "is empty"),
        (f"§' {HIDDEN}'", "space"),
        (f'§"{HIDDEN}\\nX: y"', "cannot be sent"),
        (f'§"{HIDDEN}\\0"', "cannot be sent"),
        (f"§'{HIDDEN}€'", "cannot be sent"),
        ("§change-me", "placeholder"),
        ("§CHANGEME", "placeholder"),
        ("§your-api-key", "placeholder"),
        ("{env: §NOT_SET}", "NOT_SET is not set"),
        ("{env: §EMPTY}", "EMPTY is empty"),
        ("{env: §NEWLINE}", "NEWLINE is empty"),
        ("{env: §PLACEHOLDER}", "placeholder"),
        ("{env: §CONTROL}", "cannot be sent"),
        ("{env: §BYTES}", "cannot be sent"),
        (f"{{env: §{HIDDEN}}}", "name of an environment variable"),
        (f"{{env: §{HIDDEN.replace('-', '_')}}}", "of this name is not set"),
        (f"{{file: §{HIDDEN}}}", "absolute path"),
        (f"{{file: §~/{HIDDEN}}}", "absolute path"),
        (f'{{file: §"/{HIDDEN}\\0"}}', "absolute path"),
        ("§{env: null}", "{env: NAME}"),
        ("§{}", "{env: NAME}"),
        ("§[a]", "{env: NAME}"),
        (f"§{{{HIDDEN}: a}}", "{env: NAME}"),
        (f"§{{env: KEY, file: /{HIDDEN}}}", "{env: NAME}"),
        ("§{env: [KEY]}", "{env: NAME}"),
    ],
)
def test_a_bad_secret_is_refused_at_its_place_and_not_shown(
    expect_problem: Expect, problems: Problems, written: str, words: str
) -> None:
    environ = {
        "EMPTY": "",
        "NEWLINE": "\n",
        "PLACEHOLDER": "change-me",
        "CONTROL": f"{HIDDEN}\x07",
        "BYTES": f"{HIDDEN}\udcff",
    }
    expect_problem(peer(written), words, environ=environ)
    lines = "\n".join(problems(peer(written).replace("§", ""), environ))
    assert HIDDEN not in lines
    assert HIDDEN.replace("-", "_") not in lines


def test_a_missing_secret_is_required(expect_problem: Expect) -> None:
    expect_problem(peer("§null"), "apiKey is required here")
    expect_problem("peers:\n- name: a\n  url: http://a\n  apiKey:§\n", "apiKey is required here")


@pytest.mark.fault("F7")
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n\r\n", "is empty"),
        (b"a\nb", "cannot be sent"),
        (b"\xff\xfe", "not hold text"),
        (b"x" * (MAX_SECRET_BYTES + 1), f"larger than {MAX_SECRET_BYTES} bytes"),
    ],
    ids=["empty", "line ends", "two lines", "binary", "huge"],
)
def test_a_bad_secret_file_is_refused(
    expect_problem: Expect, tmp_path: Path, content: bytes, words: str
) -> None:
    (tmp_path / "key").write_bytes(content)
    expect_problem(peer(f"{{file: §{tmp_path}/key}}"), words)


@pytest.mark.fault("F7")
def test_a_secret_file_that_is_missing_a_folder_or_a_pipe_is_refused(
    expect_problem: Expect, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    expect_problem(peer(f"{{file: §{tmp_path}/none}}"), "No such file")
    expect_problem(peer(f"{{file: §{tmp_path}}}"), "Is a directory")
    expect_problem(peer("{file: §/dev/null}"), "regular file")
    expect_problem(peer(f"{{file: §{tmp_path}/pipe}}"), "regular file")


def test_headers_are_secrets_in_every_form(load: Load) -> None:
    text = peer("k", "{CF-Access-Client-Id: plain, X-Token: {env: TOKEN}}")
    headers = load(text, {"TOKEN": HIDDEN}).peers[0].headers
    assert dict(headers) == {"CF-Access-Client-Id": Secret("plain"), "X-Token": Secret(HIDDEN)}


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ("{§X-Api-Key: a}", "sends the header X-Api-Key itself"),
        ("{§x-api-key: a}", "sends the header x-api-key itself"),
        ("{§Range: bytes=0-}", "sends the header Range itself"),
        ("{§Accept-Encoding: gzip}", "itself"),
        ("{§'X Token': a}", "no header name"),
        ("{§'': a}", "no header name"),
        ("{§'Ü': a}", "no header name"),
        (f"{{§X-Token:{HIDDEN}}}", "space after the colon"),
        ("{X-Token: §null}", "X-Token has no value"),
        (f'{{X-Token: §"{HIDDEN}\\r\\nHost: b"}}', "cannot be sent"),
        ("{X-Token: {env: §NOT_SET}}", "NOT_SET is not set"),
        ("{X-Token: a, §x-token: b}", "is already given on line 1"),
    ],
)
def test_a_bad_header_is_refused_at_its_place_and_not_shown(
    expect_problem: Expect, problems: Problems, headers: str, words: str
) -> None:
    expect_problem(peer("k", headers), words)
    assert HIDDEN not in problems(peer("k", headers).replace("§", ""))[0]


def test_a_missing_space_after_a_key_does_not_show_the_secret(problems: Problems) -> None:
    lines = problems(f"peers: [{{name: a, url: http://a, apiKey:{HIDDEN}}}]")
    assert HIDDEN not in "\n".join(lines)
    assert [line.partition("jack.yaml")[2] for line in lines] == [
        ":1:9: peers[0]: apiKey is required here",
        ":1:34: peers[0]: this is no key that jack knows; is there a space after the colon?",
    ]


def test_the_config_hides_its_secrets_and_lists_them_for_redaction(
    load: Load, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("secret-four\n")
    config = load(
        "jack: {apiKey: secret-number-one}\n"
        "servers: [{name: s, type: sonarr, url: http://s, apiKey: secret-two,"
        " headers: {X-A: secret-three}}]\n"
        f"peers: [{{name: p, url: http://p, apiKey: {{file: {tmp_path}/key}},"
        " headers: {X-B: secret-number-one, X-C: {env: FIVE}}}]\n",
        {"FIVE": "secret-five"},
    )
    assert config.secrets() == (
        "secret-number-one", "secret-two", "secret-three", "secret-four", "secret-five",
    )  # fmt: skip
    assert "secret-" not in repr(config)
    assert "***" in repr(config)
