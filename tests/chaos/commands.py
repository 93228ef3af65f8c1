"""The commands that are disturbed, and their inputs."""

from dataclasses import dataclass, replace
from pathlib import Path

import av
import nbformat
import numpy as np
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from PIL import Image

from deblurlib.experiments.presets import PRESETS
from deblurlib.experiments.tables import TABLES
from deblurlib.training import loop

TINY = {"scene_size": 64, "patch": 32, "batch": 2, "train_steps": 4, "tuning_steps": 2}
SCENES = {"train_scenes": 2, "test_scenes": 2}
LESSONS = {
    "01_numbers": """
import numpy as np, pandas as pd
from pathlib import Path
from deblurlib.results import save_table
random = np.random.default_rng(seed)
table = pd.DataFrame({"psnr": random.random(5)})
save_table(table, Path(results) / "tables" / "01_numbers.csv", seed=seed);
""",
    "02_figure": """
import json, numpy as np
from pathlib import Path
from deblurlib.results import save_picture
from deblurlib.storage import write_atomically
picture = np.random.default_rng(seed).random((8, 8, 3))
save_picture(picture, Path(results) / "figures" / "02_a.png")
write_atomically(Path(results) / "ledger" / "02_V1.json", json.dumps({"value": 1}));
""",
}
PARAMETERS = 'preset = "smoke"\ndata = ""\nvariant = ""\nresults = ""\nseed = 0\ndevice = "auto"'


KINDS = ("empty", "truncated", "garbage", "one bit", "a folder")


@dataclass(frozen=True)
class Command:
    """A command that is disturbed.

    Attributes:
        name: Its name.
        arguments: Its arguments, in which {out} is a new folder and {data} that of the inputs.
        damaged: The inputs that are damaged; None if results are damaged instead.
        kinds: The kinds of damage that must be noticed.
        share: Its share of the signals; less for commands that take longer.
    """

    name: str
    arguments: str
    damaged: str | None = None
    kinds: tuple[str, ...] = KINDS
    share: float = 1.0


COMMANDS = [
    Command(
        "deblur",
        "deblur {data}/in -o {out}/sharp --compare --tile 32",
        damaged="in",
        kinds=KINDS[:-1],
    ),
    Command(
        "evaluate",
        "evaluate {data}/pairs --overwrite -o {out}/table.csv",
        damaged="pairs",
        kinds=KINDS[:-1],
    ),
    Command(
        "make-pairs",
        "make-pairs {data}/films --frames 3 --flow -o {out}/pairs",
        damaged="films",
        kinds=("empty", "garbage"),  # films have no checksums
    ),
    Command("train", "train svdn --preset tiny --checkpoint-every 3 --results {out}"),
    Command("sweep", "sweep svdn_table2 --preset tiny --jobs 1 --results {out}", share=0.5),
    Command(
        "reproduce",
        "reproduce --preset smoke --notebooks {data}/notebooks --results {out} --jobs 2",
        share=0.5,
    ),
]


def make_work_small() -> None:
    """Add the preset `tiny`, leave two rows of the swept table, and log every step."""
    PRESETS["tiny"] = replace(PRESETS["smoke"], name="tiny", **TINY, **SCENES)
    TABLES["svdn_table2"] = {name: TABLES["svdn_table2"][name] for name in ("base", "fd")}
    loop.LOG_EVERY = 1


def write_inputs(data: Path) -> None:
    """Write images, pairs, films and notebooks.

    Args:
        data: A new folder.
    """
    rng = np.random.default_rng(0)
    for folder in ("in", "pairs/blur", "pairs/sharp"):
        (data / folder).mkdir(parents=True)
        for name in "abcdef"[: 5 if folder == "in" else 3]:
            pixels = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(data / folder / f"{name}.png")
    (data / "films").mkdir()
    for name in "ab":
        with av.open(str(data / "films" / f"{name}.mkv"), "w") as film:
            stream = film.add_stream("ffv1", rate=240, width=32, height=24)
            for _ in range(7):
                pixels = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
                film.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
            film.mux(stream.encode(None))
    (data / "notebooks").mkdir()
    for name, code in LESSONS.items():
        parameters = new_code_cell(PARAMETERS)
        parameters.metadata.tags = ["parameters"]
        cells = [new_markdown_cell(f"# {name}\n\nA claim."), parameters, new_code_cell(code)]
        nbformat.write(new_notebook(cells=cells), data / "notebooks" / f"{name}.ipynb")
