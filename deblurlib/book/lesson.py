"""What every notebook opens with: the preset, the data, where results go, and one visual style."""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.utils.data import Dataset

from .. import experiments, figures
from ..data import PairedFolder, SceneDataset, crop, list_splits
from ..experiments.presets import Preset, get_preset
from ..inference import choose_device
from ..models import load_model
from ..results import data_folder, results_folder, save_figure, save_picture, save_table, whole_seed
from ..training import Experiment, Run, fit
from . import ledger


@dataclass(frozen=True)
class Lesson:
    """One run of one notebook."""

    name: str  # "01", "02", …: the prefix of all that it writes
    preset: Preset
    data: Path | None  # root of a real data set, None for the bundled scenes
    variant: str | None  # which blur of that data set
    results: Path
    seed: int
    device: torch.device

    def table(self, table: pd.DataFrame, name: str, **origin) -> pd.DataFrame:
        """Save a table as results/tables/NN_name.csv with its origin, and return it for display."""
        origin = {
            "preset": self.preset.name,
            "seed": self.seed,
            "device": self.device.type,
            "data": self.data_name,
            **origin,
        }
        return save_table(table, self.results / "tables" / f"{self.name}_{name}.csv", **origin)

    def timing(self, table: pd.DataFrame, name: str, **origin) -> pd.DataFrame:
        """Save times as results/timings/NN_name.csv: apart from the tables, which two equal runs write alike to the byte."""
        origin = {"preset": self.preset.name, "device": self.device.type, **origin}
        return save_table(table, self.results / "timings" / f"{self.name}_{name}.csv", **origin)

    def figure(self, figure, name: str) -> None:
        """Save a figure as results/figures/NN_name.png and show it."""
        save_figure(figure, self.results / "figures" / f"{self.name}_{name}.png")
        figures.show(figure)

    def explore(self, explorer, name: str):
        """Save and show the figure of a `widgets.Explorer` as it stands; return it, so that JupyterLab shows its sliders."""
        self.figure(explorer.figure(), name)
        return explorer

    def compare(self, before, after, name: str) -> None:
        """Save two pictures as results/pictures/NN_name_before.png and …_after.png, which the report lays over each other."""
        for picture, when in ((before, "before"), (after, "after")):
            save_picture(
                figures.as_picture(picture),
                self.results / "pictures" / f"{self.name}_{name}_{when}.png",
            )

    def claim(self, id: str, value, interval=None, p=None, **details) -> pd.DataFrame:
        """Record what was measured for a claim of papers/claims.csv and show the verdict; see `deblurlib.book.ledger.record`.

        A paired difference goes in as `lesson.claim("R2", *paired_bootstrap(differences))`, one of trainings with `seeds=3`.
        """
        return ledger.record(self, id, value, interval, p, **details)

    def claims(self) -> pd.DataFrame:
        """What this lesson recorded for its claims, with verdicts; "not measured" for those it did not come to."""
        return ledger.readable(ledger.ledger(self.results, self.name))

    def test_scenes(self, **options) -> SceneDataset:
        """The rendered test scenes of this preset, with exact motion; they are the same in every notebook."""
        return SceneDataset(
            "test",
            self.preset.test_scenes,
            self.preset.scene_size,
            **{"variant": "blur", **options},
        )

    def test_set(self) -> Dataset:
        """What networks are measured on: central windows of real pairs, spread over the data set, or the rendered test scenes."""
        if self.data is None:
            return self.test_scenes()
        split = "test" if "test" in list_splits(self.data) else None
        return CentralWindows(
            PairedFolder(self.data, split, self.variant),
            self.preset.test_scenes,
            self.preset.scene_size,
        )

    def trained(self, name: str) -> torch.nn.Module:
        """A trained network: the shipped weights of the small width if there are any, else what this preset trains live."""
        try:
            return load_model(name, size="small").to(self.device)
        except FileNotFoundError:
            experiment = experiments.network(name, "paper", self.preset, self.seed, size="small")
            return self.fit(experiment).model.to(self.device)

    def fit(self, experiment: Experiment, **options: Any) -> Run:
        """Train a network on this lesson's device and keep the run below its results folder.

        Args:
            experiment: What to train. An interrupted run of it resumes; a finished one is loaded.
            options: Further options of `deblurlib.training.fit`.

        Returns:
            The finished run.
        """
        return fit(experiment, **{"device": self.device, "folder": self.runs, **options})

    @property
    def runs(self) -> Path:
        """The folder that holds the trainings of this results folder."""
        return self.results / "runs"

    @property
    def data_name(self) -> str:
        return self.data.name if self.data else "bundled scenes"


class CentralWindows(Dataset):
    """`count` samples spread evenly over a data set, each cut to its central `size` x `size` window."""

    def __init__(self, dataset: Dataset, count: int, size: int):
        self.dataset, self.size = dataset, size
        self.indices = (
            np.linspace(0, len(dataset) - 1, min(count, len(dataset))).round().astype(int).tolist()
        )

    def __len__(self):
        return len(self.indices)

    def __getitem__(self, index: int):
        sample = self.dataset[self.indices[index]]
        height, width = (min(self.size, n) for n in sample.blurry.shape[-2:])
        top, left = (
            (n - m) // 2 for n, m in zip(sample.blurry.shape[-2:], (height, width), strict=True)
        )
        return crop(sample, top, left, height, width)


def open_lesson(
    name: str, *, preset="smoke", data="", variant="", results="", seed=0, device="auto"
) -> Lesson:
    """Resolve a notebook's parameters, seed every generator and set the visual style."""
    folder = data_folder(data)
    seed_everything(whole_seed(seed))
    figures.use_style()
    pd.set_option("display.max_colwidth", 200)  # claims are sentences
    return Lesson(
        name,
        get_preset(preset),
        folder,
        variant or None,
        results_folder(results),
        seed,
        choose_device(device),
    )


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch, and ask torch for deterministic algorithms."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
