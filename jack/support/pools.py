"""Waiting for a thread pool with a limit, which ThreadPoolExecutor itself does not offer."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor


def join_pool(pool: ThreadPoolExecutor, seconds: float) -> bool:
    """Wait for the work of a pool that was shut down; False when some has not ended in time."""
    waiter = threading.Thread(target=pool.shutdown, daemon=True)
    try:
        waiter.start()
    except RuntimeError:  # no thread left to wait in; who stops with a limit does not wait here
        return False
    waiter.join(seconds)
    return not waiter.is_alive()
