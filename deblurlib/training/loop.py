"""Training: an Experiment says what, `fit` does it; resumable at any step, and cached by the hash of the experiment.

Everything random in a training is a function of (seed, index): the initial weights of the seed, training item i of
(seed, i). So the state of a run is weights, optimiser and step, and a run that was killed ends with the same weights as
one that was not; with several processes each takes its share of the same global batches.
"""

import contextlib
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from ..data import collate
from ..models import create_model, spec_of
from ..results import results_folder
from .crops import TrainingCrops, remembered_scenes
from .experiment import Experiment
from .objective import LossTerms
from .runs import (
    SHIPPED_RUNS,
    Run,
    append_to_log,
    finish,
    finished_run,
    restore_checkpoint,
    save_checkpoint,
)

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def fit(
    experiment: Experiment,
    resume: bool = True,
    *,
    device: str | torch.device = "auto",
    folder: str | Path = "",
    workers: int = 0,
    checkpoint_every: int = 200,
    validate_every: int = 0,
    progress: bool | None = None,
) -> Run:
    """Train a network and return it with its log; a finished or interrupted run of the same experiment is taken up again.

    folder: where runs are kept (default: results/runs), each under its hash: experiment.json, log.jsonl, and
    model.safetensors or, while unfinished, checkpoint.pt. Some finished runs ship with the library and are found too;
    resume=False starts afresh. workers: processes that render scenes.
    validate_every: steps between measurements on eight scenes of the validation photographs, for the log's curve; 0 = none.
    Under `torchrun` the processes share each batch. Runs that `start` and `reblur` name are trained first.
    Errors: FloatingPointError when ten losses in a row are not finite; the last good checkpoint is kept.
    """
    runs = Path(folder) if folder else results_folder() / "runs"
    folder = runs / experiment.hash
    if not resume:
        for file in folder.glob("*"):
            file.unlink()
    for finished in (folder, SHIPPED_RUNS / experiment.hash) if resume else ():
        if (finished / "model.safetensors").is_file():
            return finished_run(experiment, finished)
    earlier = {
        name: fit(run, device=device, folder=runs, workers=workers, progress=progress).model
        for name in ("start", "reblur")
        if (run := getattr(experiment, name))
    }

    fabric = _fabric(device, experiment.precision)
    model = initial_model(experiment)
    if experiment.start:
        model.load_state_dict(earlier["start"].state_dict())
    model = model.train().to(memory_format=torch.channels_last)
    model, optimizer = fabric.setup(model, _adam(model, experiment))
    average = _copy(model) if experiment.ema else None
    start, seconds_before = restore_checkpoint(folder, model, optimizer, average)
    batches = iter(
        fabric.setup_dataloaders(
            _loader(experiment, start, workers, fabric), use_distributed_sampler=False
        )
    )
    loss_terms = LossTerms(experiment, earlier.get("reblur")).to(fabric.device)
    began, not_finite, step = time.perf_counter(), 0, start
    seconds = lambda: time.perf_counter() - began + seconds_before  # noqa: E731
    save = lambda: save_checkpoint(folder, fabric, model, optimizer, average, step, seconds())  # noqa: E731
    bar = tqdm(
        total=experiment.steps,
        initial=start,
        desc=_title(experiment),
        disable=None if progress is None else not progress,
    )
    try:
        while step < experiment.steps:
            rate = learning_rate(step, experiment)
            for group in optimizer.param_groups:
                group["lr"] = rate * group["factor"]
            optimizer.zero_grad(set_to_none=True)
            terms, finite = _backward(fabric, model, loss_terms, batches, experiment.accumulate)
            if finite:
                not_finite = 0
                if experiment.clip:
                    fabric.clip_gradients(model, optimizer, max_norm=experiment.clip)
                optimizer.step()
                if average:
                    torch._foreach_lerp_(average, list(model.parameters()), 1 - experiment.ema)
            else:  # skip this step; the weights stay as they were
                not_finite += 1
                if not_finite == 10:
                    raise FloatingPointError(
                        f"Ten losses in a row up to step {step} were not finite: lower lr or set clip."
                    )
            step += 1
            bar.update()
            if step % 20 == 0 or step == experiment.steps:
                row = {
                    "step": step,
                    "lr": rate,
                    **{name: value.item() for name, value in terms.items()},
                }
                if validate_every and (step % validate_every == 0 or step == experiment.steps):
                    row["validation"] = _validate(model.module, experiment, average)
                append_to_log(folder, fabric, row)
            if step % checkpoint_every == 0 and not not_finite:
                save()
    except KeyboardInterrupt:
        save()
        raise
    bar.close()
    if fabric.is_global_zero:
        _load(model, average)
        finish(folder, experiment, model.module, seconds(), fabric.device)
    fabric.barrier()
    return replace(finished_run(experiment, folder), cached=False)


def _backward(
    fabric: "Fabric", model, loss_terms, batches, parts: int
) -> tuple[dict[str, torch.Tensor], bool]:
    """Gradients of one batch, in `parts`, unless a loss is not finite: (mean of each term over parts and processes, finite)."""
    terms = {}
    for part in range(parts):
        with (
            fabric.no_backward_sync(model, enabled=part < parts - 1)
            if fabric.world_size > 1
            else contextlib.nullcontext()
        ):
            loss, now = loss_terms(model, next(batches))
            now = {"loss": loss.detach(), **now}
            finite = torch.isfinite(now["loss"])
            if fabric.world_size > 1:  # all processes take the same decision
                finite = fabric.all_reduce(finite.float(), reduce_op="mean") == 1
                now = {
                    name: fabric.all_reduce(value, reduce_op="mean") for name, value in now.items()
                }
            if not finite:
                for _ in range(part + 1, parts):
                    next(batches)
                return now, False
            fabric.backward(loss / parts)
            terms = {name: terms.get(name, 0) + value / parts for name, value in now.items()}
    return terms, True


def learning_rate(step: int, experiment: Experiment) -> float:
    """Polynomial decay lr(s) = (lr0 - lr_end) (1 - s/S)^power + lr_end (SVDN section 4.2; by step here, by epoch there), or
    lr0 / 2^floor(s / halve_every) (ASPDC section 4.2)."""
    if experiment.halve_every:
        return experiment.lr / 2 ** (step // experiment.halve_every)
    left = 1 - step / experiment.steps
    return (experiment.lr - experiment.lr_end) * left**experiment.lr_power + experiment.lr_end


def initial_model(experiment: Experiment) -> nn.Module:
    """The untrained network of an experiment: a function of its seed, whatever was drawn before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(experiment.seed)
        model = create_model(
            experiment.model, experiment.variant, size=experiment.size, **dict(experiment.options)
        )
    if experiment.pretrained:
        start_pretrained = spec_of(experiment.model).start_pretrained
        if start_pretrained is None:
            raise ValueError(f"{experiment.model} has no ImageNet weights to start from.")
        start_pretrained(model)
    return model


def _adam(model, experiment: Experiment) -> torch.optim.Adam:
    biases = [
        p
        for name, p in model.named_parameters()
        if name.endswith("bias") and experiment.bias_lr != 1
    ]
    others = [p for p in model.parameters() if all(p is not bias for bias in biases)]
    groups = [
        {"params": params, "factor": factor}
        for params, factor in ((others, 1.0), (biases, experiment.bias_lr))
        if params
    ]
    options = {
        "betas": experiment.betas,
        "eps": experiment.eps,
        "weight_decay": experiment.weight_decay,
    }
    return torch.optim.Adam(groups, lr=experiment.lr, **options)


def _validate(model, experiment: Experiment, average) -> float:
    """Mean PSNR in dB of the network (of the averaged weights, if there are any) on eight scenes of held-out photographs."""
    from ..evaluation import predict, psnr, task

    options = {"seed": 0, "variant": experiment.blur, "severity": experiment.severity}
    scenes, current = remembered_scenes("validation", 8, 128, **options), _copy(model)
    _load(model, average)
    values = []
    for sample in (scenes[i] for i in range(len(scenes))):
        pictures, target = task(model, sample)
        values.append(psnr(predict(model, *pictures), target))
    _load(model, current)
    return float(np.mean(values))


def _copy(model) -> list[torch.Tensor]:
    return [p.detach().clone() for p in model.parameters()]


@torch.no_grad()
def _load(model, weights: list[torch.Tensor] | None) -> None:
    for parameter, value in zip(model.parameters(), weights or (), strict=bool(weights)):
        parameter.copy_(value)


def _loader(experiment: Experiment, start: int, workers: int, fabric: "Fabric") -> DataLoader:
    """Parts of batches from step `start` on; with several processes each takes every n-th item of the same global batches."""
    share = fabric.world_size * experiment.accumulate
    if experiment.batch % share:
        raise ValueError(
            f"A batch of {experiment.batch} cannot be split over {fabric.world_size} processes and {experiment.accumulate} "
            "parts: choose a multiple of their product."
        )
    items = range(
        start * experiment.batch + fabric.global_rank,
        experiment.steps * experiment.batch,
        fabric.world_size,
    )
    return DataLoader(
        TrainingCrops(experiment),
        experiment.batch // share,
        sampler=items,
        collate_fn=collate,
        num_workers=workers,
        persistent_workers=workers > 0,
    )


# ---------------------------------------------------------------------------------------------------------------------
# The folder of a run


def _fabric(device, precision: str) -> "Fabric":
    from lightning_fabric import Fabric  # imported here, since it takes seconds

    processes, here = (
        int(os.environ.get(name, 1)) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE")
    )  # torchrun's
    options = (
        {"devices": here, "num_nodes": processes // here, "strategy": "ddp"}
        if processes > 1
        else {"devices": 1}
    )
    accelerator = "auto" if device == "auto" else torch.device(device).type
    fabric = Fabric(accelerator=accelerator, precision=precision, **options)
    fabric.launch()
    return fabric


def _title(experiment: Experiment) -> str:
    return f"{experiment.model} {experiment.variant} {experiment.size} seed {experiment.seed}"
