"""Every trained row of every table, as Experiments: a new row of an ablation is one entry here."""

from dataclasses import replace

from .presets import Preset, get_preset
from .training import Experiment

# SVDN, Table 2, column by column; fd_rigid is our control: fd's parameters without its adaptive positions
SVDN_TABLE_2 = {
    "base": {},
    "dilated": {},
    "fd_rigid": {},
    "fd": {},
    "fd_og": {"position": 1e-4},
}


def svdn_table2(preset: str | Preset, seed: int = 0) -> list[Experiment]:
    """The rows of SVDN's Table 2 and our control, each for as many seeds as the preset says, from `seed` on.

    Rows of one seed share initial weights where their shapes agree, training crops, steps and schedule.
    """
    preset = get_preset(preset) if isinstance(preset, str) else preset
    return [svdn_row(variant, preset, seed + s) for s in range(preset.seeds) for variant in SVDN_TABLE_2]


def svdn_row(name: str, preset: Preset, seed: int = 0) -> Experiment:
    """One row of SVDN's Table 2 at the size of a preset, trained on rendered scenes."""
    row = Experiment(
        model="svdn", variant=name, size=preset.size, seed=seed,
        scenes=preset.train_scenes, scene_size=preset.scene_size,
        steps=preset.train_steps, batch=preset.batch, patch=preset.patch,
    )  # fmt: skip
    return replace(row, **SVDN_TABLE_2[name])
