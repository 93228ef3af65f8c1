"""Which notebooks of a folder are lessons, by their names."""

import re
from collections.abc import Iterable
from pathlib import Path

BOOK = (
    "00_tour",
    "01_blur_and_inverse_filters",
    "02_dynamic_scenes_and_optical_flow",
    "03_spatially_variant_rnn",
    "04_flow_guided_deconvolution",
    "05_region_adaptive_dense_network",
    "06_atrous_spatial_pyramid",
    "07_reblurring_consistency",
    "08_ablation_tables",
    "09_inside_the_networks",
    "10_speed_and_size",
    "11_benchmarks",
    "12_claims",
)
# The lessons whose records a lesson reads, by number; all others are independent.
READS = {"12": ("00", "01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11")}
LESSON = re.compile(r"\d\d_\w+", re.ASCII)  # not 03_name-Copy1 or "03_name Anna"


def lessons_in(folder: Path) -> tuple[list[Path], list[Path]]:
    """List the notebooks of a folder, and tell lessons from copies.

    A lesson is called NN_name.ipynb, and its number is its own: all that it writes begins with it.

    Args:
        folder: The folder.

    Returns:
        The lessons, sorted; and all other notebooks, such as JupyterLab's NN_name-Copy1.ipynb or a
        second one of the same number, which are left alone.
    """
    found = sorted(folder.glob("*.ipynb"), key=lambda path: (path.stem not in BOOK, path.name))
    lessons: dict[str, Path] = {}
    for path in found:
        if LESSON.fullmatch(path.stem):
            lessons.setdefault(number(path), path)
    chosen = sorted(lessons.values())
    return chosen, [path for path in found if path not in chosen]


def left_alone(folders: Iterable[Path]) -> str | None:
    """Name the notebooks that are not lessons.

    Args:
        folders: The folders.

    Returns:
        One sentence; None if there are none.
    """
    strays = [path.name for folder in folders for path in lessons_in(folder)[1]]
    if not strays:
        return None
    return (
        f"Not run, since they are not named as lessons with numbers of their own: "
        f"{', '.join(strays)}."
    )


def number(path: Path) -> str:
    """Return the number of a notebook, "01" for 01_name.ipynb: the prefix of all files it writes.

    Args:
        path: A notebook, or a file that one wrote.
    """
    return path.stem.split("_")[0]
