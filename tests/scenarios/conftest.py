"""Fixtures of the scenarios: processes, peers and servers that are gone when the test ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.harness import KEY, Jack
from tests.support.fake_arr import FakeArr
from tests.support.scripted_peer import ScriptedPeer


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as held:
        yield held


@pytest.fixture
def new_peer(stack: ExitStack) -> Callable[[], ScriptedPeer]:
    return lambda: stack.enter_context(ScriptedPeer(api_key=KEY))


@pytest.fixture
def peer(new_peer: Callable[[], ScriptedPeer]) -> ScriptedPeer:
    return new_peer()


@pytest.fixture
def new_arr(stack: ExitStack) -> Callable[[str], FakeArr]:
    return lambda kind: stack.enter_context(FakeArr(kind))


@pytest.fixture
def new_jack(tmp_path: Path, stack: ExitStack) -> Callable[..., Jack]:
    """Makes an installation below tmp_path: `new_jack("you", downloads={...}, peers=[...])`."""

    def make(name: str = "you", **blocks: Any) -> Jack:
        jack = Jack(tmp_path / name, **blocks)
        stack.callback(jack.close)
        return jack

    return make
