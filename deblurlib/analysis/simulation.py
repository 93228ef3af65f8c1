"""How often the rule of verdicts is wrong, on synthetic tables whose truth is known."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from .significance import ALPHA, Estimate, holm, paired_bootstrap
from .verdicts import verdict

PRINTED = 0.3  # dB, the difference that the paper of the synthetic tables prints
EFFECTS = {"zero": 0.0, "half": 0.5, "equal": 1.0}  # true difference, in units of the printed one
# A reproduced difference is more than half of the printed one; a contradicted one is below 0.
WRONG = {
    "zero": ("reproduced", "contradicted"),
    "half": ("reproduced", "contradicted"),
    "equal": ("contradicted",),
}
SPREADS = {"seed": 0.06, "photograph": 0.08, "scene": 0.10, "rest": 0.05}  # dB, of one row


def synthetic_table(
    rng: np.random.Generator,
    effects: Sequence[float],
    seeds: int,
    photographs: int = 12,
    scenes: int = 4,
) -> np.ndarray:
    """Draw the differences of several rows to one reference row.

        y_rsi = effect_r + seed_rs + photograph_rg(i) + scene_ri + rest_rsi

    Every row, the reference row too, has deviations of its own, with `SPREADS`; all rows share
    those of the reference.

    Args:
        rng: Source of the deviations.
        effects: True difference of each row, in dB.
        seeds: Trainings of each row.
        photographs: Number of photographs.
        scenes: Scenes of each photograph.

    Returns:
        (rows, seeds, photographs * scenes), scenes of one photograph after each other.
    """
    rows = len(effects) + 1
    images = photographs * scenes
    of_photograph = rng.normal(0, SPREADS["photograph"], (rows, 1, photographs))
    values = (
        rng.normal(0, SPREADS["seed"], (rows, seeds, 1))
        + np.repeat(of_photograph, scenes, 2)
        + rng.normal(0, SPREADS["scene"], (rows, 1, images))
        + rng.normal(0, SPREADS["rest"], (rows, seeds, images))
    )
    made: np.ndarray = values[1:] - values[0] + np.asarray(effects)[:, None, None]
    return made


def simulate(
    seeds: Sequence[int] = (3, 4, 5, 6, 7),
    *,
    tables: int = 200,
    photographs: int = 12,
    scenes: int = 4,
    resamples: int = 1000,
    seed: int = 0,
    earlier: bool = False,
) -> pd.DataFrame:
    """Judge synthetic tables of three rows, whose true effects are zero, half and the printed one.

    Args:
        seeds: Numbers of trainings per row.
        tables: Number of tables for each.
        photographs: Number of photographs.
        scenes: Scenes of each photograph.
        resamples: Replicates of each interval.
        seed: Seed of everything.
        earlier: Judge by the rule of the previous edition: scenes as if they were independent, and
            "reproduced" wherever the interval reaches the printed difference.

    Returns:
        One row per number of seeds and true effect: the share of each verdict, and of those that
        are wrong, see `WRONG`.
    """
    groups = None if earlier else np.repeat(np.arange(photographs), scenes).tolist()
    judge = _judged_earlier if earlier else _judged
    found = []
    for count in seeds:
        for table in range(tables):
            rng = np.random.default_rng((seed, count, table))
            sizes = [PRINTED * share for share in EFFECTS.values()]
            rows = synthetic_table(rng, sizes, count, photographs, scenes)
            estimates = [paired_bootstrap(row, groups, resamples=resamples) for row in rows]
            adjusted = holm([estimate.p for estimate in estimates])
            found += [
                {
                    "seeds": count,
                    "true effect": name,
                    "verdict": judge(estimate, float(p)),
                }
                for name, estimate, p in zip(EFFECTS, estimates, adjusted, strict=True)
            ]
    keys = ["seeds", "true effect"]
    verdicts = pd.DataFrame(found)
    shares = verdicts.groupby(keys, sort=False).verdict.value_counts(normalize=True).unstack()
    shares = shares.fillna(0.0).rename_axis(columns=None)
    shares["wrong"] = [
        row.reindex(WRONG[name]).fillna(0.0).sum() for (_, name), row in shares.iterrows()
    ]
    return shares.reset_index()


def _judged(estimate: Estimate, p: float) -> str:
    """The verdict by the rule of this edition."""
    return verdict(
        "difference", value=estimate.value, interval=estimate.interval, p=p, margin=PRINTED
    )


def _judged_earlier(estimate: Estimate, p: float) -> str:
    """The verdict by the rule of the previous edition."""
    low, high = estimate.interval
    if p >= ALPHA or low <= 0 <= high:
        return "inconclusive"
    if high < 0:
        return "contradicted"
    return "reproduced" if high >= PRINTED else "direction only"
