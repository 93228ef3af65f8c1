"""When a run of the notebooks ends: from how long each took before, and how fast this run is."""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from ..storage import write_atomically
from .manifest import read_manifest
from .names import READS, number

DURATIONS = Path(__file__).with_name("durations.csv")  # seconds of each lesson, by preset
LIKE = "quick"  # the preset whose lessons are related to each other as those of unknown ones


class Forecast:
    """Says how long the rest of a run takes.

    The recorded durations come from another machine. The lessons of this run that have finished
    say by what factor it differs.
    """

    def __init__(self, preset: str) -> None:
        """Read the durations.

        Args:
            preset: Name of the preset.
        """
        recorded = pd.read_csv(DURATIONS, dtype={"lesson": str})
        self.known = preset in set(recorded.preset)
        chosen = recorded[recorded.preset == (preset if self.known else LIKE)]
        self.recorded: Mapping[str, float] = dict(zip(chosen.lesson, chosen.seconds, strict=True))
        self.typical = float(chosen.seconds.mean())  # of a notebook that is not part of the book
        self.took: dict[str, float] = {}

    def finished(self, name: str, seconds: float) -> None:
        """Note the duration of a lesson of this run.

        Args:
            name: Name of the notebook without its suffix.
            seconds: How long it took.
        """
        self.took[name] = seconds

    def left(self, running: Mapping[str, float], waiting: Iterable[str], jobs: int) -> float | None:
        """Estimate how long the rest takes.

        Args:
            running: Seconds since each lesson has begun, by name.
            waiting: Names of the lessons that have not begun, in their order.
            jobs: How many run at the same time.

        Returns:
            Seconds; None before the first lesson has finished if no duration of this preset is
            recorded.
        """
        if not (self.took or self.known):
            return None
        lanes = [0.0] * jobs
        for name, elapsed in running.items():
            _to_the_first_free(lanes, max(self._expected(name) - elapsed, 1))
        for name in waiting:
            if number(Path(name)) in READS:  # it begins after all others
                lanes = [max(lanes)] * jobs
            _to_the_first_free(lanes, self._expected(name))
        return max(lanes)

    def _expected(self, name: str) -> float:
        factor = sum(self.took.values()) / sum(map(self._recorded, self.took)) if self.took else 1
        return factor * self._recorded(name)

    def _recorded(self, name: str) -> float:
        return self.recorded.get(number(Path(name)), self.typical)


def _to_the_first_free(lanes: list[float], seconds: float) -> None:
    lanes[lanes.index(min(lanes))] += seconds


def clock(seconds: float) -> str:
    """Say when something ends.

    Args:
        seconds: From now on.

    Returns:
        The time of day, with the date if it is another day: "15:42", "Tue 2 Dec 09:10".
    """
    now, then = time.localtime(), time.localtime(time.time() + seconds)
    return time.strftime("%H:%M" if now[:3] == then[:3] else "%a %d %b %H:%M", then)


def record(folder: str | Path) -> None:
    """Store how long the lessons took in the last run of a results folder (for maintainers).

    Args:
        folder: The results folder. The durations of other presets stay.
    """
    entries = read_manifest(Path(folder))[0]
    new = pd.DataFrame(
        [
            (entry["inputs"]["preset"], number(Path(name)), entry["seconds"])
            for name, entry in entries.items()
            if entry["state"] in ("done", "cached")
        ],
        columns=["preset", "lesson", "seconds"],
    )
    table = pd.read_csv(DURATIONS, dtype={"lesson": str}) if DURATIONS.exists() else new.head(0)
    table = pd.concat([table, new]).drop_duplicates(["preset", "lesson"], keep="last")
    table = table.sort_values(["preset", "lesson"])
    write_atomically(DURATIONS, table.to_csv(index=False, float_format="%.0f"))
