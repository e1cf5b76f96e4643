"""Log lines: secrets blacked out wherever they come from, and JSON that parses."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

import pytest

from jack.support.http import Wire, new_session, send
from jack.support.logs import set_up_logging
from jack.support.redaction import MASK, Redactor
from tests.support.scripted_peer import ScriptedPeer

SECRET = "s3cret/key+with =odd&signs"


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """`set_up_logging` changes the whole process."""
    root, raises = logging.getLogger(), logging.raiseExceptions
    handlers, level = root.handlers[:], root.level
    names = ("urllib3", "watchdog", "waitress", "werkzeug", "peewee")
    levels = {name: logging.getLogger(name).level for name in names}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.raiseExceptions = raises
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


log = logging.getLogger("jack.test")


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET, safe=""),
        quote(SECRET),
        quote_plus(SECRET),
        repr(SECRET),
        f"x{SECRET}y",
    ],
)
def test_a_secret_is_blacked_out_in_every_form(form: str) -> None:
    cleaned = Redactor([SECRET]).clean(f"before {form} after")
    assert "s3cret" not in cleaned
    assert MASK in cleaned
    assert cleaned.startswith("before ")
    assert cleaned.endswith(" after")


def test_a_secret_with_backslashes_is_found_in_a_repr() -> None:
    secret = "back\\slash'n\"quotes"
    assert "slash" not in Redactor([secret]).clean(f"{secret!r} {secret}")


def test_a_secret_that_holds_another_one_leaves_nothing_behind() -> None:
    assert Redactor(["abcd", "abcdefgh"]).clean("abcdefgh abcd") == f"{MASK} {MASK}"


@pytest.mark.parametrize("secret", ["", "a", "ab", "abc"])
def test_a_very_short_secret_does_not_star_out_everything(secret: str) -> None:
    line = "a download of abc.mkv began"
    assert Redactor([secret]).clean(line) == line
    assert MASK in Redactor(["abcd"]).clean("abcd")


@pytest.mark.parametrize("as_json", [False, True])
def test_messages_arguments_and_tracebacks_are_redacted(
    capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    set_up_logging("info", as_json, [SECRET])
    log.info("the key is %s", SECRET)
    try:
        raise ValueError(f"bad key {SECRET}")
    except ValueError:
        log.exception("it failed")
    out, err = capsys.readouterr()
    assert out == ""
    assert "s3cret" not in err
    assert "Traceback" in err
    assert err.count(MASK) == 2


def test_json_lines_parse_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("debug", True)
    log.warning('a "quoted"\nline with %s and \udcff', "\u202e")
    try:
        raise RuntimeError("two\nlines")
    except RuntimeError:
        log.exception("bug")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [sorted(line) for line in lines] == [
        ["level", "logger", "message", "time"],
        ["level", "logger", "message", "time", "traceback"],
    ]
    assert lines[0]["level"] == "warning"
    assert lines[0]["logger"] == "jack.test"
    assert lines[0]["message"].startswith('a "quoted"\nline')
    assert lines[0]["time"].endswith("+00:00")
    assert "RuntimeError: two\nlines" in lines[1]["traceback"]


def test_urllib3s_own_debug_lines_are_redacted(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("trace", False, [SECRET])
    session = new_session({}, None, 1)
    with ScriptedPeer() as peer:
        url = f"{peer.url}/x?apikey={quote(SECRET, safe='')}"
        send(session, "GET", url, who="ann", wire=Wire()).close()
    session.close()
    err = capsys.readouterr().err
    assert "urllib3" in err
    assert f"apikey={MASK}" in err
    assert "s3cret" not in err


@pytest.mark.parametrize(
    ("level", "own", "others"),
    [
        ("trace", {"debug", "info", "warning"}, {"debug", "info", "warning"}),
        ("debug", {"debug", "info", "warning"}, {"warning"}),
        ("info", {"info", "warning"}, {"warning"}),
        ("error", set(), set()),
    ],
)
@pytest.mark.parametrize("library", ["urllib3", "peewee", "watchdog.observers.inotify_buffer"])
def test_other_packages_say_no_more_than_warnings_unless_everything_is_traced(
    capsys: pytest.CaptureFixture[str], library: str, level: str, own: set[str], others: set[str]
) -> None:
    set_up_logging(level, False)
    for name in (library, "jack.test"):
        for said in ("debug", "info", "warning"):
            getattr(logging.getLogger(name), said)("%s of %s", said, name)
    err = capsys.readouterr().err
    levels = {"debug", "info", "warning"}
    assert {said for said in levels if f"{said} of jack.test" in err} == own
    assert {said for said in levels if f"{said} of {library}" in err} == others


def test_a_name_in_foreign_bytes_can_be_logged(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("info", False)
    log.info("found %s", "caf\u00e9 \u202e")
    assert "found caf" in capsys.readouterr().err


@pytest.mark.fault("R8")
def test_a_log_that_cannot_be_written_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def write(self, text: str) -> int:
            raise BrokenPipeError

        def flush(self) -> None:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Broken())
    set_up_logging("info", False)
    log.error("nobody reads this")


def test_no_stderr_at_all_is_no_reason_not_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    set_up_logging("info", False)
    log.error("nobody reads this")
