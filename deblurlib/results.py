"""Writing results so that each number says where it came from: tables as CSV with a JSON sidecar, figures as PNG."""

import hashlib
import io
import json
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
RECORDED_VERSIONS = (
    "torch",
    "torchvision",
    "numpy",
    "opencv-contrib-python-headless",
    "scikit-image",
    "pandas",
)


def results_folder(folder: str | Path | None = None) -> Path:
    """Where results go: `folder`, else $DEBLURLIB_RESULTS, else `results` beside the package (or below the current folder)."""
    beside = ROOT / "results" if (ROOT / "notebooks").is_dir() else Path.cwd() / "results"
    return Path(str(folder or os.environ.get("DEBLURLIB_RESULTS", "") or beside)).resolve()


def data_folder(data: str | Path | None) -> Path | None:
    """The root of a data set as an absolute path, None for the bundled scenes (""); FileNotFoundError where there is none."""
    folder = Path(str(data or "")).expanduser()  # papermill takes a folder called 2020 for a number
    if data and not folder.is_dir():
        raise FileNotFoundError(
            f"The data folder {data} does not exist: give the root of a data set, or '' for the bundled scenes."
        )
    return folder.resolve() if data else None


def whole_seed(seed: int) -> int:
    """A seed that every generator takes; ValueError for anything else."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError(f"seed is {seed!r}: give a whole number from 0 to {2**32 - 1}.")
    return seed


def write_atomically(path: Path, content: str | bytes) -> Path:
    """Write under a temporary name beside `path`, then rename: a full disk or a kill never leaves half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def save_table(table: pd.DataFrame, path: Path, **origin) -> pd.DataFrame:
    """Write `table` as CSV and, beside it, a JSON file with `origin` (preset, seed, data …), versions and git commit.

    The CSV holds nothing that changes between two equal runs: it is the same to the byte.
    """
    text = table.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    write_atomically(path, text)
    sidecar = {**origin, "sha256": hashlib.sha256(text.encode()).hexdigest(), **environment()}
    write_atomically(path.with_suffix(".json"), json.dumps(sidecar, indent=1, default=str) + "\n")
    return table


def save_figure(figure, path: Path) -> Path:
    """Write a matplotlib figure as a 100 dpi PNG without a date, so that equal figures are equal files.

    The PNG's field "Description" says in words what the figure shows, for those who cannot see it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.png")
    figure.savefig(temporary, dpi=100, metadata={"Software": None, "Description": describe(figure)})
    os.replace(temporary, path)
    return path


def save_picture(picture, path: Path) -> Path:
    """Write an array (H, W, 3) in [0, 1] as an 8-bit PNG."""
    from PIL import Image

    Image.fromarray((255 * picture).round().astype("uint8")).save(
        buffer := io.BytesIO(), "PNG", optimize=True
    )
    return write_atomically(path, buffer.getvalue())


def describe(figure) -> str:
    """The words of a figure, panel by panel: title, axes, legend."""
    panels = []
    for axes in figure.axes:
        words = [title for place in ("left", "center", "right") if (title := axes.get_title(place))]
        words += [
            f"{name}: {label}"
            for name, label in (("x", axes.get_xlabel()), ("y", axes.get_ylabel()))
            if label
        ]
        names = [name for name in axes.get_legend_handles_labels()[1] if axes.get_legend()]
        panels += [", ".join([*words, *([f"shown: {', '.join(names)}"] if names else [])])]
    title = figure.get_suptitle()
    return "; ".join(" ".join(words.split()) for words in [title, *panels] if words)


def environment() -> dict:
    """What a measurement ran on: library versions, python, machine type, git commit (with "+" where files had changed)."""
    return {
        "git_commit": git_commit(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "versions": {name: _version(name) for name in RECORDED_VERSIONS},
    }


def git_commit() -> str:
    """The commit of the source tree, "unknown" outside a git checkout."""
    try:
        return subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def hash_files(paths, root: Path | None = None) -> str:
    """A short sha256 over names and contents of files, independent of their order in `paths`."""
    digest = hashlib.sha256()
    for path in sorted(map(Path, paths)):
        digest.update(str(path.relative_to(root) if root else path.name).encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
