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
    batch: int
    patch: int  # side of a training crop in pixels
    seeds: int  # repetitions of a training
    size: str  # width of the networks trained here: "small" or "full"


PRESETS = {
    p.name: p
    for p in (
        # every notebook under a minute: what the tests run, and what the committed outputs were made with
        Preset("smoke", test_scenes=8, scene_size=128, train_scenes=32, train_steps=40, batch=4, patch=64, seeds=1, size="small"),
        # the default: the whole book in twenty minutes
        Preset("quick", test_scenes=24, scene_size=192, train_scenes=160, train_steps=400, batch=4, patch=64, seeds=2, size="small"),
        # one GPU, pieces of under ten minutes
        Preset("gpu", test_scenes=100, scene_size=256, train_scenes=4000, train_steps=20_000, batch=16, patch=128, seeds=3, size="full"),
        # the printed schedules on GoPro: 2000 epochs of 2103 pairs in batches of 32
        Preset("paper", test_scenes=100, scene_size=256, train_scenes=0, train_steps=131_438, batch=32, patch=256, seeds=1, size="full"),
    )
}  # fmt: skip


def get_preset(name: str) -> Preset:
    """The preset of that name."""
    if name not in PRESETS:
        raise ValueError(f"There is no preset {name!r}: choose one of {', '.join(PRESETS)}.")
    return PRESETS[name]
