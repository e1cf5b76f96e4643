"""Group commit: threads that have something to record at the same moment share one transaction,
and so one fsync. On a spinning disk that is what a record costs."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Generic, TypeVar, cast

T = TypeVar("T")

Transaction = Callable[[], AbstractContextManager[None]]
"""Commits when the block ends well, and takes everything back when it does not."""


class _Entry(Generic[T]):
    """What one thread wants to record, and what became of it."""

    def __init__(self, action: Callable[[], T], is_one_statement: bool) -> None:
        self._action = action
        self.is_one_statement = is_one_statement
        self._result: T | None = None
        self.error: BaseException | None = None
        self.is_done = False

    def run(self) -> None:
        self._result = self._action()

    def outcome(self) -> T:
        if self.error is not None:
            raise self.error
        return cast("T", self._result)


class GroupCommit:
    """Whoever gets `writing` runs what has gathered meanwhile, for all; the others find it done."""

    def __init__(self, writing: AbstractContextManager[object], transaction: Transaction) -> None:
        self._writing = writing
        self._transaction = transaction
        self._lock = threading.Lock()
        self._gathered: list[_Entry[object]] = []

    def commit(self, action: Callable[[], T], is_one_statement: bool = False) -> T:
        """Run `action` in a transaction and return its result when that is on the disk.

        It runs in any one of the waiting threads, so it may do nothing but talk to the database.
        What it raises takes back what it did, not what the others did, and is raised here. One
        statement that is alone needs no transaction around it: it is one.
        """
        entry = _Entry(action, is_one_statement)
        with self._lock:
            self._gathered.append(cast("_Entry[object]", entry))
        with self._writing:
            if not entry.is_done:
                with self._lock:
                    gathered, self._gathered = self._gathered, []
                self._run(gathered)
        return entry.outcome()

    def _run(self, entries: list[_Entry[object]]) -> None:
        is_alone = len(entries) == 1 and entries[0].is_one_statement
        try:
            with contextlib.nullcontext() if is_alone else self._transaction():
                for entry in entries:
                    entry.run()
        except BaseException as error:
            if len(entries) > 1 and isinstance(error, Exception):
                for entry in entries:  # one of them spoiled it for all
                    self._run([entry])
                return
            for entry in entries:
                entry.error = error
            if not isinstance(error, Exception):
                raise
        finally:
            for entry in entries:
                entry.is_done = True
