"""A machine that has run out of something, as one error: nobody else's fault, and it passes."""

from __future__ import annotations

import errno

from jack.errors import Shortage

_USED_UP = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
_NO_THREAD = "can't start new thread"
"""CPython's words; its exception is a bare RuntimeError."""


def as_shortage(error: BaseException) -> Shortage | None:
    """`error` as a Shortage when it says that this machine has run out of memory, threads or
    descriptors; None when it says something else.
    """
    if isinstance(error, Shortage):
        return error
    if isinstance(error, MemoryError):
        return Shortage("this machine has no memory left for it")
    if isinstance(error, RuntimeError) and _NO_THREAD in str(error):
        return Shortage("this machine has no thread left for it")
    if isinstance(error, OSError) and error.errno in _USED_UP:
        return Shortage(f"this machine has run out ({error.strerror})")
    return None
