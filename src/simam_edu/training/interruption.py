"""Ctrl-C and a scheduler's signals: they end a run between two steps, never within one."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

# Ctrl-C, schedulers, a closed terminal, and Ctrl-Break on Windows.
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
SIGNALS = tuple(signal.Signals[name] for name in _NAMES if hasattr(signal, name))
"""What asks a process to end."""


@contextlib.contextmanager
def signals_interrupt() -> Iterator[None]:
    """Let every signal that asks to end raise KeyboardInterrupt, with its number, in the block.

    A signal that is ignored (under nohup) or handled already is left alone.
    """

    def interrupt(number: int, _frame: object) -> None:
        raise KeyboardInterrupt(number)

    usual = (signal.SIG_DFL, signal.default_int_handler)
    with _handled({each: interrupt for each in SIGNALS if signal.getsignal(each) in usual}):
        yield


@contextlib.contextmanager
def signals_wait() -> Iterator[None]:
    """Let the block come to its end before a signal with a handler in Python is handled."""
    waiting: list[int] = []

    def wait(number: int, _frame: object) -> None:
        waiting.append(number)

    with _handled({each: wait for each in SIGNALS if callable(signal.getsignal(each))}):
        yield
    for number in waiting[:1]:
        signal.raise_signal(number)


@contextlib.contextmanager
def _handled(handlers: Mapping[signal.Signals, Callable[[int, Any], Any]]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # Python sets no handlers there
        yield
        return
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
