"""The error tree. Whether an error is worth another try is decided once, where a foreign exception
is translated, and is the class of the error from then on.
"""

from __future__ import annotations


class JackError(Exception):
    """Base of everything jack raises on purpose; the text is a sentence for a person."""


class UserError(JackError):
    """A mistake the user can mend: printed as one line, never as a traceback."""

    exit_code = 1


class ConfigError(UserError):
    """The configuration cannot be used; `problems` holds one `FILE:LINE:COL: message` line each."""

    exit_code = 2

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class AlreadyRunning(UserError):
    """Another jack holds the lock of the same state folder."""

    exit_code = 3


class StateError(UserError):
    """The state folder or its database cannot be used (not writable, newer schema, corrupt)."""


class TransientError(JackError):
    """Worth another try later.

    `retry_after_seconds` is what the peer asked for (RFC 9110 section 10.2.3), None when it did not
    ask.
    """

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class PeerUnreachable(TransientError):
    """No connection at all: refused, no route, name not found, connect timeout. Says nothing about
    the file.
    """


class PeerRefused(TransientError):
    """The peer does not let us in (401, 403, certificate): pauses the peer, costs the file no
    attempt.
    """


class TooSlow(TransientError):
    """Bytes came, but too few to be worth a slot: counts like a try that brought nothing."""


class ProtocolError(TransientError):
    """An answer that makes no sense (RFC 9110): once may be an accident, twice in a row is
    final.
    """


class StorageError(TransientError):
    """The local disk refuses (EIO, EROFS, EACCES ...): not the peer's fault, costs no attempt."""


class NoSpace(StorageError):
    """Too little free space (ENOSPC, EDQUOT, or below `minFreeBytes`)."""


class Shortage(StorageError):
    """This machine has run out of threads, descriptors or memory."""


class PermanentError(JackError):
    """Trying again cannot help.

    `may_be_early`: unless the peer has only just started and does not know its own library yet.
    """

    def __init__(self, message: str, *, may_be_early: bool = False) -> None:
        super().__init__(message)
        self.may_be_early = may_be_early


class NameTaken(PermanentError):
    """Something else has the name of a download's file or of its `.part`: another name will do."""


class Interrupted(JackError):
    """The work was told to stop (shutdown or cancel); not a failure of anything."""
