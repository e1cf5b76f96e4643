"""Writing a configuration, loading it, and marking in its text where a problem is expected."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from jack.config import Config, load_config
from jack.errors import ConfigError

MARK = "§"

Load = Callable[..., Config]
Problems = Callable[..., list[str]]
Expect = Callable[..., None]


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    return tmp_path / "jack.yaml"


@pytest.fixture
def load(config_file: Path) -> Load:
    """Load a text (or bytes) as the configuration."""

    def run(content: str | bytes, environ: Mapping[str, str] | None = None) -> Config:
        data = content.encode() if isinstance(content, str) else content
        config_file.write_bytes(data)
        return load_config(config_file, environ or {})

    return run


@pytest.fixture
def problems(load: Load) -> Problems:
    """The problem lines of a text that cannot be loaded."""

    def run(content: str | bytes, environ: Mapping[str, str] | None = None) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(content, environ)
        return caught.value.problems

    return run


@pytest.fixture
def expect_problem(problems: Problems, config_file: Path) -> Expect:
    """Exactly one problem, exactly where the mark stands in the text, that says all of `words`."""

    def run(marked: str, *words: str, environ: Mapping[str, str] | None = None) -> None:
        before, mark, after = marked.partition(MARK)
        assert mark, "the text needs a mark"
        line = before.count("\n") + 1
        column = len(before) - (before.rfind("\n") + 1) + 1
        found = problems(before + after, environ)
        assert len(found) == 1, found
        assert found[0].startswith(f"{config_file}:{line}:{column}: "), found
        assert "\n" not in found[0]
        for word in words:
            assert word in found[0]

    return run
