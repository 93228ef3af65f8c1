"""Keeping a page of the book below the size that hosting sites still display."""

import base64
import io
from collections.abc import Iterator

from PIL import Image

from .extra import notebook_packages

with notebook_packages():
    import nbformat
    from nbformat import NotebookNode

MOST_BYTES = 890_000
COARSER, QUALITY = 0.75, 76  # of a photograph that gives way
JPEG = "image/jpeg"


def fit(notebook: NotebookNode, most: int = MOST_BYTES) -> NotebookNode:
    """Reduce the resolution of the largest photographs until a notebook is small enough.

    Args:
        notebook: A notebook of format 4; it is changed in place.
        most: The size of its file, in bytes.

    Returns:
        The same notebook; it may still be larger if its photographs are small already.
    """
    for data in sorted(_photographs(notebook), key=lambda each: -len(each[JPEG])):
        if len(nbformat.writes(notebook).encode()) <= most:
            break
        full = Image.open(io.BytesIO(base64.b64decode(data[JPEG])))
        size = (round(full.width * COARSER), round(full.height * COARSER))
        content = io.BytesIO()
        full.resize(size, Image.Resampling.LANCZOS).save(
            content, "JPEG", quality=QUALITY, subsampling="4:2:0", optimize=True
        )
        data[JPEG] = base64.b64encode(content.getvalue()).decode() + "\n"
    return notebook


def _photographs(notebook: NotebookNode) -> Iterator[NotebookNode]:
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if JPEG in output.get("data", {}):
                yield output.data
