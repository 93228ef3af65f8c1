"""Training: an Experiment says what, `fit` does it; resumable at any step, and cached by the hash of the experiment.

Everything random in a training is a function of (seed, index): the initial weights of the seed, training item i of
(seed, i). So the state of a run is weights, optimiser and step, and a run that was killed ends with the same weights as
one that was not.
"""

import hashlib
import io
import json
import os
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

from . import losses
from .data import PairedFolder, SceneDataset, augment, collate, neighbour_flows, random_crop
from .data.samples import Sample
from .data.scenes import RENDERER_VERSION
from .models import create_model, load_model, save_model
from .results import environment, hash_files, results_folder, write_atomically

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(frozen=True)
class Experiment:
    """One training, complete: two equal experiments give the same weights. Make a changed one with `replace`."""

    model: str = "svdn"
    variant: str = "paper"
    size: str = "full"
    seed: int = 0
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
    patch: int = 64
    lr: float = 1e-3
    lr_end: float = 1e-6
    lr_power: float = 0.9
    betas: tuple[float, float] = (0.9, 0.9)
    clip: float = 0.0  # bound on the gradient's norm; 0 = none, as in the paper
    precision: str = "32-true"  # or "bf16-mixed"
    # loss (SVDN eq. 7)
    perceptual: float = 0.0
    position: float = 0.0
    margin: float = 1.0
    exposure_scale: float = 1.0  # how much of a flow vector counts as blur path

    @property
    def hash(self) -> str:
        """Twelve hex digits that stand for all of it, the pictures' names included, wherever their folders lie."""
        fields = asdict(self)
        for folder in ("photos", "real"):
            if fields[folder]:
                files = [p for p in Path(fields[folder]).rglob("*") if p.is_file()]
                fields[folder] = hash_files(files, Path(fields[folder]))
        text = json.dumps({**fields, "renderer": RENDERER_VERSION}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Run:
    """A finished training."""

    experiment: Experiment
    model: nn.Module
    log: pd.DataFrame  # one row every few steps: step, lr, each loss term, psnr of the batch
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
    progress: bool | None = None,
) -> Run:
    """Train a network and return it with its log; a finished or interrupted run of the same experiment is taken up again.

    folder: where runs are kept (default: results/runs), each under its hash: experiment.json, log.jsonl, and
    model.safetensors or, while unfinished, checkpoint.pt. resume=False starts afresh.
    Errors: FloatingPointError when ten losses in a row are not finite; the last good checkpoint is kept.
    """
    folder = (Path(folder) if folder else results_folder() / "runs") / experiment.hash
    if not resume:
        for file in folder.glob("*"):
            file.unlink()
    if (folder / "model.safetensors").is_file():
        return _finished_run(experiment, folder)

    fabric = _fabric(device, experiment.precision)
    model = initial_model(experiment).to(memory_format=torch.channels_last)
    model, optimizer = fabric.setup(model, torch.optim.Adam(model.parameters(), lr=experiment.lr, betas=experiment.betas))
    start, seconds_before = _restore(folder, model, optimizer)
    batches = fabric.setup_dataloaders(_loader(experiment, start, workers, fabric), use_distributed_sampler=False)
    loss_terms = LossTerms(experiment).to(fabric.device)
    seconds = lambda: time.perf_counter() - began + seconds_before  # noqa: E731
    began, step, not_finite = time.perf_counter(), start, 0
    try:
        for batch in tqdm(batches, desc=_title(experiment), disable=None if progress is None else not progress):
            learning_rate = polynomial_decay(step, experiment)
            optimizer.param_groups[0]["lr"] = learning_rate
            optimizer.zero_grad(set_to_none=True)
            loss, terms = loss_terms(model, batch)
            if torch.isfinite(loss):
                not_finite = 0
                fabric.backward(loss)
                if experiment.clip:
                    fabric.clip_gradients(model, optimizer, max_norm=experiment.clip)
                optimizer.step()
            else:  # skip this step; the weights stay as they were
                not_finite += 1
                if not_finite == 10:
                    raise FloatingPointError(f"Ten losses in a row up to step {step} were not finite: lower lr or set clip.")
            step += 1
            if step % 20 == 0 or step == experiment.steps:
                _log(folder, fabric, {"step": step, "lr": learning_rate, "loss": loss.item(), **terms})
            if step % checkpoint_every == 0 and not not_finite:
                _checkpoint(folder, fabric, model, optimizer, step, seconds())
    except KeyboardInterrupt:
        _checkpoint(folder, fabric, model, optimizer, step, seconds())
        raise
    if fabric.is_global_zero:
        _finish(folder, experiment, model.module, seconds(), fabric.device)
    fabric.barrier()
    return replace(_finished_run(experiment, folder), cached=False)


class LossTerms(nn.Module):
    """L = L_pixel + lambda1 L_percep + lambda2 L_position (SVDN eq. 7), and the terms by name, unweighted."""

    def __init__(self, experiment: Experiment):
        super().__init__()
        self.experiment = experiment
        self.perceptual = losses.PerceptualLoss() if experiment.perceptual else None

    def forward(self, model: nn.Module, batch: Sample) -> tuple[torch.Tensor, dict[str, float]]:
        chosen = self.experiment
        if chosen.position:
            output, extras = model(batch.blurry, return_extras=True)
        else:
            output = model(batch.blurry)
        output = output.float()
        terms = {"pixel": losses.pixel_loss(output, batch.sharp)}
        if chosen.perceptual:
            terms["perceptual"] = self.perceptual(output, batch.sharp)
        if chosen.position:
            offset = extras["offset"].float()
            flows = (chosen.exposure_scale * flow for flow in (batch.flow_previous, batch.flow_next))
            flows = (losses.flow_to_features(flow, offset.shape[-2:]) for flow in flows)
            terms["position"] = losses.position_loss(offset, *flows, margin=chosen.margin)
        weights = {"pixel": 1.0, "perceptual": chosen.perceptual, "position": chosen.position}
        total = sum(weights[name] * term for name, term in terms.items())
        return total, {name: term.item() for name, term in terms.items()}


def polynomial_decay(step: int, experiment: Experiment) -> float:
    """lr(s) = (lr0 - lr_end) (1 - s/S)^power + lr_end (SVDN section 4.2; by step here, by epoch there)."""
    left = 1 - step / experiment.steps
    return (experiment.lr - experiment.lr_end) * left**experiment.lr_power + experiment.lr_end


def initial_model(experiment: Experiment) -> nn.Module:
    """The untrained network of an experiment: a function of its seed, whatever was drawn before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(experiment.seed)
        return create_model(experiment.model, experiment.variant, size=experiment.size)


# ---------------------------------------------------------------------------------------------------------------------
# Data: item i is a crop that depends on (seed, i) alone


class TrainingCrops(Dataset):
    """Augmented crops, endless: item i draws its picture, window, flips, quarter turns and channel order from (seed, i)."""

    def __init__(self, experiment: Experiment):
        self.experiment = chosen = experiment
        options = {"seed": chosen.seed, "variant": chosen.blur, "photos": chosen.photos or None, "severity": chosen.severity}
        self.scenes = Remembered(SceneDataset("train", chosen.scenes, chosen.scene_size, **options))
        self.real = None
        if chosen.real_share:
            pairs = PairedFolder(chosen.real, chosen.real_split, chosen.real_variant)
            self.real = Remembered(WithFlow(pairs, chosen.real_frames or len(pairs), wanted=bool(chosen.position)))

    def __len__(self):
        return self.experiment.steps * self.experiment.batch

    def __getitem__(self, index: int) -> Sample:
        rng = np.random.default_rng((self.experiment.seed, index, 2))
        source = self.real if rng.random() < self.experiment.real_share else self.scenes
        sample = source[int(rng.integers(len(source)))]
        return augment(random_crop(sample, self.experiment.patch, rng), rng)


class WithFlow(Dataset):
    """The first `count` samples of a data set, with DIS flow to their neighbours where it is wanted."""

    def __init__(self, dataset: Dataset, count: int, wanted: bool):
        self.dataset, self.count, self.wanted = dataset, count, wanted

    def __len__(self):
        return self.count

    def __getitem__(self, index: int) -> Sample:
        sample = self.dataset[index]
        if not self.wanted:
            return sample
        return replace(sample, **dict(zip(("flow_previous", "flow_next"), neighbour_flows(sample), strict=True)))


class Remembered(Dataset):
    """A data set whose items are made once and kept in memory: pictures in 8 bits, flows in half precision.

    The neighbouring frames are dropped: training needs their flow, not their pixels.
    """

    def __init__(self, dataset: Dataset):
        self.dataset, self.kept = dataset, {}

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        if index not in self.kept:
            sample = self.dataset[index]
            pictures = {name: (getattr(sample, name) * 255).round().to(torch.uint8) for name in ("blurry", "sharp")}
            flows = {name: getattr(sample, name) for name in ("flow_previous", "flow_next")}
            self.kept[index] = sample.name, pictures, {k: v.half() for k, v in flows.items() if v is not None}
        name, pictures, flows = self.kept[index]
        return Sample(name=name, **{k: v.float() / 255 for k, v in pictures.items()}, **{k: v.float() for k, v in flows.items()})


def _loader(experiment: Experiment, start: int, workers: int, fabric: "Fabric") -> DataLoader:
    """Batches from step `start` on; with several processes each takes every n-th item of the same global batches."""
    if experiment.batch % fabric.world_size:
        raise ValueError(f"A batch of {experiment.batch} cannot be split over {fabric.world_size} processes: choose a multiple.")
    items = range(start * experiment.batch + fabric.global_rank, experiment.steps * experiment.batch, fabric.world_size)
    return DataLoader(
        TrainingCrops(experiment), experiment.batch // fabric.world_size, sampler=items, collate_fn=collate,
        num_workers=workers, persistent_workers=workers > 0,
    )  # fmt: skip


# ---------------------------------------------------------------------------------------------------------------------
# The folder of a run


def _restore(folder: Path, model, optimizer) -> tuple[int, float]:
    """Take up a checkpoint, if there is one: (step, seconds so far). The log is cut back to that step."""
    file, log = folder / "checkpoint.pt", folder / "log.jsonl"
    state = torch.load(file, map_location="cpu", weights_only=True) if file.is_file() else {"step": 0, "seconds": 0.0}
    if state["step"]:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    if log.is_file():
        rows = [line for line in log.read_text().splitlines() if line.endswith("}")]
        write_atomically(log, "".join(line + "\n" for line in rows if json.loads(line)["step"] <= state["step"]))
    return state["step"], state["seconds"]


def _checkpoint(folder: Path, fabric: "Fabric", model, optimizer, step: int, seconds: float) -> None:
    if fabric.is_global_zero:
        buffer = io.BytesIO()
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "seconds": seconds}, buffer)
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

    accelerator = "auto" if device == "auto" else torch.device(device).type
    fabric = Fabric(accelerator=accelerator, devices="auto" if "WORLD_SIZE" in os.environ else 1, precision=precision)
    fabric.launch()
    return fabric


def _title(experiment: Experiment) -> str:
    return f"{experiment.model} {experiment.variant} {experiment.size} seed {experiment.seed}"
