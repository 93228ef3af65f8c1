"""The start of every notebook: preset, data, results folder and visual style."""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any, SupportsFloat

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from torch.utils.data import Dataset, Subset

from .. import experiments, figures
from ..analysis.adequacy import moved
from ..analysis.significance import Estimate, paired_bootstrap
from ..data import CentralWindows, PairedFolder, SceneDataset, groups_of, list_splits
from ..evaluation import Samples, evaluate
from ..experiments.presets import Preset, get_preset
from ..figures.style import PictureLike
from ..inference import choose_device
from ..models import create_model, load_model, provenance
from ..models.weights import LOADED
from ..results import (
    book_folder,
    data_folder,
    results_folder,
    save_figure,
    save_picture,
    save_table,
    whole_seed,
)
from ..training import Experiment, Run, fit
from . import frames, ledger, parameters
from .widgets import Explorer

TEST_PHOTOS = "wide"  # collection of photographs whose test side all lessons are judged on
MOVED_ON = 8  # pictures on which the movement of parts is measured


def open_lesson(
    name: str,
    *,
    preset: str | Preset = "smoke",
    data: str | Path | None = None,
    variant: str | None = None,
    results: str | Path | None = None,
    seed: int = 0,
    device: str = "auto",
) -> "Lesson":
    """Resolve the parameters of a notebook, seed every random generator and set the visual style.

    Notebooks pass empty strings for `data`, `variant` and `results` that are not given, because
    papermill cannot type None on a command line; "" means the same as None.

    Args:
        name: Number of the lesson, such as "01".
        preset: Amount of work; see `experiments.PRESETS`. The environment variable
            DEBLURLIB_PRESET replaces it, and a printed line says so, unless papermill passed one.
        data: Root of a real data set; None for the bundled scenes.
        variant: "blur" or "blur_gamma" where the data set has both.
        results: Folder for all outputs; None for `results.book_folder(…)`.
        seed: Seed of all random numbers, 0 to 2**32 - 1.
        device: "auto", "cpu", "cuda" or "mps".

    Returns:
        The lesson.

    Raises:
        FileNotFoundError: If the data folder does not exist.
        ValueError: If the preset is unknown, the seed out of range, the device not available, or
            papermill passed a parameter that no lesson has.
    """
    cells = parameters.executed_cells()
    parameters.refuse_unknown(cells)
    folder, chosen = data_folder(data), get_preset(parameters.preset_of_environment(preset, cells))
    seed_everything(whole_seed(seed))
    LOADED.clear()
    figures.use_style()
    pd.set_option("display.max_colwidth", 200)  # claims are sentences
    return Lesson(
        name=name,
        preset=chosen,
        data=folder,
        variant=variant or None,
        results=book_folder(chosen.name, folder, variant, results),
        runs=results_folder(results) / "runs",
        seed=seed,
        device=choose_device(device),
    )


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and PyTorch, and ask PyTorch for deterministic algorithms.

    Args:
        seed: The seed, 0 to 2**32 - 1.
    """
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)


@dataclass(frozen=True)
class Lesson:
    """One run of one notebook.

    Attributes:
        name: Number of the lesson, such as "01": the prefix of all files that it writes.
        preset: Amount of work.
        data: Root of a real data set; None for the bundled scenes.
        variant: Which blur of that data set; None where it has only one.
        results: Folder for tables, figures and records.
        runs: Folder for trainings, shared by all presets.
        seed: Seed of all random numbers.
        device: Device that networks run on.
    """

    name: str
    preset: Preset
    data: Path | None
    variant: str | None
    results: Path
    runs: Path
    seed: int
    device: torch.device

    @property
    def data_name(self) -> str:
        """Name of the data set for readers."""
        return self.data.name if self.data else "bundled scenes"

    def table(
        self,
        table: pd.DataFrame,
        name: str,
        digits: int | dict[str, int] | None = None,
        **origin: object,
    ) -> pd.DataFrame:
        """Save a table as results/tables/NN_name.csv together with its origin.

        The file has all digits of its numbers, and names from the data dictionary instead of the
        headings. The origin names the shipped weights that this lesson has loaded, by sha256.

        Args:
            table: The table.
            name: Its name, without the number of the lesson.
            digits: Decimals that are shown, for all columns or by heading; None for all.
            origin: Further facts about its numbers, such as steps=40.

        Returns:
            The table, rounded for display.
        """
        origin = {
            "preset": self.preset.name,
            "seed": self.seed,
            "device": self.device.type,
            "data": self.data_name,
            **origin,
        }
        if LOADED:
            origin["weights"] = dict(sorted(LOADED.items()))
        save_table(table, self._path("tables", f"{name}.csv"), **origin)
        return table if digits is None else table.round(digits)

    def timing(
        self,
        table: pd.DataFrame,
        name: str,
        digits: int | dict[str, int] | None = None,
        **origin: object,
    ) -> pd.DataFrame:
        """Save running times as results/timings/NN_name.csv together with their origin.

        Times vary between runs, so they are kept apart from the tables, which are byte-identical
        between equal runs.

        Args:
            table: The table of times.
            name: Its name, without the number of the lesson.
            digits: Decimals that are shown, as in `table`.
            origin: Further facts about its numbers.

        Returns:
            The table, rounded for display.
        """
        origin = {"preset": self.preset.name, "device": self.device.type, **origin}
        save_table(table, self._path("timings", f"{name}.csv"), **origin)
        return table if digits is None else table.round(digits)

    def figure(self, figure: Figure, name: str) -> None:
        """Save a figure as results/figures/NN_name.png and show it.

        Args:
            figure: The figure; it is closed.
            name: Its name, without the number of the lesson.
        """
        save_figure(figure, self._path("figures", f"{name}.png"))
        figures.show(figure)

    def explore(self, explorer: Explorer, name: str) -> Explorer:
        """Save and show the current figure of an explorer, and save others for the web site.

        Args:
            explorer: One of `deblurlib.book.widgets`.
            name: Name of the figure, without the number of the lesson.

        Returns:
            The same explorer: JupyterLab shows its sliders if it ends a cell.
        """
        self.figure(explorer.figure(), name)
        frames.write(explorer, self._path("frames", f"{name}.json"))
        return explorer

    def compare(self, before: PictureLike, after: PictureLike, name: str) -> None:
        """Save two images of one scene, which the report shows behind a movable dividing line.

        They become results/pictures/NN_name_before.png and NN_name_after.png.

        Args:
            before: (H, W, 3) array or (3, H, W) tensor in [0, 1].
            after: The other image, of the same size.
            name: Name of the pair, without the number of the lesson.
        """
        for picture, when in ((before, "before"), (after, "after")):
            save_picture(figures.as_picture(picture), self._path("pictures", f"{name}_{when}.png"))

    def claim(
        self,
        id: str,
        value: SupportsFloat,
        interval: tuple[SupportsFloat, SupportsFloat] | None = None,
        p: SupportsFloat | None = None,
        **details: Any,
    ) -> pd.DataFrame:
        """Record a measurement for a claim of papers/claims.csv.

        A paired difference is recorded by `lesson.claim("R2", *paired_bootstrap(differences))`,
        one of trainings also needs the number of seeds, such as `seeds=3`.

        Args:
            id: Identifier of the claim.
            value: The measured number, in the unit of the claim.
            interval: Its 95 % interval, for a difference or a correlation.
            p: Its p value, for a difference or a correlation.
            details: `holds`, `seeds`, `learned` and `note`, see `deblurlib.book.ledger.record`.

        Returns:
            The claim with its verdict, one row for display.

        Raises:
            ValueError: If the claim is unknown or belongs to another notebook, or if its rule
                cannot judge the measurement.
        """
        return ledger.record(self, id, value, interval, p, **details)

    def claims(self) -> pd.DataFrame:
        """Return this lesson's records of its claims, with verdicts, for display."""
        return ledger.readable(ledger.ledger(self.results, self.name))

    def test_scenes(self, **options: Any) -> SceneDataset:
        """Return the rendered test scenes of this preset with their exact motion.

        They are the same in every notebook, and show the photographs of the larger collection,
        which no network of any preset was trained on.

        Args:
            options: Options of `SceneDataset` that replace the usual ones.
        """
        options = {"variant": "blur", **options}
        preset = self.preset
        options.setdefault("photos", TEST_PHOTOS)
        return SceneDataset("test", preset.test_scenes, preset.scene_size, **options)

    def test_set(self) -> SceneDataset | CentralWindows:
        """Return the samples that networks are measured on.

        Returns:
            Central windows of real pairs, spread evenly over the data set, or the rendered test
            scenes if no data set is given.
        """
        if self.data is None:
            return self.test_scenes()
        split = "test" if "test" in list_splits(self.data) else None
        pairs = PairedFolder(self.data, split, self.variant)
        return CentralWindows(pairs, self.preset.test_scenes, self.preset.scene_size)

    def estimate(self, differences: ArrayLike, samples: Dataset[Any]) -> Estimate:
        """Estimate the mean of paired differences over samples of this lesson.

        Args:
            differences: (n,) or (seeds, n), of the first n samples in their order. A sample with a
                NaN, such as the direction of a motion where nothing moves, is left out.
            samples: The data set: test scenes, real pairs or training crops.

        Returns:
            Mean, interval and p value, see `significance.paired_bootstrap`; photographs or
            sequences are resampled before their members.
        """
        found = np.atleast_2d(np.asarray(differences, dtype=np.float64))
        kept = np.flatnonzero(~np.isnan(found).any(0))
        return paired_bootstrap(found[:, kept], groups_of(Subset(samples, kept.tolist())))

    def untrained(self, name: str, size: str = "small") -> torch.nn.Module:
        """Return a shipped network as it was before its training.

        Args:
            name: Name of the network, such as "svdn".
            size: "full" or "small".

        Returns:
            The network with its initial weights, on this lesson's device.
        """
        record = provenance(name, size)
        recipe, seed = record["recipe"], record["experiment"].get("seed", 0)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = create_model(name, recipe["variant"], size=size, **recipe["overrides"])
        return network.to(self.device).eval()

    def learned(
        self, network: torch.nn.Module, start: torch.nn.Module, samples: Samples
    ) -> dict[str, float]:
        """Measure what the gates of claims ask for: the gain, and how far parts have moved.

        Args:
            network: A trained network that deblurs.
            start: The same network with its initial weights.
            samples: The samples that the claim is judged on.

        Returns:
            Values by gate, see `deblurlib.analysis.verdicts.GATES`.
        """
        found = evaluate(network, samples, ["rgb-psnr"], device=self.device, progress=False)
        gain = (found["rgb-psnr"] - found["blurry rgb-psnr"]).mean()
        some = [samples[i].blurry[None].to(self.device) for i in range(min(len(found), MOVED_ON))]
        return {"gain": float(gain), **moved(network, start.to(self.device), some)}

    def trained(self, name: str) -> torch.nn.Module:
        """Return a trained network of the small width.

        Args:
            name: Name of the network, such as "svdn".

        Returns:
            The network with the weights that ship with the library, on this lesson's device. If
            none are shipped, it is trained first with this preset.
        """
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

    def _path(self, folder: str, name: str) -> Path:
        return self.results / folder / f"{self.name}_{name}"
