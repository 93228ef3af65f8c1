"""The parameters that papermill hands to a notebook, and the names that no lesson knows."""

import ast
from collections.abc import Iterable

from .extra import notebook_packages

with notebook_packages():
    from IPython import get_ipython

INJECTED = "# Parameters\n"  # how papermill begins the cell that it inserts
KNOWN = ("preset", "data", "variant", "results", "seed", "device")


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
    for source in cells:
        if not source.startswith(INJECTED):
            continue
        for statement in ast.parse(source).body:
            targets = statement.targets if isinstance(statement, ast.Assign) else []
            for name in (ast.unparse(target) for target in targets):
                if name not in KNOWN:
                    raise ValueError(
                        f"papermill passed the parameter {name}, which no lesson has: choose from "
                        f"{', '.join(KNOWN)}."
                    )
