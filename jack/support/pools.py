"""What ThreadPoolExecutor itself does not offer: a limit for the wait at its end, and a word about
what ended its work.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


def join_pool(pool: ThreadPoolExecutor, seconds: float) -> bool:
    """Wait for the work of a pool that was shut down; False when some has not ended in time."""
    waiter = threading.Thread(target=pool.shutdown, daemon=True)
    try:
        waiter.start()
    except RuntimeError:  # no thread left to wait in; who stops with a limit does not wait here
        return False
    waiter.join(seconds)
    return not waiter.is_alive()


def surface(future: Future[Any]) -> None:
    """As a done callback: what no handler of a pool's work has caught, SystemExit say, is not only
    kept in the future but ends jack as it would from any other thread.
    """
    error = None if future.cancelled() else future.exception()
    if error is not None:
        found = (type(error), error, error.__traceback__, threading.current_thread())
        threading.excepthook(threading.ExceptHookArgs(found))
