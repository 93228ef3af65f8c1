"""Sliders that work without a kernel: the figures of an explorer, drawn beforehand.

`lesson.explore` writes results/frames/NN_NAME.json. The web site shows them below the code of the
cell, in place of its still image.
"""

import base64
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

from .. import figures
from ..storage import write_atomically
from .extra import notebook_packages
from .widgets import Explorer

with notebook_packages():
    import jinja2
    from nbformat import NotebookNode
    from nbformat.v4 import new_output

STEPS = 8  # positions of a slider beside the one where it begins
EXPLORED = re.compile(r'lesson\.explore\(.*"(\w+)"\)\s*\Z', re.DOTALL)  # what ends a cell


def write(explorer: Explorer, path: Path) -> Path:
    """Draw the figures of an explorer with one slider moved at a time, and write them as JSON.

    Args:
        explorer: The explorer; it is not changed.
        path: The JSON file.

    Returns:
        The same path.
    """
    begin = {name: slider.value for name, slider in explorer.sliders.items()}
    sliders = []
    for name, slider in explorer.sliders.items():
        values = positions(slider)
        sliders.append(
            {
                "description": slider.description,
                "begin": values.index(slider.value),
                "labels": [format(value, slider.readout_format) for value in values],
                "frames": [_drawn(explorer, begin | {name: value}) for value in values],
            }
        )
    return write_atomically(path, json.dumps(sliders, indent=0) + "\n")


def positions(slider: Any) -> list[float]:
    """Choose the values of a slider to draw.

    Args:
        slider: A slider of an explorer.

    Returns:
        Its present value and values spread evenly from its smallest to its largest, ascending; on
        a logarithmic slider, spread evenly in their exponents.
    """
    shares = [k / (STEPS - 1) for k in range(STEPS)]
    spread = [slider.min + share * (slider.max - slider.min) for share in shares]
    if hasattr(slider, "base"):
        spread = [slider.base**exponent for exponent in spread]
    if isinstance(slider.value, int):
        spread = [round(value) for value in spread]
    return sorted({*spread, slider.value})


def _drawn(explorer: Explorer, values: dict[str, float]) -> str:
    """The figure for some values, as a data URI."""
    data, kind = figures.style.encoded(figures.as_png(explorer.draw(**values)))
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def with_sliders(notebook: NotebookNode, prefix: str, folder: Path) -> NotebookNode:
    """Replace the still images of explorers by sliders, where their frames are stored.

    Args:
        notebook: A notebook of format 4 with its outputs; it is changed in place.
        prefix: Number of the lesson, such as "01".
        folder: The folder results/frames.

    Returns:
        The same notebook.
    """
    for cell in notebook.cells:
        found = EXPLORED.search(cell.source) if cell.cell_type == "code" else None
        path = folder / f"{prefix}_{found[1]}.json" if found else None
        if path is None or not path.is_file():
            continue
        sliders = json.loads(path.read_text(encoding="utf-8"))
        for place, output in enumerate(cell.outputs):
            kind = next((k for k in output.get("data", {}) if k.startswith("image/")), None)
            if kind is not None:
                still = f"data:{kind};base64,{output.data[kind].strip()}"
                said = output.metadata.get(kind, {})
                html = _template().render(sliders=sliders, still=still, **said)
                cell.outputs[place] = new_output("display_data", {"text/html": html})
    return notebook


def _template() -> jinja2.Template:
    source = files("deblurlib.book").joinpath("explorer.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(source)
