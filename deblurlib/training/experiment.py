"""An Experiment describes one training completely; its hash names the run."""

import hashlib
import json
import math
from dataclasses import dataclass, fields
from numbers import Real
from pathlib import Path
from typing import Literal

from ..data import PairedFolder
from ..data.camera import CAMERA_VERSION, find_camera
from ..data.pairing import find_pictures
from ..data.photographs import is_collection
from ..data.scenes import RENDERER_VERSION, RESPONSE
from ..models.devices import multiplies_bf16
from ..models.weights import find_weights
from ..provenance import hash_files
from ..results import whole_seed

# Raise it when an equal Experiment trains to other weights, so that old runs are not taken for new.
TRAINING_VERSION = 1


@dataclass(frozen=True)
class Experiment:
    """A complete description of one training: two equal experiments give the same weights.

    Use `dataclasses.replace` to vary one. `None` in a field means "not given".

    Attributes:
        model: The network's name. "reblur" learns to blur the sharp image again (ASPDC eq. 6);
            all others learn to deblur.
        variant: The network's variant.
        size: Its width, "full" or "small".
        options: (name, value) pairs of the network's configuration that override the variant's.
        seed: Determines initial weights, scenes and crops.
        start: Experiment whose final weights this training starts from.
        start_weights: File of weights that this training starts from, or "default" for those that
            ship with the library.
        pretrained: Start from ImageNet weights, if they are in torch's cache (SVRNN and RADN).
        scenes: Number of rendered scenes that training crops are taken from.
        scene_size: Side of a scene in pixels.
        severity: Factor on every motion.
        blur: "blur" averages encoded values, "blur_gamma" averages linear light.
        camera: Camera model that the scenes pass through, such as "real"; None for none.
        photos: Folder of sharp photographs to render; None uses the bundled ones.
        real: Root of a `PairedFolder` of real pairs.
        real_split: Its split; None is "train" or, in a data set without splits, all pairs.
        real_variant: Its variant, "blur" or "blur_gamma"; None is the one that it has.
        real_frames: Use only its first frames; None uses all of them.
        skip_bad: Leave out real pairs that are unreadable, smaller than a crop or of two sizes,
            rather than raise an error.
        real_share: Fraction of crops that come from real pairs.
        steps: Optimiser steps.
        batch: Crops per step.
        accumulate: Number of parts a batch is split into: the same step in less memory.
        patch: Side of a crop in pixels.
        lr: Initial learning rate of Adam. The defaults follow SVDN section 4.2: beta2 = 0.9 and
            polynomial decay.
        lr_end: Final learning rate of the polynomial decay.
        lr_power: Power of the polynomial decay; 0 keeps the rate constant.
        warmup: Steps over which the learning rate first rises linearly.
        decay_from: Fraction of the steps after which the polynomial decay begins.
        halve_every: Steps between halvings of the learning rate, which then replace the
            polynomial decay (ASPDC section 4.2).
        bias_lr: Factor on the learning rate of biases (2 in SVRNN's code).
        betas: Adam's decay rates of the first and second moment.
        eps: Adam's epsilon.
        weight_decay: Coupled weight decay: added to the gradient.
        clip: Bound on the norm of the gradient; None, as in the paper, does not clip.
        ema: Decay of an exponential moving average of the weights, which the run ends with;
            0 is the weights themselves.
        precision: "32-true", or "bf16-mixed" for autocast. "auto" becomes "bf16-mixed" on a GPU or
            processor that multiplies bf16 in hardware and "32-true" elsewhere, so that the
            resolved value enters hash and record.
        pixel: Weight of the pixel loss (1 in all papers).
        psnr: Weight of the PSNR loss, which is in dB; ours.
        perceptual: Weight of the VGG-16 loss (lambda1 of SVDN eq. 7).
        position: Weight of the position loss (lambda2 of SVDN eq. 7).
        margin: Its margin M in feature pixels.
        exposure_scale: Fraction of a flow vector that counts as the blur path.
        reblur: Experiment of the reblurring network that, frozen, blurs the output again for the
            consistency loss.
        consistency: Weight of the consistency loss (lambda of ASPDC eq. 7).

    Raises:
        ValueError: If a field has an invalid value.
    """

    model: str = "svdn"
    variant: str = "paper"
    size: str = "full"
    options: tuple[tuple[str, object], ...] = ()
    seed: int = 0
    start: "Experiment | None" = None
    start_weights: str | None = None
    pretrained: bool = False
    # data
    scenes: int = 400
    scene_size: int = 256
    severity: float = 1.0
    blur: str = "blur"
    camera: str | None = None
    photos: str | None = None
    real: str | None = None
    real_split: str | None = None
    real_variant: str | None = None
    real_frames: int | None = None
    real_share: float = 0.0
    skip_bad: bool = False
    # optimisation
    steps: int = 1000
    batch: int = 4
    accumulate: int = 1
    patch: int = 64
    lr: float = 1e-3
    lr_end: float = 1e-6
    lr_power: float = 0.9
    warmup: int = 0
    decay_from: float = 0.0
    halve_every: int | None = None
    bias_lr: float = 1.0
    betas: tuple[float, float] = (0.9, 0.9)
    eps: float = 1e-8
    weight_decay: float = 0.0
    clip: float | None = None
    ema: float = 0.0
    precision: Literal["auto", "32-true", "bf16-mixed"] = "32-true"
    # loss
    pixel: float = 1.0
    psnr: float = 0.0
    perceptual: float = 0.0
    position: float = 0.0
    margin: float = 1.0
    exposure_scale: float = 1.0
    reblur: "Experiment | None" = None
    consistency: float = 0.0

    def __post_init__(self) -> None:
        for name, sentinel in _FORMERLY_NOT_GIVEN.items():
            if getattr(self, name) == sentinel:
                object.__setattr__(self, name, None)
        if self.precision == "auto":
            object.__setattr__(self, "precision", native_precision())
        _check_values(self)
        _check_combinations(self)

    @property
    def pairs(self) -> PairedFolder | None:
        """The real pairs that it trains on, with neighbours if the position loss needs them.

        Raises:
            ValueError: If `real` is not a data set with that split and variant.
        """
        if self.real is None:
            return None
        return PairedFolder.for_training(
            self.real, self.real_split, self.real_variant, neighbours=bool(self.position)
        )

    @property
    def hash(self) -> str:
        """Twelve hex digits that identify the experiment, including the contents of its folders.

        Folders count by the names and contents of the images that the training can use (of
        `real`, those of the split and variant), not by where they are. Fields at their default
        are left out, so adding a field keeps the hashes of existing experiments.

        Raises:
            ValueError: If `real` is not a data set with that split and variant.
        """
        described = {**_changed_fields(self), "renderer": RENDERER_VERSION}
        if TRAINING_VERSION != 1:
            described["training"] = TRAINING_VERSION
        text = json.dumps(described, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


# Hashes leave these values out, as when they were the defaults.
_FORMER_DEFAULTS = {"real_split": "train", "real_variant": "blur"}


def native_precision() -> Literal["32-true", "bf16-mixed"]:
    """Choose the precision that this machine trains fastest in.

    Returns:
        "bf16-mixed" if the GPU or, without one, the processor multiplies bf16 in hardware
        (AVX512-BF16 or AMX), otherwise "32-true".
    """
    return "bf16-mixed" if multiplies_bf16() else "32-true"


# Records written before these fields could be None mark "not given" like this.
_FORMERLY_NOT_GIVEN = {"photos": "", "real": "", "real_frames": 0, "halve_every": 0, "clip": 0.0}

_CHOICES = {
    "size": ("full", "small"),
    "blur": tuple(RESPONSE),
    "precision": ("32-true", "bf16-mixed"),  # "auto" has become one of them
}
_COUNTS = (
    "scenes",
    "scene_size",
    "real_frames",
    "steps",
    "batch",
    "accumulate",
    "patch",
    "halve_every",
)
_OPTIONAL_COUNTS = ("real_frames", "halve_every")
_NOT_NEGATIVE = (
    "severity",
    "lr",
    "lr_end",
    "lr_power",
    "warmup",
    "bias_lr",
    "eps",
    "weight_decay",
    "pixel",
    "psnr",
    "perceptual",
    "position",
    "margin",
    "exposure_scale",
    "consistency",
)


def _check_values(experiment: Experiment) -> None:
    whole_seed(experiment.seed)
    for name, choices in _CHOICES.items():
        value = getattr(experiment, name)
        _require(value in choices, name, value, f"use one of {', '.join(choices)}")
    for name in _COUNTS:
        value = getattr(experiment, name)
        absent = value is None and name in _OPTIONAL_COUNTS
        valid = absent or (isinstance(value, int) and value >= 1)
        _require(valid, name, value, "give a whole number of at least 1")
    for name in _NOT_NEGATIVE:
        value = getattr(experiment, name)
        _require(
            _is_number(value) and 0 <= value < math.inf,
            name,
            value,
            "give a finite number of at least 0",
        )
    share, ema, betas, clip = (
        getattr(experiment, name) for name in ("real_share", "ema", "betas", "clip")
    )
    valid = _is_number(share) and 0 <= share <= 1
    _require(valid, "real_share", share, "give a fraction from 0 to 1")
    begin = experiment.decay_from
    valid = _is_number(begin) and 0 <= begin < 1
    _require(valid, "decay_from", begin, "give a fraction of at least 0 and less than 1")
    valid = _is_number(ema) and 0 <= ema < 1
    _require(valid, "ema", ema, "give a decay of at least 0 and less than 1")
    pair = isinstance(betas, tuple | list) and len(betas) == 2
    valid = pair and all(_is_number(beta) and 0 <= beta < 1 for beta in betas)
    _require(valid, "betas", betas, "give two numbers of at least 0 and less than 1")
    valid = clip is None or (_is_number(clip) and 0 < clip < math.inf)
    _require(valid, "clip", clip, "give a positive number, or None for no bound")


def _check_combinations(experiment: Experiment) -> None:
    if experiment.camera is not None:
        find_camera(experiment.camera)
    start, reblur = experiment.start, experiment.reblur
    if experiment.real_share and experiment.real is None:
        share = experiment.real_share
        _require(False, "real_share", share, "also give the folder of real pairs as real")
    if experiment.consistency and reblur is None:
        weight = experiment.consistency
        _require(False, "consistency", weight, "also give the reblurring network as reblur")
    if reblur is not None:
        valid = reblur.model == "reblur"
        _require(valid, "reblur.model", reblur.model, "give an experiment of the network 'reblur'")
    weights = experiment.start_weights
    if weights is not None and (start is not None or experiment.pretrained):
        hint = "leave out start and pretrained, which it replaces"
        _require(False, "start_weights", weights, hint)
    if start is not None:
        for name in ("model", "size"):
            mine, its = getattr(experiment, name), getattr(start, name)
            _require(mine == its, f"start.{name}", its, f"give an experiment with {mine!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _require(valid: bool, name: str, value: object, hint: str) -> None:
    if not valid:
        raise ValueError(f"{name} is {value!r}: {hint}.")


def _changed_fields(experiment: Experiment) -> dict[str, object]:
    """The fields that differ from their defaults, with folders and experiments hashed."""
    changed = {
        field.name: value
        for field in fields(Experiment)
        if (value := getattr(experiment, field.name)) != field.default
    }
    if experiment.camera is not None:
        changed["camera"] = f"{experiment.camera} {CAMERA_VERSION}"
    if experiment.photos is not None and not is_collection(experiment.photos):
        folder = Path(experiment.photos)
        changed["photos"] = hash_files(find_pictures(folder), folder)
    if experiment.start_weights is not None:
        path = find_weights(experiment.model, experiment.start_weights, experiment.size)
        changed["start_weights"] = hash_files([path])
    if (pairs := experiment.pairs) is not None:
        changed["real"] = hash_files(pairs.files, pairs.root)
        changed |= {"real_split": pairs.split, "real_variant": pairs.variant}
    for name, former in _FORMER_DEFAULTS.items():
        if changed.get(name) in (None, former):
            changed.pop(name, None)
    for name in ("start", "reblur"):
        if name in changed:
            changed[name] = getattr(experiment, name).hash
    return changed
