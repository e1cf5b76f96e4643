"""Threads that record something at the same moment share a transaction, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from jack.store.group import GroupCommit
from tests.support.waiting import eventually


class Turns:
    """A lock that knows who has come for it so far."""

    def __init__(self) -> None:
        self.came: list[str] = []
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self.came.append(threading.current_thread().name)
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class Store:
    """A table in memory, whose first transaction waits until others have gathered."""

    def __init__(self) -> None:
        self.rows: list[str] = []
        self.commits = 0
        self.entered = threading.Event()
        self.go = threading.Event()
        self.turns = Turns()
        self.group = GroupCommit(self.turns, self._transaction)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        before = list(self.rows)
        try:
            yield
        except BaseException:
            self.rows = before
            raise
        self.commits += 1

    def add(self, row: str) -> Callable[[], int]:
        def action() -> int:
            self.rows.append(row)
            return len(self.rows)

        return action

    def hold(self) -> None:
        self.entered.set()
        assert self.go.wait(20)


class Committing(threading.Thread):
    def __init__(self, store: Store, action: Callable[[], object]) -> None:
        super().__init__()
        self._store, self._action = store, action
        self.result: object = None
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.result = self._store.group.commit(self._action)
        except BaseException as error:
            self.error = error


def while_one_commits(store: Store, *actions: Callable[[], object]) -> list[Committing]:
    """Let all `actions` come while another transaction runs; all ended."""
    first = Committing(store, store.hold)
    assert store.entered.wait(20)
    others = []
    for number, action in enumerate(actions, 1):
        others.append(Committing(store, action))
        eventually(
            lambda number=number: len(store.turns.came) == 1 + number, what="the next in line"
        )
    store.go.set()
    for thread in (first, *others):
        thread.join(20)
        assert not thread.is_alive()
    return others


def test_what_comes_while_another_commits_is_one_transaction_and_each_gets_its_result() -> None:
    store = Store()
    others = while_one_commits(store, store.add("a"), store.add("b"), store.add("c"))
    assert store.rows == ["a", "b", "c"]
    assert store.commits == 2
    assert [thread.result for thread in others] == [1, 2, 3]


def test_one_that_fails_takes_nothing_of_the_others_with_it() -> None:
    store = Store()

    def fail() -> None:
        store.rows.append("half")
        raise KeyError("no")

    others = while_one_commits(store, store.add("a"), fail, store.add("c"))
    assert store.rows == ["a", "c"]
    assert [type(thread.error) for thread in others] == [type(None), KeyError, type(None)]


def test_a_lone_failure_is_raised_to_its_owner_and_the_next_one_works() -> None:
    store = Store()
    with pytest.raises(ZeroDivisionError):
        store.group.commit(lambda: 1 // 0)
    assert store.group.commit(store.add("a")) == 1


def test_an_exit_in_the_middle_leaves_nobody_waiting() -> None:
    store = Store()

    def leave() -> None:
        raise SystemExit

    others = while_one_commits(store, store.add("a"), leave, store.add("c"))
    assert store.rows == []
    assert all(isinstance(thread.error, SystemExit) for thread in others)
