"""Presets set how much work a run does; this is the one place that defines them."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Sizes of everything that a notebook measures or trains.

    Attributes:
        name: The preset's name.
        test_scenes: Number of rendered scenes that a mean is taken over.
        scene_size: Side of a scene in pixels.
        train_scenes: Number of rendered scenes that training crops come from.
        train_steps: Steps of a training.
        tuning_steps: Steps of a second training that starts from a first.
        batch: Crops per step.
        patch: Side of a training crop in pixels.
        seeds: Repetitions of a training.
        size: Width of the networks that are trained, "small" or "full".
        photos: Collection of photographs that all scenes come from; None for the first one.
        recipe: (name, value) pairs of fields of Experiment that differ from what the papers print;
            a row of a table that sets such a field itself keeps its own.
    """

    name: str
    test_scenes: int
    scene_size: int
    train_scenes: int
    train_steps: int
    tuning_steps: int
    batch: int
    patch: int
    seeds: int
    size: str
    photos: str | None = None
    recipe: tuple[tuple[str, object], ...] = ()


# Times are for two CPU cores unless stated otherwise.
PRESETS = {
    preset.name: preset
    for preset in (
        # every notebook in under a minute: the tests
        Preset(
            name="smoke",
            test_scenes=8,
            scene_size=128,
            train_scenes=32,
            train_steps=40,
            tuning_steps=10,
            batch=4,
            patch=64,
            seeds=1,
            size="small",
        ),
        # the default, and the pages that are committed: the whole book in twenty minutes
        Preset(
            name="quick",
            test_scenes=24,
            scene_size=192,
            train_scenes=160,
            train_steps=300,
            tuning_steps=80,
            batch=4,
            patch=64,
            seeds=2,
            size="small",
        ),
        # the shipped rows of every ablation: one night
        Preset(
            name="reference",
            test_scenes=60,
            scene_size=192,
            train_scenes=240,
            train_steps=300,
            tuning_steps=100,
            batch=4,
            patch=64,
            seeds=3,
            size="small",
        ),
        # long enough for the ledger's gate of 0.5 dB, which the rows of SVDN's table miss by 0.03
        # to 0.08 dB after 5,000 steps; 2.3 hours of one core with bf16 for that table
        Preset(
            name="long",
            test_scenes=100,
            scene_size=192,
            train_scenes=1000,
            train_steps=8000,
            tuning_steps=1000,
            batch=4,
            patch=64,
            seeds=3,
            size="small",
            photos="wide",
            recipe=(("precision", "bf16-mixed"), ("warmup", 250), ("ema", 0.999)),
        ),
        # one GPU, in pieces of under ten minutes
        Preset(
            name="gpu",
            test_scenes=100,
            scene_size=256,
            train_scenes=4000,
            train_steps=20_000,
            tuning_steps=5000,
            batch=16,
            patch=128,
            seeds=3,
            size="full",
        ),
        # the printed schedules, see `experiments.PAPER`
        Preset(
            name="paper",
            test_scenes=100,
            scene_size=256,
            train_scenes=4000,
            train_steps=131_438,
            tuning_steps=280_800,
            batch=32,
            patch=256,
            seeds=1,
            size="full",
        ),
    )
}


def get_preset(name: str | Preset) -> Preset:
    """Find a preset.

    Args:
        name: Its name; a Preset is returned unchanged.

    Returns:
        The preset.

    Raises:
        ValueError: If the name is unknown.
    """
    if isinstance(name, Preset):
        return name
    if not isinstance(name, str) or name not in PRESETS:
        raise ValueError(f"There is no preset {name!r}: choose one of {', '.join(PRESETS)}.")
    return PRESETS[name]
