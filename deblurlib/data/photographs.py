"""The sharp photographs that scenes are rendered from; no image belongs to two splits."""

from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .layouts import find_pictures
from .pictures import read_picture, to_8_bits

BUNDLED = Path(__file__).parent / "photos"

# split -> photographs, bundled here or inside the installed scikit-image and scikit-learn
SPLITS = {
    "train": (
        "photos/alpine_path.jpg",
        "photos/mountain_meadow.jpg",
        "photos/forest_stream.jpg",
        "photos/brushes.jpg",
        "photos/dandelion.jpg",
        "photos/sunset.jpg",
        "skimage/coffee.png",
        "skimage/rocket.jpg",
        "sklearn/flower.jpg",
    ),
    "validation": ("photos/bowl.jpg", "skimage/chelsea.png", "skimage/motorcycle_right.png"),
    "test": (
        "photos/dogs.jpg",
        "photos/drum_and_wine.jpg",
        "skimage/astronaut.png",
        "sklearn/china.jpg",
    ),
}


def list_photographs(split: str, folder: str | Path | None = None) -> list[Path]:
    """List the photographs of a split.

    Args:
        split: "train", "validation" or "test".
        folder: Folder whose images, including subfolders, replace the bundled ones: every tenth in
            sorted order goes to "validation", the one after it to "test".

    Returns:
        The paths, in a fixed order.

    Raises:
        ValueError: If the split is unknown, or the folder holds fewer than ten images.
    """
    if split not in SPLITS:
        raise ValueError(f"There is no split {split!r}: choose one of {', '.join(SPLITS)}.")
    if folder is None:
        return [_bundled_path(name) for name in SPLITS[split]]
    pictures = find_pictures(Path(folder))
    if len(pictures) < 10:
        raise ValueError(
            f"{folder} holds {len(pictures)} images: at least 10 are needed for three splits."
        )
    side = {0: "validation", 1: "test"}
    return [p for i, p in enumerate(pictures) if side.get(i % 10, "train") == split]


@lru_cache(maxsize=512)
def load_photograph(path: str | Path) -> NDArray[np.uint8]:
    """Read a photograph to render scenes from, once per process.

    Args:
        path: An image file of any readable kind.

    Returns:
        (H, W, 3) RGB, upright, without alpha and read-only; 16-bit images are rounded to 8 bits.

    Raises:
        ValueError: If the image cannot be read.
    """
    pixels = to_8_bits(read_picture(path))
    pixels.setflags(write=False)
    return pixels


@cache
def _bundled_path(name: str) -> Path:
    package, file = name.split("/")
    if package == "photos":
        return BUNDLED / file
    if package == "skimage":
        import skimage

        return Path(skimage.__file__).parent / "data" / file
    import sklearn

    return Path(sklearn.__file__).parent / "datasets" / "images" / file
