"""The parameters that papermill hands to a notebook, and the names that no lesson knows."""

import ast
import os
from collections.abc import Iterable, Iterator

from ..experiments.presets import Preset
from .extra import notebook_packages

with notebook_packages():
    from IPython import get_ipython

INJECTED = "# Parameters\n"  # how papermill begins the cell that it inserts
KNOWN = ("preset", "data", "variant", "results", "seed", "device")
PRESET = "DEBLURLIB_PRESET"  # environment variable


def executed_cells() -> list[str]:
    """Return the sources of the cells that this notebook's kernel has executed.

    Returns:
        The sources in their order, none outside a notebook.
    """
    shell = get_ipython()
    return list(shell.user_ns.get("In", [])) if shell else []


def refuse_unknown(cells: Iterable[str]) -> None:
    """Refuse a parameter that no lesson reads, such as a misspelt one.

    papermill assigns it, logs a warning among its other lines, and the lesson would run with the
    default of the parameter that was meant.

    Args:
        cells: Sources of the executed cells.

    Raises:
        ValueError: If a cell that papermill inserted assigns a name that is not in `KNOWN`.
    """
    for name in _passed(cells):
        if name not in KNOWN:
            raise ValueError(
                f"papermill passed the parameter {name}, which no lesson has: choose from "
                f"{', '.join(KNOWN)}."
            )


def preset_of_environment(preset: str | Preset, cells: Iterable[str]) -> str | Preset:
    """Replace the preset that a notebook was saved with by that of DEBLURLIB_PRESET, if it is set.

    The tests run every lesson with little work, whatever its pages show.

    Args:
        preset: The notebook's preset.
        cells: Sources of the executed cells; a preset that papermill passed in one is kept.

    Returns:
        The preset to use.
    """
    other = os.environ.get(PRESET, "")
    if not other or other == preset or "preset" in _passed(cells):
        return preset
    print(f"The preset is {other!r}, from the environment variable {PRESET}.")
    return other


def _passed(cells: Iterable[str]) -> Iterator[str]:
    """The names that cells inserted by papermill assign."""
    for source in cells:
        if source.startswith(INJECTED):
            for statement in ast.parse(source).body:
                if isinstance(statement, ast.Assign):
                    yield from (ast.unparse(target) for target in statement.targets)
