from __future__ import annotations

import threading
import time

import pytest

from jack.blackhole.inbox import Inbox, Mail


def test_names_come_out_in_order_and_once() -> None:
    inbox = Inbox()
    for name in ("b", "a", "b"):
        inbox.put(name)
    assert inbox.take(0) == Mail(("b", "a"), scan=False)
    assert inbox.take(0) == Mail((), scan=False)


def test_a_scan_request_comes_out_once() -> None:
    inbox = Inbox()
    inbox.request_scan()
    inbox.request_scan()
    assert inbox.take(0).scan
    assert not inbox.take(0).scan


@pytest.mark.fault("W7")
def test_too_many_names_become_one_scan() -> None:
    inbox = Inbox(max_names=3)
    for number in range(4):
        inbox.put(str(number))
    assert inbox.take(0) == Mail((), scan=True)


def test_a_name_that_waits_already_does_not_overflow_the_inbox() -> None:
    inbox = Inbox(max_names=2)
    for name in ("a", "b", "a", "b"):
        inbox.put(name)
    assert inbox.take(0) == Mail(("a", "b"), scan=False)


@pytest.mark.parametrize("act", [lambda i: i.put("x"), Inbox.request_scan, Inbox.wake])
def test_whatever_is_left_ends_the_wait(act: object) -> None:
    inbox = Inbox()
    done = threading.Event()

    def wait() -> None:
        inbox.take(600)
        done.set()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    assert callable(act)
    act(inbox)
    assert done.wait(20)
    thread.join(20)


def test_a_wake_up_ends_one_wait_only() -> None:
    inbox = Inbox()
    inbox.wake()
    started = time.monotonic()
    inbox.take(600)
    inbox.take(0.05)
    assert time.monotonic() - started >= 0.05
