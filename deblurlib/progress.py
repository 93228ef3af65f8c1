"""Progress of long work: a bar in terminals and notebooks, otherwise a line per minute."""

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from tqdm.auto import tqdm

SECONDS_BETWEEN_LINES = 60.0
LOG = "DEBLURLIB_PROGRESS"  # environment variable: the file that replaces bars and stderr
SECONDS_IN_LOG, MARK = 5.0, "Progress: "  # between its lines, and how each begins
T = TypeVar("T")
Item = TypeVar("Item", covariant=True)


class Bar(Protocol[Item]):
    """The progress of long work."""

    def __iter__(self) -> Iterator[Item]: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...

    def update(self, n: int = 1) -> object:
        """Count finished items.

        Args:
            n: How many have finished since the last call.

        Returns:
            Nothing of interest.
        """
        ...


class Lines(Generic[T]):
    """Reports progress on stderr, one line per minute and none for shorter work.

    In a notebook that `deblurlib reproduce` runs, the lines go to the notebook's log instead, and
    more often: the terminal shows the last one.
    """

    def __init__(
        self,
        iterable: Iterable[T] = (),
        *,
        total: int | None = None,
        initial: int = 0,
        desc: str = "",
        unit: str = "it",
    ) -> None:
        """Start the clock.

        Args:
            iterable: The items, if the object itself is iterated over.
            total: How many items there are; None if that is unknown.
            initial: How many of them are finished already.
            desc: Name of the work.
            unit: Name of an item.
        """
        self.iterable, self.total, self.done, self.initial = iterable, total, initial, initial
        self.title, self.unit = desc, unit
        self.log, self.written = os.environ.get(LOG), False
        self.every = SECONDS_IN_LOG if self.log else SECONDS_BETWEEN_LINES
        self.began = self.shown = time.monotonic()

    def __iter__(self) -> Iterator[T]:
        for item in self.iterable:
            yield item
            self.update()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.log and self.written:  # so that nobody waits for what has ended
            self._print(f"{self.title}: {self.done} {self.unit}s are done")

    def update(self, n: int = 1) -> None:
        """Count finished items, and print a line if the last one is old enough.

        Args:
            n: How many have finished since the last call.
        """
        self.done += n
        now = time.monotonic()
        if now - self.shown >= self.every:
            self.shown, self.written = now, True
            self._print(self._line(now - self.began))

    def _print(self, line: str) -> None:
        if self.log is None:
            print(line, file=sys.stderr, flush=True)
            return
        with suppress(OSError), Path(self.log).open("a", encoding="utf-8") as file:
            file.write(f"{MARK}{line}\n")

    def _line(self, elapsed: float) -> str:
        count = f"{self.done}" if self.total is None else f"{self.done} of {self.total}"
        line = f"{self.title}: {count} {self.unit}s, {duration(elapsed)} elapsed"
        finished = self.done - self.initial
        if self.total is None or not finished:
            return line
        return f"{line}, {duration(elapsed * (self.total - self.done) / finished)} left"


def progress_bar(
    iterable: Iterable[T] = (),
    *,
    total: int | None = None,
    initial: int = 0,
    desc: str = "",
    unit: str = "it",
    show: bool | None = None,
    leave: bool = True,
    delay: float = 0,
) -> Bar[T]:
    """Show the progress of long work.

    Args:
        iterable: The items; empty if `update` is called instead.
        total: How many items there are; None for the length of the iterable, if it has one.
        initial: How many of them are finished already.
        desc: Name of the work.
        unit: Name of an item.
        show: True for a bar, False for nothing; None for a bar in terminals and notebooks, and
            otherwise a line on stderr per minute.
        leave: Whether a finished bar stays visible.
        delay: Seconds before the bar appears.

    Returns:
        A bar or its replacement: an iterable and a context manager with the method `update`.
    """
    if total is None and isinstance(iterable, Sized):
        total = len(iterable)
    if show is None and os.environ.get(LOG):
        return Lines(iterable, total=total, initial=initial, desc=desc, unit=unit)
    bar = tqdm(
        iterable,
        total=total,
        initial=initial,
        desc=desc,
        unit=unit,
        leave=leave,
        delay=delay,
        disable=None if show is None else not show,
    )
    if bar.disable and show is None:
        return Lines(iterable, total=total, initial=initial, desc=desc, unit=unit)
    return bar


def duration(seconds: float) -> str:
    """Say how long something takes.

    Args:
        seconds: The time.

    Returns:
        Minutes, or hours with one decimal from two hours on.
    """
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
