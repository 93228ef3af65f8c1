"""Signals during a training: they are noted when they come and obeyed between two steps."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
# `timeout`, torchrun and a terminal may deliver one signal twice within milliseconds.
SECONDS_OF_ONE_SIGNAL = 1.0


class Terminated(KeyboardInterrupt):
    """A training was ended by SIGTERM or SIGHUP, and its checkpoint is written.

    It is handled like Ctrl-C wherever Ctrl-C is; only the exit code of the process differs.

    Args:
        message: One sentence.
        number: The signal.
    """

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + number


class Signals:
    """The first signal that came during a training.

    Attributes:
        number: The signal; None if none came.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._when = 0.0
        self._previous: dict[int, signal.Handlers] = {}

    @contextmanager
    def noted(self) -> Iterator["Signals"]:
        """Note signals instead of obeying them, in the main thread.

        A second signal, a second or more after the first, is obeyed at once. A signal that the
        process ignores (as SIGHUP under nohup) stays ignored.

        Yields:
            This object.
        """
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                handler = signal.getsignal(number)
                if handler not in (None, signal.SIG_IGN):  # None: installed by other than Python
                    self._previous[number] = handler  # type: ignore[assignment]  # or a callable
                    signal.signal(number, self._note)
        try:
            yield self
        finally:
            self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.number is None:
            self.number, self._when = number, now
        elif now - self._when >= SECONDS_OF_ONE_SIGNAL:
            self._restore()
            signal.raise_signal(number)

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def exception(self, message: str) -> KeyboardInterrupt:
        """Make the exception that ends an interrupted training.

        Args:
            message: One sentence.

        Returns:
            KeyboardInterrupt after SIGINT, otherwise Terminated.
        """
        if self.number is None or self.number == signal.SIGINT:
            return KeyboardInterrupt(message)
        return Terminated(message, self.number)


def leave_signals_to_training(worker: int) -> None:
    """Let a process that renders scenes outlive Ctrl-C, so that the training can end its step.

    SIGTERM must end it, since multiprocessing ends such processes that way; it does so without an
    error, which would otherwise be raised in the middle of a step.

    Args:
        worker: Its number, as a DataLoader passes it.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: os._exit(0))
