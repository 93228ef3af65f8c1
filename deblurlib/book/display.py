"""What a terminal or a log shows of a run of the notebooks: how far each is, and when all end."""

import time
from collections.abc import Iterable, Sequence

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from ..progress import duration
from ..wording import counted
from .forecast import Forecast, clock
from .notebooks import read_notebook
from .task import Task

SECONDS_BETWEEN_LINES = 60  # where there is no terminal


class Display(Progress):
    """Bars in a terminal, elsewhere lines in each minute."""

    def __init__(self, console: Console, preset: str, jobs: int, count: int) -> None:
        """Prepare the display; it is shown as a context manager.

        Args:
            console: Where it appears.
            preset: Name of the preset.
            jobs: How many notebooks run at the same time.
            count: How many notebooks there are.
        """
        self.jobs, self.count, self.done = jobs, count, 0
        self.forecast = Forecast(preset)
        self.rows: dict[Task, TaskID] = {}
        self.lines: list[str] = []  # below the bars
        self.shown = time.monotonic()
        super().__init__(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=12),
            TextColumn("cell {task.completed:.0f}/{task.total:.0f}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def get_renderables(self) -> Iterable[RenderableType]:
        """Return what stands in the terminal: the bars, and a line for each thing to add."""
        yield from super().get_renderables()
        yield from (Text(line, no_wrap=True, overflow="ellipsis") for line in self.lines)

    def begin(self, task: Task) -> None:
        """Show a notebook that has started.

        Args:
            task: The notebook.
        """
        cells = len(read_notebook(task.path).cells)
        self.rows[task] = self.add_task(task.name, total=cells + 1)  # plus the parameters
        if not self.console.is_terminal:
            self._print(f"  … {task.name}")

    def end(self, task: Task, outcome: str, seconds: float | None) -> None:
        """Report a notebook that has ended, or need not run.

        Args:
            task: The notebook.
            outcome: What is printed about it.
            seconds: How long it took; None if it was not run.
        """
        self.done += 1
        if seconds is not None:
            self.forecast.finished(task.name, seconds)
        if task in self.rows:
            self.remove_task(self.rows.pop(task))
        self.console.print(outcome, soft_wrap=True)

    def show(self, running: Sequence[Task], waiting: Sequence[Task]) -> None:
        """Show how far the notebooks are.

        Args:
            running: Those that have started.
            waiting: Those that have not.
        """
        whole, now = self._whole(running, waiting), time.monotonic()
        self.lines = [f"  {whole}"]
        details = []
        for task in running:
            cell, work = task.reached()
            row = self.tasks[self.task_ids.index(self.rows[task])]
            self.update(row.id, completed=cell)
            self.lines += [f"  {task.number}: {work}"] if work else []
            details.append(
                f"  … {task.name}: cell {cell} of {row.total:.0f}, "
                f"{duration(now - task.clock)}{work and f'; {work}'}"
            )
        if not self.console.is_terminal and now - self.shown >= SECONDS_BETWEEN_LINES:
            self.shown = now
            for line in [f"  {whole}", *details]:
                self._print(line)

    def _whole(self, running: Sequence[Task], waiting: Sequence[Task]) -> str:
        """How many lessons have ended, and when the last one is expected to."""
        now = time.monotonic()
        elapsed = {task.name: now - task.clock for task in running}
        left = self.forecast.left(elapsed, [task.name for task in waiting], self.jobs)
        line = f"{self.done} of {counted(self.count, 'lesson')}"
        return line if not left else f"{line}, about {duration(left)} left, until {clock(left)}"

    def _print(self, line: str) -> None:
        self.console.print(line, soft_wrap=True, markup=False)
