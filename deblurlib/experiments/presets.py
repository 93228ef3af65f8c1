"""How much work a run does: the one place where the four presets are defined."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """Sizes of everything that a notebook measures or trains. Times are for two CPU cores unless said otherwise."""

    name: str
    test_scenes: int  # rendered scenes that a mean is taken over
    scene_size: int  # their side in pixels
    train_scenes: int  # rendered scenes that training crops come from
    train_steps: int
    tuning_steps: int  # of a second training that starts from a first
    batch: int
    patch: int  # side of a training crop in pixels
    seeds: int  # repetitions of a training
    size: str  # width of the networks trained here: "small" or "full"


# columns: test_scenes, scene_size, train_scenes, train_steps, tuning_steps, batch, patch, seeds, size
_ROWS = {
    "smoke": (
        8,
        128,
        32,
        40,
        10,
        4,
        64,
        1,
        "small",
    ),  # every notebook under a minute: the tests, and the committed outputs
    "quick": (
        24,
        192,
        160,
        300,
        80,
        4,
        64,
        2,
        "small",
    ),  # the default: the whole book in twenty minutes
    "reference": (
        60,
        192,
        240,
        300,
        100,
        4,
        64,
        3,
        "small",
    ),  # the shipped rows of every ablation: a night on two CPU cores
    "gpu": (
        100,
        256,
        4000,
        20_000,
        5000,
        16,
        128,
        3,
        "full",
    ),  # one GPU, pieces of under ten minutes
    "paper": (
        100,
        256,
        4000,
        131_438,
        280_800,
        32,
        256,
        1,
        "full",
    ),  # the printed schedules, see experiments.PAPER
}
PRESETS = {name: Preset(name, *row) for name, row in _ROWS.items()}


def get_preset(name: "str | Preset") -> Preset:
    """The preset of that name; one that is a Preset already stays as it is."""
    if isinstance(name, Preset):
        return name
    if not isinstance(name, str) or name not in PRESETS:
        raise ValueError(f"There is no preset {name!r}: choose one of {', '.join(PRESETS)}.")
    return PRESETS[name]
