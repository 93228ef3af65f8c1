"""Training: an Experiment says what, `fit` does it; resumable at any step, and cached by the hash of the experiment.

Everything random in a training is a function of (seed, index): the initial weights of the seed, training item i of
(seed, i). So the state of a run is weights, optimiser and step, and a run that was killed ends with the same weights as
one that was not; with several processes each takes its share of the same global batches.
"""

import contextlib
import hashlib
import io
import json
import os
import time
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from . import losses
from .crops import TrainingCrops, remembered_scenes
from .data import collate
from .data.samples import Sample
from .data.scenes import RENDERER_VERSION
from .models import create_model, load_model, save_model
from .models.pretrained import start_from_densenet121, start_from_vgg16
from .models.registry import WEIGHTS
from .results import environment, hash_files, results_folder, write_atomically

if TYPE_CHECKING:
    from lightning_fabric import Fabric

SHIPPED_RUNS = WEIGHTS / "runs"  # finished runs that come with the library, laid out like those of results/runs


@dataclass(frozen=True)
class Experiment:
    """One training, complete: two equal experiments give the same weights. Make a changed one with `replace`."""

    model: str = "svdn"  # "reblur" learns to blur the sharp picture again (ASPDC eq. 6), all others to deblur
    variant: str = "paper"
    size: str = "full"
    options: tuple[tuple[str, object], ...] = ()  # (name, value) of the network's configuration, over those of the variant
    seed: int = 0
    start: "Experiment | None" = None  # begin with the weights that this one ends with
    pretrained: bool = False  # begin with ImageNet's weights where the paper does, if torch's cache holds them
    # data: crops of rendered scenes; a share of crops of real pairs
    scenes: int = 400
    scene_size: int = 256
    severity: float = 1.0  # factor on every motion
    blur: str = "blur"  # average encoded values ("blur") or linear light ("blur_gamma")
    photos: str = ""  # folder of sharp photographs; "" = the bundled ones
    real: str = ""  # root of a PairedFolder
    real_split: str = "train"
    real_variant: str = "blur"
    real_frames: int = 0  # use its first frames only; 0 = all
    real_share: float = 0.0
    # optimisation (SVDN section 4.2: Adam with beta2 = 0.9, polynomial decay)
    steps: int = 1000
    batch: int = 4
    accumulate: int = 1  # parts that a batch is computed in: the same step in less memory
    patch: int = 64
    lr: float = 1e-3
    lr_end: float = 1e-6
    lr_power: float = 0.9  # of the polynomial decay; 0 = constant
    halve_every: int = 0  # steps between halvings of lr, instead of the polynomial (ASPDC); 0 = never
    bias_lr: float = 1.0  # factor on the learning rate of biases (SVRNN's code: 2)
    betas: tuple[float, float] = (0.9, 0.9)
    eps: float = 1e-8
    weight_decay: float = 0.0  # coupled: added to the gradient
    clip: float = 0.0  # bound on the gradient's norm; 0 = none, as in the paper
    ema: float = 0.0  # decay of an exponential moving average of the weights, which is what the run ends with; 0 = none
    precision: str = "32-true"  # or "bf16-mixed"
    # loss (SVDN eq. 7; ASPDC eq. 7)
    perceptual: float = 0.0
    position: float = 0.0
    margin: float = 1.0
    exposure_scale: float = 1.0  # how much of a flow vector counts as blur path
    reblur: "Experiment | None" = None  # whose network, frozen, blurs the output again for the consistency loss
    consistency: float = 0.0  # lambda of the consistency loss

    @property
    def hash(self) -> str:
        """Twelve hex digits that stand for all of it, the pictures included, wherever their folders lie.

        Fields that have their default are left out, so that a new field leaves the hashes of old experiments as they are.
        """
        text = json.dumps({**_changed_fields(self), "renderer": RENDERER_VERSION}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def _changed_fields(experiment: Experiment) -> dict:
    """The fields that differ from their default, with folders replaced by a hash of what they hold, experiments by theirs."""
    values = {field.name: getattr(experiment, field.name) for field in fields(Experiment)}
    values = {field.name: values[field.name] for field in fields(Experiment) if values[field.name] != field.default}
    for name in {"photos", "real"} & set(values):
        files = [p for p in Path(values[name]).rglob("*") if p.is_file()]
        values[name] = hash_files(files, Path(values[name]))
    return values | {name: values[name].hash for name in ("start", "reblur") if name in values}


@dataclass(frozen=True)
class Run:
    """A finished training."""

    experiment: Experiment
    model: nn.Module
    log: pd.DataFrame  # one row every few steps: step, lr, each loss term, psnr of the batch, now and then of the validation
    folder: Path
    seconds: float
    cached: bool


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
            return _finished_run(experiment, finished)
    earlier = {name: fit(run, device=device, folder=runs, workers=workers, progress=progress).model
               for name in ("start", "reblur") if (run := getattr(experiment, name))}  # fmt: skip

    fabric = _fabric(device, experiment.precision)
    model = initial_model(experiment)
    if experiment.start:
        model.load_state_dict(earlier["start"].state_dict())
    model = model.train().to(memory_format=torch.channels_last)
    model, optimizer = fabric.setup(model, _adam(model, experiment))
    average = _copy(model) if experiment.ema else None
    start, seconds_before = _restore(folder, model, optimizer, average)
    batches = iter(fabric.setup_dataloaders(_loader(experiment, start, workers, fabric), use_distributed_sampler=False))
    loss_terms = LossTerms(experiment, earlier.get("reblur")).to(fabric.device)
    began, not_finite, step = time.perf_counter(), 0, start
    seconds = lambda: time.perf_counter() - began + seconds_before  # noqa: E731
    save = lambda: _checkpoint(folder, fabric, model, optimizer, average, step, seconds())  # noqa: E731
    bar = tqdm(total=experiment.steps, initial=start, desc=_title(experiment), disable=None if progress is None else not progress)
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
                    raise FloatingPointError(f"Ten losses in a row up to step {step} were not finite: lower lr or set clip.")
            step += 1
            bar.update()
            if step % 20 == 0 or step == experiment.steps:
                row = {"step": step, "lr": rate, **{name: value.item() for name, value in terms.items()}}
                if validate_every and (step % validate_every == 0 or step == experiment.steps):
                    row["validation"] = _validate(model.module, experiment, average)
                _log(folder, fabric, row)
            if step % checkpoint_every == 0 and not not_finite:
                save()
    except KeyboardInterrupt:
        save()
        raise
    bar.close()
    if fabric.is_global_zero:
        _load(model, average)
        _finish(folder, experiment, model.module, seconds(), fabric.device)
    fabric.barrier()
    return replace(_finished_run(experiment, folder), cached=False)


def _backward(fabric: "Fabric", model, loss_terms, batches, parts: int) -> tuple[dict[str, torch.Tensor], bool]:
    """Gradients of one batch, in `parts`, unless a loss is not finite: (mean of each term over parts and processes, finite)."""
    terms = {}
    for part in range(parts):
        with fabric.no_backward_sync(model, enabled=part < parts - 1) if fabric.world_size > 1 else contextlib.nullcontext():
            loss, now = loss_terms(model, next(batches))
            now = {"loss": loss.detach(), **now}
            finite = torch.isfinite(now["loss"])
            if fabric.world_size > 1:  # all processes take the same decision
                finite = fabric.all_reduce(finite.float(), reduce_op="mean") == 1
                now = {name: fabric.all_reduce(value, reduce_op="mean") for name, value in now.items()}
            if not finite:
                for _ in range(part + 1, parts):
                    next(batches)
                return now, False
            fabric.backward(loss / parts)
            terms = {name: terms.get(name, 0) + value / parts for name, value in now.items()}
    return terms, True


class LossTerms(nn.Module):
    """L = L_pixel + lambda1 L_percep + lambda2 L_position (SVDN eq. 7) + lambda L_reblurring (ASPDC eq. 7), and the terms
    by name, unweighted. `network` is the reblurring one of the last term; it is frozen."""

    def __init__(self, experiment: Experiment, network: nn.Module | None = None):
        super().__init__()
        self.experiment = experiment
        self.perceptual = losses.PerceptualLoss() if experiment.perceptual else None
        self.network = network.requires_grad_(False) if network else None

    def forward(self, model: nn.Module, batch: Sample) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        chosen, extras = self.experiment, {}
        blurry, target = (batch.blurry, batch.sharp)
        if chosen.model == "reblur":
            output, target = model(blurry, batch.sharp), blurry
        elif chosen.position:
            output, extras = model(blurry, return_extras=True)
        else:
            output = model(blurry)
        output = output.float()
        terms = {"pixel": losses.pixel_loss(output, target)}
        if chosen.perceptual:
            terms["perceptual"] = self.perceptual(output, target)
        if chosen.position:
            offset = extras["offset"].float()
            flows = (chosen.exposure_scale * flow for flow in (batch.flow_previous, batch.flow_next))
            flows = (losses.flow_to_features(flow, offset.shape[-2:]) for flow in flows)
            terms["position"] = losses.position_loss(offset, *flows, margin=chosen.margin)
        if chosen.consistency:
            terms["consistency"] = losses.pixel_loss(self.network(blurry, output), blurry)
        weights = {"pixel": 1.0} | {name: getattr(chosen, name) for name in ("perceptual", "position", "consistency")}
        total = sum(weights[name] * term for name, term in terms.items())
        return total, {name: term.detach() for name, term in terms.items()}


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
        model = create_model(experiment.model, experiment.variant, size=experiment.size, **dict(experiment.options))
    if experiment.pretrained:
        {"svrnn": start_from_vgg16, "radn": start_from_densenet121}[experiment.model](model)
    return model


def _adam(model, experiment: Experiment) -> torch.optim.Adam:
    biases = [p for name, p in model.named_parameters() if name.endswith("bias") and experiment.bias_lr != 1]
    others = [p for p in model.parameters() if all(p is not bias for bias in biases)]
    groups = [{"params": params, "factor": factor} for params, factor in ((others, 1.0), (biases, experiment.bias_lr)) if params]
    options = {"betas": experiment.betas, "eps": experiment.eps, "weight_decay": experiment.weight_decay}
    return torch.optim.Adam(groups, lr=experiment.lr, **options)


def _validate(model, experiment: Experiment, average) -> float:
    """Mean PSNR in dB of the network (of the averaged weights, if there are any) on eight scenes of held-out photographs."""
    from .evaluation import predict, psnr, task

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
    items = range(start * experiment.batch + fabric.global_rank, experiment.steps * experiment.batch, fabric.world_size)
    return DataLoader(
        TrainingCrops(experiment), experiment.batch // share, sampler=items, collate_fn=collate,
        num_workers=workers, persistent_workers=workers > 0,
    )  # fmt: skip


# ---------------------------------------------------------------------------------------------------------------------
# The folder of a run


def _restore(folder: Path, model, optimizer, average) -> tuple[int, float]:
    """Take up a checkpoint, if there is one: (step, seconds so far). The log is cut back to that step."""
    file, log = folder / "checkpoint.pt", folder / "log.jsonl"
    state = torch.load(file, map_location="cpu", weights_only=True) if file.is_file() else {"step": 0, "seconds": 0.0}
    if state["step"]:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        for kept, value in zip(average or (), state["average"] or (), strict=True):
            kept.copy_(value)
    if log.is_file():
        rows = [line for line in log.read_text().splitlines() if line.endswith("}")]
        write_atomically(log, "".join(line + "\n" for line in rows if json.loads(line)["step"] <= state["step"]))
    return state["step"], state["seconds"]


def _checkpoint(folder: Path, fabric: "Fabric", model, optimizer, average, step: int, seconds: float) -> None:
    if fabric.is_global_zero:
        buffer, state = io.BytesIO(), {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "average": average}
        torch.save({**state, "step": step, "seconds": seconds}, buffer)
        write_atomically(folder / "checkpoint.pt", buffer.getvalue())


def _log(folder: Path, fabric: "Fabric", row: dict) -> None:
    if fabric.is_global_zero:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "log.jsonl").open("a") as log:
            log.write(json.dumps(row) + "\n")


def _finish(folder: Path, experiment: Experiment, model, seconds: float, device) -> None:
    record = {"experiment": asdict(experiment), "hash": experiment.hash, "seconds": round(seconds, 1), "device": str(device)}
    write_atomically(folder / "experiment.json", json.dumps(record | environment(), indent=1) + "\n")
    save_model(model, folder / "model.safetensors", record)
    (folder / "checkpoint.pt").unlink(missing_ok=True)


def _finished_run(experiment: Experiment, folder: Path) -> Run:
    model = load_model(experiment.model, folder / "model.safetensors")
    log = pd.read_json(folder / "log.jsonl", lines=True)
    log["psnr"] = -10 * np.log10(2 * log["pixel"])  # of the training batch
    seconds = json.loads((folder / "experiment.json").read_text())["seconds"]
    return Run(experiment, model, log, folder, seconds, cached=True)


def _fabric(device, precision: str) -> "Fabric":
    from lightning_fabric import Fabric  # imported here, since it takes seconds

    processes, here = (int(os.environ.get(name, 1)) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))  # torchrun's
    options = {"devices": here, "num_nodes": processes // here, "strategy": "ddp"} if processes > 1 else {"devices": 1}
    accelerator = "auto" if device == "auto" else torch.device(device).type
    fabric = Fabric(accelerator=accelerator, precision=precision, **options)
    fabric.launch()
    return fabric


def _title(experiment: Experiment) -> str:
    return f"{experiment.model} {experiment.variant} {experiment.size} seed {experiment.seed}"
