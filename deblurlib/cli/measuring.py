"""The command `evaluate`: rows that are shown and written as soon as they are measured."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import typer

from ..analysis.significance import paired_bootstrap
from ..evaluation import evaluate_each
from ..results import as_csv, check_new_table, save_table
from ..wording import counted
from .shared import records
from .tables import Rows

if TYPE_CHECKING:
    from torch import nn

    from ..data import Sample
    from ..evaluation import Samples

PARTS, FEWEST_TO_SPLIT = 5, 10  # of the images by blur
NEARLY_SHARP = 35.0  # dB of a blurry image, from which it is hard to see that it is blurry


class Measurement:
    """One call of `evaluate`.

    A disk that is full while the rows are measured costs the file, not the measurement: all rows
    are still shown, and then the error is raised.
    """

    def __init__(
        self,
        network: "nn.Module | None",
        dataset: "Samples | Iterable[Sample]",
        metrics: Iterable[str],
        output: Path | None = None,
        *,
        quiet: bool = False,
        overwrite: bool = False,
    ) -> None:
        """Prepare a measurement.

        Args:
            network: The network; None to measure the blurry images alone.
            dataset: The samples.
            metrics: Names of metrics.
            output: CSV file for the table; None for none.
            quiet: Whether the rows are not printed.
            overwrite: Whether a file that exists may be replaced.

        Raises:
            ValueError: If the output cannot be written, as for `check_new_table`.
        """
        if output is not None:
            check_new_table(output, overwrite=overwrite)
        self.rows = evaluate_each(network, dataset, metrics)
        self.output, self.quiet = output, quiet
        self.partial = None if output is None else output.with_suffix(".partial.csv")
        self.error: OSError | None = None

    def run(self) -> pd.DataFrame:
        """Measure all images, and show each row.

        Returns:
            One row per image.
        """
        found: list[dict[str, object]] = []
        lines: Rows | None = None
        for row in self.rows:
            found.append(row)
            first, (name, *numbers) = lines is None, row.values()
            if lines is None:
                lines = Rows(list(row)[1:])
                self._show(lines.heading)
            self._show([lines.row(str(name), numbers)])
            if self.partial is not None and self.error is None:
                self._append(pd.DataFrame([row]), first)
        return pd.DataFrame(found)

    def save(self, table: pd.DataFrame, **origin: object) -> None:
        """Write the whole table, in place of the partial one.

        Args:
            table: The result of `run`.
            origin: Facts about its numbers, as for `save_table`.

        Raises:
            OSError: If it cannot be written.
        """
        if self.output is None or self.partial is None:
            return
        save_table(table, self.output, **origin)
        with suppress(OSError):
            self.partial.unlink(missing_ok=True)

    def _show(self, lines: list[str]) -> None:
        """Print lines; a reader that has enough, such as `head`, does not cost the file."""
        try:
            for line in [] if self.quiet else lines:
                typer.echo(line)
        except BrokenPipeError:
            if self.output is None:
                raise
            self.quiet = True

    def _append(self, row: pd.DataFrame, first: bool) -> None:
        assert self.partial is not None and self.output is not None
        try:
            self.partial.parent.mkdir(parents=True, exist_ok=True)
            with self.partial.open("w" if first else "a", encoding="utf-8", newline="") as file:
                file.write(as_csv(row, self.output.stem, header=first))
        except OSError as error:
            self.error = error


def summary(table: pd.DataFrame) -> dict[str, Any]:
    """Summarise a measurement.

    Args:
        table: The result of `evaluate`.

    Returns:
        The mean of each metric, and the results of the functions below.
    """
    return {
        "mean": records(table.drop(columns="image").mean().to_frame().T)[0],
        "gain": gains_over_blurry(table),
        "gain_by_blur": gains_by_blur(table),
        "gain_on_nearly_sharp": gain_on_nearly_sharp(table),
        "without_blur": without_blur(table),
    }


def sentences(found: dict[str, Any]) -> Iterator[str]:
    """Describe a measurement.

    Args:
        found: The result of `summary`.

    Yields:
        Lines of text.
    """
    yield "mean\n" + pd.Series(found["mean"]).astype(float).round(3).to_string()
    for name, gain in found["gain"].items():
        interval = f"[{gain['low']:+.3f}, {gain['high']:+.3f}]"
        yield f"gain in {name}  {gain['value']:+.3f}  95 % interval {interval}"
    for part in found["gain_by_blur"]:
        yield (
            f"blurry {part['blurry_from']:.1f} to {part['blurry_to']:.1f} dB: gain "
            f"{part['gain']:+.2f} dB, {part['harmed']} of {counted(part['images'], 'image')} worse"
        )
    if part := found["gain_on_nearly_sharp"]:
        yield (
            f"blurry {part['blurry_from']:.0f} dB or more: gain {part['gain']:+.2f} dB, smallest "
            f"{part['smallest_gain']:+.2f} dB, {part['harmed']} of "
            f"{counted(part['images'], 'image')} worse"
        )
    if equal := found["without_blur"]:
        words = "blurry image equals its reference", "blurry images equal their references"
        yield f"{counted(equal, *words)}: gains leave such images out."


def gains_over_blurry(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Estimate by how much a network improves on the blurry images.

    Args:
        table: The result of `evaluate`.

    Returns:
        value, low and high (the ends of the 95 % interval over images) by metric; images whose
        metric is infinite are left out. Fewer than two images, and tables without a network, have
        none.
    """
    found = {}
    for name in table:
        if f"blurry {name}" in table and len(table) > 1:
            gain = (table[name] - table[f"blurry {name}"]).to_numpy(float)
            gain = gain[np.isfinite(gain)]
            if len(gain) > 1:
                estimate = paired_bootstrap(gain)
                low, high = estimate.interval
                found[str(name)] = {"value": estimate.value, "low": low, "high": high}
    return found


def gains_by_blur(table: pd.DataFrame, metric: str = "rgb-psnr") -> list[dict[str, float]]:
    """Split the gain by how blurry the images are, since networks harm those that are nearly sharp.

    Args:
        table: The result of `evaluate`.
        metric: The metric that images are sorted by and gains are measured with.

    Returns:
        For each fifth of the images, from the blurriest to the sharpest: images, blurry_from and
        blurry_to (the metric of the blurry images), gain, and harmed, the number of images that got
        worse. Empty for fewer than ten images, without the metric, or without a network.
    """
    blurry = f"blurry {metric}"
    if not {metric, blurry} <= set(table):
        return []
    values = table[[metric, blurry]].to_numpy(float)
    values = values[np.isfinite(values).all(1)]
    if len(values) < FEWEST_TO_SPLIT:
        return []
    values = values[values[:, 1].argsort(kind="stable")]
    rows = []
    for part in np.array_split(values, PARTS):
        gain = part[:, 0] - part[:, 1]
        row = {"images": len(part), "blurry_from": part[0, 1], "blurry_to": part[-1, 1]}
        rows.append({**row, "gain": gain.mean(), "harmed": int((gain < 0).sum())})
    return rows


def gain_on_nearly_sharp(table: pd.DataFrame, metric: str = "rgb-psnr") -> dict[str, float]:
    """Measure what a network does to images that hardly need it.

    Args:
        table: The result of `evaluate`.
        metric: The metric, in dB.

    Returns:
        Of the images whose blurry metric is finite and at least `NEARLY_SHARP`: images,
        blurry_from, the mean gain, smallest_gain, and harmed, the number of images that got worse.
        Empty if there are none, without the metric, or without a network.
    """
    blurry = f"blurry {metric}"
    if not {metric, blurry} <= set(table):
        return {}
    chosen = table[np.isfinite(table[blurry]) & (table[blurry] >= NEARLY_SHARP)]
    gain = chosen[metric] - chosen[blurry]
    if not len(chosen):
        return {}
    return {
        "images": len(chosen),
        "blurry_from": NEARLY_SHARP,
        "gain": gain.mean(),
        "smallest_gain": gain.min(),
        "harmed": int((gain < 0).sum()),
    }


def without_blur(table: pd.DataFrame, metric: str = "rgb-psnr") -> int:
    """Count the images that equal their sharp ones, which no mean in dB can include.

    Args:
        table: The result of `evaluate`.
        metric: The metric, in dB.

    Returns:
        How many.
    """
    return int(np.isinf(table[f"blurry {metric}"]).sum()) if f"blurry {metric}" in table else 0
