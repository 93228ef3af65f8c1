"""One comparison of contestants, and how it is measured.

All contestants of a case run in one process and take turns, so that other load on the machine slows
them alike; medians are compared. A timed call of up to ten seconds follows an untimed one of the
same contestant, as in a network or a training: otherwise the first to need memory after another has
returned gigabytes to the system would be charged for fetching it again.
"""

import gc
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .. import ops
from .clock import Seconds, extra_memory, forward_backward, forward_only, seconds

SLOW = 0.5  # seconds; slower calls are repeated only three times
LONG = 10.0  # seconds; slower calls need no untimed one before: fetching memory is negligible
PHASES: dict[str, Callable[..., Callable[[], object]]] = {
    "forward": forward_only,
    "forward+backward": forward_backward,
}


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Size of an operator's input.

    Attributes:
        batch: Number of images.
        channels: Number of channels.
        height: Height in pixels.
        width: Width in pixels.
    """

    batch: int = 1
    channels: int
    height: int
    width: int

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """The size of the input tensor: (batch, channels, height, width)."""
        return self.batch, self.channels, self.height, self.width

    def __str__(self) -> str:
        return "x".join(map(str, self.sizes))


@dataclass(frozen=True)
class Case:
    """One comparison.

    Attributes:
        operator: Name of the operator, or of the function that is timed instead.
        shape: Size of the input, in words.
        phase: The passes that are timed, such as "forward+backward".
        contestants: Functions without arguments, by name; ours first.
    """

    operator: str
    shape: str
    phase: str
    contestants: dict[str, Callable[[], object]]

    def ours_alone(self) -> "Case":
        """Leave out all contestants but the first.

        Returns:
            Another case.
        """
        return Case(self.operator, self.shape, self.phase, dict(list(self.contestants.items())[:1]))


def with_backend(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Run a function with one backend of our operators.

    Args:
        name: A backend, as for `ops.set_backend`.
        function: Calls our operators.

    Returns:
        A function with the same arguments.
    """

    def call(*tensors: Tensor) -> Any:
        with ops.set_backend(name):
            return function(*tensors)

    return call


def ours(function: Callable[..., Any], backends: Sequence[str]) -> dict[str, Callable[..., Any]]:
    """Make one contestant per backend of our operators.

    Args:
        function: Calls our operators.
        backends: Backends, as for `ops.set_backend`.

    Returns:
        The contestants, by the names that they have in the tables.
    """
    return {f"deblurlib ({name})": with_backend(name, function) for name in backends}


def measure(case: Case, repeats: int, device: str) -> Iterator[dict[str, object]]:
    """Measure the contestants of a case.

    Args:
        case: The comparison.
        repeats: Timed calls per contestant; slow ones get three.
        device: "cpu" or "cuda".

    Yields:
        One row per contestant: medians over interleaved calls, and ratios to the first contestant.
    """
    gc.collect()
    calls = case.contestants
    first_walls = {name: seconds(call, device).wall for name, call in calls.items()}
    slow, long = (
        {name for name, wall in first_walls.items() if wall > limit} for limit in (SLOW, LONG)
    )
    memory = {
        name: statistics.median(extra_memory(call, device) for _ in range(1 if name in slow else 3))
        for name, call in calls.items()
    }
    times: dict[str, list[Seconds]] = {name: [] for name in calls}
    for turn in range(repeats):
        for name, call in calls.items():
            if turn < 3 or name not in slow:
                if name not in long:
                    call()
                times[name].append(seconds(call, device))
    walls = {name: statistics.median(run.wall for run in runs) for name, runs in times.items()}
    processors = {
        name: statistics.median(run.processor for run in runs) for name, runs in times.items()
    }
    first = next(iter(calls))
    for name, runs in times.items():
        yield {
            "operator": case.operator,
            "shape": case.shape,
            "pass": case.phase,
            "contestant": name,
            "device": device,
            "threads": torch.get_num_threads(),
            "median_ms": 1e3 * walls[name],
            "min_ms": 1e3 * min(run.wall for run in runs),
            "max_ms": 1e3 * max(run.wall for run in runs),
            "cpu_ms": 1e3 * processors[name],
            "ratio": walls[name] / walls[first],
            "cpu_ratio": processors[name] / max(processors[first], 1e-9),
            "extra_mb": memory[name],
            "runs": len(runs),
            "torch": torch.__version__,
        }
