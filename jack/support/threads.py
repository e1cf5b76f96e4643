"""Threads that jack cannot do without: a machine that gives none ends jack, and whoever supervises
it starts it again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from jack.support.shortage import as_shortage

_T = TypeVar("_T")


class NoThread(SystemExit):
    """The machine gives no more threads. Passes every `except Exception`: without its threads jack
    would be half dead."""


def start(thread: threading.Thread) -> None:
    """Raises NoThread when there is none to be had."""
    _or_no_thread(thread.start)


def give(pool: ThreadPoolExecutor, work: Callable[..., object], *arguments: object) -> None:
    """Have a thread of the pool do it. What ends the work, SystemExit say, ends jack as it would
    from any other thread. Raises NoThread.
    """
    _or_no_thread(lambda: pool.submit(work, *arguments)).add_done_callback(_surface)


def _or_no_thread(begin: Callable[[], _T]) -> _T:
    try:
        return begin()
    except RuntimeError as error:
        if as_shortage(error) is None:
            raise
        lack = NoThread("this machine has no thread left for jack")
        _tell(lack)  # also where somebody swallows every exception, as a web server does
        raise lack from error


def _surface(future: Future[Any]) -> None:
    """A future would keep to itself what no handler of the work has caught."""
    error = None if future.cancelled() else future.exception()
    if error is not None:
        _tell(error)


def _tell(error: BaseException) -> None:
    found = (type(error), error, error.__traceback__, threading.current_thread())
    threading.excepthook(threading.ExceptHookArgs(found))
