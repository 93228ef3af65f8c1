"""One row of a table, measured: metrics per image, and how far its parts have left their start."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from torch import nn

from ..analysis.adequacy import moved
from ..data import SceneDataset
from ..data.samples import Sample
from ..evaluation import DEFAULT_METRICS, evaluate
from ..models import count_parameters, create_model
from ..training import Run, initial_model
from .tables import TABLES

KEYS = ["table", "row", "seed"]
MEASURED_ON = 8  # images on which movement is measured
MOVED = "moved "  # begins the columns that say how far a part of the network has left its start


def measured_network(table: str, name: str, run: Run) -> nn.Module:
    """Return the network that a row is measured with.

    Args:
        table: A key of TABLES.
        name: A row of the table.
        run: The training of the row.

    Returns:
        The trained network, or its weights in the variant that the row names (self-ensemble,
        p = 0).
    """
    variant = TABLES[table][name].measured
    if variant is None:
        return run.model
    recipe: dict[str, Any] = vars(run.model)["recipe"]
    other = create_model(recipe["name"], variant, size=recipe["size"], **recipe["overrides"])
    trained = run.model.state_dict()  # with p = 0, parts of it are not needed
    other.load_state_dict({key: trained[key] for key in other.state_dict()})
    return other.eval().to(next(run.model.parameters()).device)


def measure_run(
    run: Run,
    table: str,
    name: str,
    dataset: Sequence[Sample] | SceneDataset,
    groups: Sequence[str],
) -> pd.DataFrame:
    """Measure one finished training of a table.

    Args:
        run: The training.
        table: A key of TABLES.
        name: The row.
        dataset: The images to measure on.
        groups: The photograph of each image.

    Returns:
        One row per image, as in `ablations.measured`.
    """
    network = measured_network(table, name, run)
    found = evaluate(network, dataset, DEFAULT_METRICS)
    found.insert(1, "photograph", groups)
    found["parameters"] = count_parameters(network)
    if run.experiment.model != "reblur":  # nothing is claimed about its parts
        device = next(network.parameters()).device
        start = initial_model(run.experiment).to(device)
        some = [dataset[i].blurry[None].to(device) for i in range(min(len(found), MEASURED_ON))]
        for part, distance in moved(run.model, start, some).items():
            found[MOVED + part] = distance
    for position, (key, value) in enumerate(
        zip(KEYS, (table, name, run.experiment.seed), strict=True)
    ):
        found.insert(position, key, value)
    return found
