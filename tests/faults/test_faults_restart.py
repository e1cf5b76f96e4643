"""Half-dead processes, suspended ones, and starts from whatever was left behind."""

from __future__ import annotations

import pytest

from tests.scenarios.harness import KIB, PATIENCE_SECONDS, Port, content
from tests.support.hurt_jack import HurtJack

BODY = content(2 * 1024 * KIB)

_DIES = """
import threading
def die(*rest, **more):
    raise {error}
import {module} as m
m.{owner}.{method} = die
"""


@pytest.mark.fault("C14")
@pytest.mark.parametrize(
    ("thread", "module", "owner", "method", "error"),
    [
        ("agenda", "jack.downloads.agenda", "Agenda", "run", "BaseException('x')"),
        ("agenda", "jack.downloads.agenda", "Agenda", "run", "SystemExit(0)"),
        ("intake", "jack.blackhole.intake", "Intake", "step", "BaseException('x')"),
        ("intake", "jack.blackhole.intake", "Intake", "run", "KeyboardInterrupt()"),
        ("import-Radarr", "jack.arr.lane", "Lane", "step", "BaseException('x')"),
        ("http", "jack.web.server", "Server", "_run", "ValueError('x')"),
        ("library-", "jack.library.sync", "ServerSync", "_run", "ValueError('x')"),
    ],
)
def test_a_thread_that_must_not_die_takes_jack_with_it(
    you: HurtJack, port: Port, thread: str, module: str, owner: str, method: str, error: str
) -> None:
    server = {"name": "Radarr", "type": "radarr", "url": "http://127.0.0.1:1", "apiKey": "key-1234"}
    server |= {"source": True, "destination": True, "autoregister": {"enable": False}}
    you.configure(jack={"apiKey": "key-12345", "internalUrl": port.url})
    you.configure(servers=[server])
    you.patches += _DIES.format(module=module, owner=owner, method=method, error=error)
    process = you.start(wait=False)
    assert process.wait(PATIENCE_SECONDS) == 1, you.log
    assert f"the {thread}" in you.log
    assert "thread has died; jack leaves so that it can be restarted" in you.log
