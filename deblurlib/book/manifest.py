"""The manifest of a results folder: what each notebook was run with, and which files it wrote."""

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any, TypedDict

from ..results import environment, hash_files, write_atomically
from .notebooks import cores, source_hash

INPUTS = ("preset", "data", "variant", "seed", "device")  # parameters that affect numbers
# Files and folders of the package that no notebook imports: changing them outdates no notebook.
ASIDE = (
    "__main__.py",
    "cli",
    "bench/cases.py",
    "bench/chart.py",
    "bench/contestants.py",
    "bench/networks.py",
    "bench/operators.py",
    "bench/training.py",
    "book/api.py",
    "book/editions.py",
    "book/manifest.py",
    "book/notebooks.py",
    "book/page.html.j2",
    "book/pages.py",
    "book/report.html",
    "book/report.py",
    "book/reproduce.py",
    "book/task.py",
)


PACKAGE = Path(__file__).resolve().parent.parent


class Entry(TypedDict, total=False):
    """The manifest's entry for one notebook."""

    inputs: dict[str, Any]  # the parameters in INPUTS, and the hash of the data
    state: str  # done, cached or failed
    key: str  # see Manifest.key
    source_sha256: str
    threads: int
    seconds: float
    outputs: dict[str, str]  # sha256 of each written file by its path below the results folder
    cell: str | None  # of a failed run: the first line of the cell that failed
    error: str  # of a failed run: the reason


class Manifest:
    """results/manifest.json: inputs, state and outputs of each notebook; written after each one."""

    def __init__(self, folder: Path, parameters: dict[str, Any]) -> None:
        """Read the manifest of a results folder, if there is one.

        Args:
            folder: The results folder.
            parameters: The parameters of this run, among them those in INPUTS.
        """
        self.folder, self.path = folder, folder / "manifest.json"
        self.inputs = {name: parameters[name] for name in INPUTS} | {
            "data": Path(parameters["data"]).name,
            "data_hash": data_hash(parameters["data"]),
        }
        self.library = hash_files(library_files(), PACKAGE.parent)
        self.environment = environment()
        self.notebooks: dict[str, Entry] = {}
        with suppress(OSError, ValueError, KeyError):  # none yet, or damaged: every notebook runs
            self.notebooks = json.loads(self.path.read_text())["notebooks"]

    def key(self, path: Path) -> str:
        """Hash everything that a notebook's results depend on.

        Args:
            path: The notebook.

        Returns:
            A sha256 over its source, the library with its weights, the parameters, the data, and
            the versions of Python and the packages.
        """
        parts = [
            source_hash(path),
            self.library,
            self.inputs,
            self.environment["versions"],
            self.environment["python"],
        ]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def is_current(self, name: str, key: str) -> bool:
        """Check whether a notebook is up to date: it succeeded with this key, its files are intact.

        Args:
            name: Name of the notebook without its suffix.
            key: Its current key.

        Returns:
            Whether it need not run.
        """
        entry = self.notebooks.get(name, {})
        if entry.get("state") not in ("done", "cached") or entry.get("key") != key:
            return False
        files = {self.folder / path: sha256 for path, sha256 in entry["outputs"].items()}
        return all(path.exists() and file_hash(path) == sha256 for path, sha256 in files.items())

    def mark_cached(self, name: str) -> None:
        """Mark a notebook as not run because nothing has changed.

        Args:
            name: Name of the notebook without its suffix.
        """
        self.notebooks[name]["state"] = "cached"
        self.write()

    def record(self, name: str, entry: Entry) -> None:
        """Store the entry of a notebook that has run.

        After a success, files that an earlier run wrote and this one did not are removed.

        Args:
            name: Name of the notebook without its suffix.
            entry: Its new entry.
        """
        if entry["state"] == "done":
            earlier = self.notebooks.get(name, {}).get("outputs", {})
            for path in set(earlier) - set(entry["outputs"]):
                (self.folder / path).unlink(missing_ok=True)
        self.notebooks[name] = {"inputs": self.inputs, **entry}
        self.write()

    def write(self) -> None:
        """Write the manifest as JSON, notebooks in order."""
        content = {
            "inputs": self.inputs,
            **self.environment,
            "cores": cores(),
            "notebooks": dict(sorted(self.notebooks.items())),
        }
        write_atomically(self.path, json.dumps(content, indent=1) + "\n")


def file_hash(path: Path) -> str:
    """Return the sha256 of a file in hexadecimal digits.

    Args:
        path: The file.
    """
    return hashlib.sha256(path.read_bytes()).hexdigest()


def data_hash(root: str) -> str:
    """Hash a data set by the names and sizes of its files, not by their contents.

    Args:
        root: Root of the data set, or "" for the bundled scenes.

    Returns:
        The first 16 hexadecimal digits of a sha256, or "" for the bundled scenes.
    """
    if not root:
        return ""
    digest = hashlib.sha256()
    for path in sorted(path for path in Path(root).rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(root).as_posix()}\0{path.stat().st_size}\0".encode())
    return digest.hexdigest()[:16]


def library_files() -> list[Path]:
    """List every file of the package that a notebook's numbers can depend on: all but ASIDE.

    Returns:
        The files, in no particular order.
    """
    files = [
        path.relative_to(PACKAGE)
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    return [PACKAGE / path for path in files if not {path.as_posix(), path.parts[0]} & set(ASIDE)]
