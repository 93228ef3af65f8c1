"""The sharp photographs that scenes are rendered from; no image belongs to two splits."""

from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..wording import counted
from .pairing import find_pictures
from .pictures import read_picture, to_8_bits

BUNDLED = Path(__file__).parent / "photos"

# split -> photographs, bundled here or inside the installed scikit-image and scikit-learn
FIRST = {
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
ADDED = {
    "train": (
        "photos/blue_periwinkle.jpg",
        "photos/extreme_desert_hike.jpg",
        "photos/high_trestle_trail.jpg",
        "photos/lake_sherburne.jpg",
        "photos/lantern.jpg",
        "photos/ocean_waves.jpg",
        "photos/piazza_gae_aulenti.jpg",
        "photos/pier.jpg",
        "photos/plum_blossoms.jpg",
        "photos/singaporean_cityscape.jpg",
        "photos/spacecraft.jpg",
    ),
    "validation": (
        "photos/canyon_wren.jpg",
        "photos/rock_and_lake.jpg",
        "photos/slot_canyon.jpg",
    ),
    "test": (
        "photos/beacon_street_sunset.jpg",
        "photos/casa_mila.jpg",
        "photos/oakland_zoo_otters.jpg",
        "photos/perched_osprey.jpg",
        "photos/roman_colosseum.jpg",
        "photos/tea_gardens.jpg",
        "photos/the_spices_of_life.jpg",
        "photos/tulips.jpg",
    ),
}
# A collection never changes: a scene is reproduced by the name of its collection. A new one keeps
# every photograph on its side, so weights trained on one may be tested on another.
COLLECTIONS = {
    "first": FIRST,
    "wide": {split: FIRST[split] + ADDED[split] for split in FIRST},
}
DEFAULT_COLLECTION = "first"
SPLITS = tuple(FIRST)


def is_collection(photos: str | Path | None) -> bool:
    """Tell whether photographs are a bundled collection rather than a folder.

    Args:
        photos: Name of a collection, a folder, or None for the default collection. A folder whose
            name is that of a collection is written with its path, such as "./wide".

    Returns:
        Whether they are a collection.
    """
    return photos is None or (isinstance(photos, str) and photos in COLLECTIONS)


def list_photographs(split: str, photos: str | Path | None = None) -> list[Path]:
    """List the photographs of a split.

    Args:
        split: "train", "validation" or "test".
        photos: A bundled collection, "first" (16 photographs) or "wide" (these and 22 more, on the
            same sides); None for `DEFAULT_COLLECTION`. Or a folder, whose images, including
            subfolders, take its place: every tenth in sorted order goes to "validation", the one
            after it to "test".

    Returns:
        The paths, in a fixed order.

    Raises:
        ValueError: If the split is unknown, the photographs are neither a collection nor a folder,
            or the folder holds fewer than ten images.
    """
    if split not in SPLITS:
        raise ValueError(f"There is no split {split!r}: choose one of {', '.join(SPLITS)}.")
    if photos is None or is_collection(photos):
        collection = COLLECTIONS[DEFAULT_COLLECTION if photos is None else str(photos)]
        return [_bundled_path(name) for name in collection[split]]
    if not Path(photos).is_dir():
        raise ValueError(
            f"{photos} is not a folder of photographs: give one, or the collection "
            f"{' or '.join(repr(name) for name in COLLECTIONS)}."
        )
    pictures = find_pictures(Path(photos))
    if len(pictures) < 10:
        raise ValueError(
            f"{photos} holds {counted(len(pictures), 'image')}: at least 10 are needed for "
            "three splits."
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
