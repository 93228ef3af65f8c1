"""What a training is: a frozen record whose hash names the run."""

import hashlib
import json
from dataclasses import dataclass, fields
from pathlib import Path

from ..data.scenes import RENDERER_VERSION
from ..results import hash_files


@dataclass(frozen=True)
class Experiment:
    """One training, complete: two equal experiments give the same weights. Make a changed one with `replace`."""

    model: str = "svdn"  # "reblur" learns to blur the sharp picture again (ASPDC eq. 6), all others to deblur
    variant: str = "paper"
    size: str = "full"
    options: tuple[
        tuple[str, object], ...
    ] = ()  # (name, value) of the network's configuration, over those of the variant
    seed: int = 0
    start: "Experiment | None" = None  # begin with the weights that this one ends with
    pretrained: bool = (
        False  # begin with ImageNet's weights where the paper does, if torch's cache holds them
    )
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
    halve_every: int = (
        0  # steps between halvings of lr, instead of the polynomial (ASPDC); 0 = never
    )
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
    reblur: "Experiment | None" = (
        None  # whose network, frozen, blurs the output again for the consistency loss
    )
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
    values = {
        field.name: values[field.name]
        for field in fields(Experiment)
        if values[field.name] != field.default
    }
    for name in {"photos", "real"} & set(values):
        files = [p for p in Path(values[name]).rglob("*") if p.is_file()]
        values[name] = hash_files(files, Path(values[name]))
    return values | {name: values[name].hash for name in ("start", "reblur") if name in values}
