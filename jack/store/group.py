"""Group commit: threads that have something to record at the same moment share one transaction,
and so one fsync. On a spinning disk that is what a record costs."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")

Transaction = Callable[[], AbstractContextManager[None]]
"""Commits when the block ends well, and takes everything back when it does not."""


class _Entry(NamedTuple):
    """What one thread wants to record, and what became of it."""

    action: Callable[[], Any]
    outcome: Future[Any]
    is_one_statement: bool


class GroupCommit:
    """Whoever gets `writing` runs what has gathered meanwhile, for all; the others find it done."""

    def __init__(self, writing: AbstractContextManager[object], transaction: Transaction) -> None:
        self._writing = writing
        self._transaction = transaction
        self._gathered: deque[_Entry] = deque()

    def commit(self, action: Callable[[], T], is_one_statement: bool = False) -> T:
        """Run `action` in a transaction and return its result when that is on the disk.

        It runs in any one of the waiting threads, so it may do nothing but talk to the database.
        What it raises takes back what it did, not what the others did, and is raised here. One
        statement that is alone needs no transaction around it: it is one.
        """
        outcome: Future[T] = Future()
        self._gathered.append(_Entry(action, outcome, is_one_statement))
        with self._writing:
            if not outcome.done():
                self._run([self._gathered.popleft() for _ in range(len(self._gathered))])
        return outcome.result()

    def _run(self, entries: list[_Entry]) -> None:
        is_alone = len(entries) == 1 and entries[0].is_one_statement
        try:
            with contextlib.nullcontext() if is_alone else self._transaction():
                results = [entry.action() for entry in entries]
        except BaseException as error:
            if len(entries) > 1 and isinstance(error, Exception):
                for entry in entries:  # one of them spoiled it for all
                    self._run([entry])
                return
            for entry in entries:
                entry.outcome.set_exception(error)
            if not isinstance(error, Exception):
                raise
        else:
            for entry, result in zip(entries, results, strict=True):
                entry.outcome.set_result(result)
