"""One comparison of contestants, and how it is measured.

Everything of one case runs in one process, in turns, so that a busy machine slows all alike; medians are compared.
Every timed call of up to ten seconds follows an untimed one of the same contestant, as in a network or a training: else
the first to need memory after another has given gigabytes back to the system would be charged for fetching it again.
"""

import gc
import statistics
from dataclasses import dataclass

import torch

from .. import ops
from .clock import extra_memory, forward_backward, forward_only, seconds

SLOW = 0.5  # seconds; what takes longer is repeated three times only
LONG = 10.0  # seconds; what takes longer needs no untimed call before a timed one: fetching pages is nothing beside it


@dataclass
class Case:
    """One comparison; `contestants` maps a name to a function without arguments, ours first."""

    operator: str
    shape: str
    phase: str
    contestants: dict


PHASES = {"forward": forward_only, "forward+backward": forward_backward}


def with_backend(name, function):
    def call(*tensors):
        with ops.set_backend(name):
            return function(*tensors)

    return call


def ours(function, backends):
    return {f"deblurlib ({name})": with_backend(name, function) for name in backends}


def measure(case, repeats, device):
    """One row for each contestant: medians of interleaved runs, and how many times ours goes into it."""
    gc.collect()
    first_times = {
        name: seconds(function, device)[0] for name, function in case.contestants.items()
    }
    slow, long = (
        {name for name, time in first_times.items() if time > limit} for limit in (SLOW, LONG)
    )
    memory = {
        name: statistics.median(
            extra_memory(function, device) for _ in range(1 if name in slow else 3)
        )
        for name, function in case.contestants.items()
    }
    times = {name: [] for name in case.contestants}
    for turn in range(repeats):
        for name, function in case.contestants.items():
            if turn < 3 or name not in slow:
                if name not in long:
                    function()
                times[name].append(seconds(function, device))
    walls = {name: [wall for wall, _ in runs] for name, runs in times.items()}
    processors = {
        name: statistics.median(processor for _, processor in runs) for name, runs in times.items()
    }
    first = next(iter(case.contestants))
    for name, runs in walls.items():
        yield {
            **{
                "operator": case.operator,
                "shape": case.shape,
                "pass": case.phase,
                "contestant": name,
            },
            **{
                "device": device,
                "threads": torch.get_num_threads(),
                "median_ms": 1e3 * statistics.median(runs),
            },
            **{
                "min_ms": 1e3 * min(runs),
                "max_ms": 1e3 * max(runs),
                "cpu_ms": 1e3 * processors[name],
            },
            "ratio": statistics.median(runs) / statistics.median(walls[first]),
            "cpu_ratio": processors[name] / max(processors[first], 1e-9),
            **{"extra_mb": memory[name], "runs": len(runs), "torch": torch.__version__},
        }
