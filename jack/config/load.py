"""Reading the file: one way in, every problem out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jack.config.blocks import Draft, Reading, block, built, defaults_of
from jack.config.checks import keys_told_apart, shared_with_key
from jack.config.foreign import without_jsonc_comments
from jack.config.schema import Config, JackConfig
from jack.config.tree import At, Entries, Node, Problem, is_null, parse
from jack.errors import ConfigError
from jack.support.files import NotRegular, printable, read_regular

MAX_CONFIG_BYTES = 1024 * 1024

_START = At(1, 1)
_EXAMPLE = "copy jack.yaml.example and fill it in"
_root = block(Config, shared_with_key, keys_told_apart)


def load_config(path: Path, environ: Mapping[str, str]) -> Config:
    """Read and check the file at `path`; `environ` is where `{env: NAME}` looks.

    Only the file and the files of secrets are opened; of the folders jack looks where they lead.
    Raises ConfigError with all problems in the file's order, each
    `FILE:LINE:COL: key.path: message`.
    """
    reading = Reading(environ, [])
    draft: Draft | None = None
    try:
        draft = _root(_top(path, reading), reading)
    except Problem as problem:
        reading.problems.append(problem)
    if draft is None or reading.problems:
        raise ConfigError(_lines(path, reading.problems))
    return _config(path, draft)


def _lines(path: Path, problems: list[Problem]) -> list[str]:
    ordered = sorted({(problem.at, problem.message) for problem in problems})
    name = printable(str(path))
    return [
        f"{name}:{at.line}:{at.column}: {f'{at.path}: ' if at.path else ''}{message}"
        for at, message in ordered
    ]


def _top(path: Path, reading: Reading) -> Node:
    text, comments = without_jsonc_comments(_decoded(_content(path)))
    if comments is not None:
        reading.problems.append(comments)
    node = parse(text)
    if node is None or is_null(node):
        raise Problem(_START, f"the file is empty; {_EXAMPLE}")
    if not isinstance(node, Entries):
        raise Problem(node.at, f"expected keys such as `downloads:` at the top; {_EXAMPLE}")
    return node


def _content(path: Path) -> bytes:
    try:
        content = read_regular(path, MAX_CONFIG_BYTES + 1)
    except FileNotFoundError as error:
        raise Problem(
            _START, f"there is no such file; {_EXAMPLE}, or name another with -c"
        ) from error
    except IsADirectoryError as error:
        raise Problem(_START, "this is a folder; name the file in it") from error
    except NotRegular as error:
        raise Problem(_START, "this is no regular file; name one that holds the config") from error
    except OSError as error:
        reason = f"the file cannot be read ({error.strerror}); let the user that runs jack read it"
        raise Problem(_START, reason) from error
    if len(content) > MAX_CONFIG_BYTES:
        raise Problem(
            _START, f"the file is larger than {MAX_CONFIG_BYTES} bytes; is it the right one?"
        )
    return content


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8")
        at = At(before.count("\n") + 1, len(before) - before.rfind("\n"))
        raise Problem(at, "this is not UTF-8 text; save the file as UTF-8") from error


def _config(path: Path, draft: Draft) -> Config:
    here = path.absolute()
    values: dict[str, Any] = dict(draft.values)
    jack = values["jack"] or Draft(JackConfig, _START, defaults_of(JackConfig))
    # Not the folder a symbolic link to the file leads to: that may be a read-only store.
    state_path = jack.values["state_path"] or here.parent.resolve()
    values["jack"] = Draft(JackConfig, jack.start, {**jack.values, "state_path": state_path})
    return Config(path=here, **{name: built(value) for name, value in values.items()})
