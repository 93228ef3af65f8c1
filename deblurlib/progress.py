"""Progress of long work: a bar in terminals and notebooks, otherwise a line per minute."""

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from tqdm.auto import tqdm

SECONDS_BETWEEN_LINES = 60.0
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
    """Reports progress on stderr, one line per minute and none for shorter work."""

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
        self.began = self.shown = time.monotonic()

    def __iter__(self) -> Iterator[T]:
        for item in self.iterable:
            yield item
            self.update()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, n: int = 1) -> None:
        """Count finished items, and print a line if a minute has passed since the last one.

        Args:
            n: How many have finished since the last call.
        """
        self.done += n
        now = time.monotonic()
        if now - self.shown >= SECONDS_BETWEEN_LINES:
            self.shown = now
            print(self._line(now - self.began), file=sys.stderr, flush=True)

    def _line(self, elapsed: float) -> str:
        count = f"{self.done}" if self.total is None else f"{self.done} of {self.total}"
        line = f"{self.title}: {count} {self.unit}s, {_minutes(elapsed)} elapsed"
        finished = self.done - self.initial
        if self.total is None or not finished:
            return line
        return f"{line}, {_minutes(elapsed * (self.total - self.done) / finished)} left"


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


def _minutes(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
