"""Trains in both precisions from several seeds: `deblurlib bench precision`.

A training in bf16 is worth its speed only if the network that it ends with is as good. "As good"
means that the precision changes the gain less than another seed does.
"""

from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from ..analysis.significance import paired_bootstrap
from ..data import SceneDataset
from ..evaluation import evaluate
from ..results import save_table
from ..training import Experiment, fit

PRECISIONS: tuple[Literal["32-true"], Literal["bf16-mixed"]] = ("32-true", "bf16-mixed")


def run(results: Path, seeds: int = 5, steps: int = 600, scenes: int = 40) -> pd.DataFrame:
    """Train small SVDNs with guidance in both precisions and write tables/precision.csv.

    Args:
        results: Folder for results; the trainings are kept in its folder runs.
        seeds: Number of seeds.
        steps: Optimiser steps per training.
        scenes: Number of rendered test scenes that the gain is averaged over.

    Returns:
        One row per seed and precision, with gain_db, the mean PSNR gain over the blurry scenes, and
        seconds.
    """
    test = SceneDataset("test", scenes, 192, variant="blur", photos="wide")
    rows = []
    for seed in range(seeds):
        for precision in PRECISIONS:
            experiment = Experiment(
                variant="fd_og",
                size="small",
                seed=seed,
                scenes=240,
                photos="wide",
                position=1e-4,
                precision=precision,
                steps=steps,
                lr=1e-3,
                warmup=steps // 10,
                betas=(0.9, 0.99),
                clip=0.02,
                ema=0.99,
            )
            trained = fit(experiment, folder=results / "runs", device="cpu", progress=False)
            table = evaluate(trained.model, test, "rgb-psnr", progress=False)
            rows.append(
                {
                    "seed": seed,
                    "precision": precision,
                    "gain_db": (table["rgb-psnr"] - table["blurry rgb-psnr"]).mean(),
                    "seconds": trained.seconds,
                }
            )
            print(f"seed {seed} {precision}: {rows[-1]['gain_db']:+.3f} dB", flush=True)
    found = pd.DataFrame(rows)
    save_table(found, results / "tables" / "precision.csv", steps=steps, data="rendered scenes")
    print(summary(found))
    return found


def summary(found: pd.DataFrame) -> str:
    """Compare the effect of the precision with that of the seed.

    Args:
        found: The rows of `run`.

    Returns:
        A sentence with the mean difference bf16 - fp32 and its interval over seeds, and the
        standard deviation of the gain over seeds in single precision.
    """
    gains = found.pivot(index="seed", columns="precision", values="gain_db")
    single, half = (gains[name].to_numpy() for name in PRECISIONS)
    difference = paired_bootstrap(half - single)
    low, high = difference.interval
    return (
        f"bf16 - fp32: {difference.value:+.3f} dB [{low:+.3f}, {high:+.3f}] over {len(gains)} "
        f"seeds; standard deviation over seeds in fp32: {np.std(single, ddof=1):.3f} dB"
    )
