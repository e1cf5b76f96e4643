"""Commands in this process: arguments in, exit code and text out."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from jack.cli import main


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


Jack = Callable[..., Result]


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Every command sets up logging for its whole process."""
    root, raises = logging.getLogger(), logging.raiseExceptions
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.raiseExceptions = raises


@pytest.fixture
def jack(capsys: pytest.CaptureFixture[str]) -> Jack:
    """Run a command line."""

    def run(*arguments: str) -> Result:
        capsys.readouterr()
        try:
            code = main(arguments)
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else 1
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return Result(code, out, err)

    return run


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config with one peer whose key is a secret; the state is beside it."""
    path = tmp_path / "jack.yaml"
    content = {
        "jack": {"statePath": str(tmp_path)},
        "downloads": {
            "watchPath": str(tmp_path / "watch"),
            "completedPath": str(tmp_path / "completed"),
        },
        "peers": [{"name": "ann", "url": "http://127.0.0.1:9", "apiKey": "the-secret-key"}],
    }
    path.write_text(json.dumps(content))
    return path
