"""Takes training steps of SVDN when told to on standard input; run by `steps.py` as a script.

It uses only names that all commits of the library have, so that it can also run another one, which
PYTHONPATH names. Commands are "step SIZE SIDE PRECISION", answered with the processor time in
seconds, and "parts SIZE SIDE PRECISION", answered with the milliseconds of each part of a step.
"""

import functools
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from deblurlib import losses
from deblurlib.data.samples import Sample
from deblurlib.training import Experiment, LossTerms, initial_model

BATCH = 4
OFFSET_BIASES = ("neck.ow1.bias", "neck.ow2.3.bias")
POSITION = "position loss"
PARTS = {  # words in the names of events -> part of the step
    POSITION: POSITION,
    "convolution_backward": "convolutions, backward",
    "ConvolutionBackward": "convolutions, backward",
    "aten::conv": "convolutions, forward",
    "aten::_conv": "convolutions, forward",
    "mkldnn_convolution": "convolutions, forward",
    "deform_conv": "deformable convolutions",
    "prelu": "PReLU",
    "Prelu": "PReLU",
    "aten::copy_": "copies",
    "aten::cat": "copies",
    "Optimizer.step": "Adam",
}


@functools.cache
def make_step(size: str, side: int, precision: str) -> Callable[[], None]:
    """Make the step of one configuration.

    Args:
        size: "small" or "full".
        side: Side of the crops in pixels.
        precision: "fp32" or "bf16".

    Returns:
        A function that takes one step.
    """
    torch.manual_seed(0)
    experiment = Experiment(variant="fd_og", size=size, position=1e-4)
    model = initial_model(experiment).train().to(memory_format=torch.channels_last)
    for name in OFFSET_BIASES:
        torch.nn.init.constant_(model.get_parameter(name), 0.3)  # points off the grid
    optimizer = torch.optim.Adam(model.parameters(), experiment.lr)
    loss_terms = LossTerms(experiment)
    shape = (BATCH, 3, side, side)
    sample = Sample(
        blurry=torch.rand(shape),
        sharp=torch.rand(shape),
        flow_previous=8 * torch.randn(BATCH, 2, side, side),
        flow_next=8 * torch.randn(BATCH, 2, side, side),
    )

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            loss, _ = loss_terms(model, sample)
        loss.backward()
        optimizer.step()

    for _ in range(2):
        step()
    return step


def measure_parts(step: Callable[[], None], repeats: int = 3) -> dict[str, float]:
    """Divide the time of a step among its parts.

    Args:
        step: Takes one step.
        repeats: Steps that are averaged.

    Returns:
        Milliseconds of each part, and of the rest.
    """
    original = losses.position_loss

    def labelled(*arguments: Any, **options: Any) -> torch.Tensor:
        with record_function(POSITION):
            return original(*arguments, **options)

    losses.position_loss = labelled
    try:
        with profile(activities=[ProfilerActivity.CPU]) as found:
            for _ in range(repeats):
                step()
    finally:
        losses.position_loss = original
    times: Counter[str] = Counter()
    events = list(found.events())
    numbers = {e.sequence_nr for e in events if e.sequence_nr >= 0 and _is_below(e, POSITION)}
    for event in events:
        times[_part(event, numbers)] += event.self_cpu_time_total
    return {part: time / 1e3 / repeats for part, time in times.items()}


def _is_below(event: Any, label: str) -> bool:
    while event is not None and event.name != label:
        event = event.cpu_parent
    return event is not None


def _part(event: Any, position: set[int]) -> str:
    """The part of the innermost event around this one that belongs to one."""
    around, part = event, "rest"
    while around is not None:
        if around.name.startswith("autograd::engine") and around.sequence_nr in position:
            return POSITION
        named = next((part for word, part in PARTS.items() if word in around.name), None)
        if named == POSITION or (named is not None and part in ("rest", "copies")):
            part = named
        around = around.cpu_parent
    return part


def main() -> None:
    """Answer the commands on standard input, one line each."""
    torch.set_num_threads(1)
    for line in sys.stdin:
        command, size, side, precision = line.split()
        step = make_step(size, int(side), precision)
        if command == "parts":
            answer: object = measure_parts(step)
        else:
            began = time.process_time()
            step()
            answer = time.process_time() - began
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
