"""Ctrl-C and a scheduler's signals: they end a run between two steps, never within one."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
"""What asks a process to end: Ctrl-C, schedulers, a closed terminal, and Ctrl-Break on Windows."""
SIGNALS = tuple(signal.Signals[name] for name in NAMES if hasattr(signal, name))

Handler = Callable[[int, Any], Any]


@contextlib.contextmanager
def signals_interrupt() -> Iterator[None]:
    """Let every signal that asks to end raise KeyboardInterrupt in the block, as Ctrl-C does.

    The exception's argument is the number of the signal. A signal that is ignored (under nohup) or that has
    a handler already is left alone, and outside the main thread, where Python sets no handlers, all are.
    """

    def interrupt(number: int, _frame: object) -> None:
        raise KeyboardInterrupt(number)

    usual = (signal.SIG_DFL, signal.default_int_handler)
    with _handled({number: interrupt for number in SIGNALS if signal.getsignal(number) in usual}):
        yield


@contextlib.contextmanager
def signals_wait() -> Iterator[None]:
    """Let the block come to its end before a signal that arrives meanwhile is handled.

    Only signals with a handler in Python wait, Ctrl-C among them; the others end the process at once.
    """
    waiting: list[int] = []

    def wait(number: int, _frame: object) -> None:
        waiting.append(number)

    with _handled({number: wait for number in SIGNALS if callable(signal.getsignal(number))}):
        yield
    for number in waiting[:1]:
        signal.raise_signal(number)


def signal_of(interruption: KeyboardInterrupt) -> int:
    """Return the number of the signal behind an interruption; without one it was Ctrl-C."""
    number = interruption.args[0] if interruption.args else signal.SIGINT
    return int(number)


@contextlib.contextmanager
def _handled(handlers: dict[signal.Signals, Handler]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
