"""The manifest of a results folder: what each notebook was run with, and which files it wrote."""

import functools
import hashlib
import json
import os
import shlex
import shutil
from pathlib import Path, PurePosixPath
from typing import Any, TypedDict

from ..provenance import environment, hash_files
from ..storage import write_atomically
from .dependencies import PACKAGE, files_of
from .names import READS, lessons_in, number
from .notebooks import cores, source_hash

INPUTS = ("preset", "data", "variant", "seed", "device")  # parameters that affect numbers


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

    def __init__(self, folder: Path, parameters: dict[str, Any], threads: int) -> None:
        """Read the manifest of a results folder, if there is one.

        Args:
            folder: The results folder, whose lock this process holds.
            parameters: The parameters of this run, among them those in INPUTS.
            threads: How many threads compute each notebook.

        Raises:
            ValueError: If a folder is in place of the manifest.
        """
        self.folder, self.path, self.threads = folder, folder / "manifest.json", threads
        self.inputs = {name: parameters[name] for name in INPUTS} | {
            "data": Path(parameters["data"]).name,
            "data_hash": data_hash(parameters["data"]),
        }
        self.environment = environment()
        self.arithmetic = arithmetic()
        if self.path.is_dir():
            raise ValueError(f"{self.path} is a folder, not a file: remove it and run this again.")
        self.notebooks, _, self.damaged = read_manifest(folder)

    def key(self, path: Path) -> str:
        """Hash everything that a notebook's results depend on.

        Args:
            path: The notebook; those whose records it reads have finished.

        Returns:
            A sha256 over its source, the files of the library that it imports, the parameters, the
            contents of the data, the records that it reads, the number of threads, the kernels, and
            the versions of Python and the packages.
        """
        parts = [
            source_hash(path),
            hash_files(files_of(path, PACKAGE), PACKAGE.parent),
            self.inputs,
            records_hash(path, self.folder),
            self.threads,
            self.arithmetic,
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
        entry = self.notebooks.get(name)
        if entry is None or entry.get("state") not in ("done", "cached") or entry.get("key") != key:
            return False
        files = {self.folder / path: sha256 for path, sha256 in entry["outputs"].items()}
        return all(path.is_file() and file_hash(path) == sha256 for path, sha256 in files.items())

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


def read_manifest(folder: Path) -> tuple[dict[str, Entry], dict[str, Any], bool]:
    """Read the manifest of a results folder as far as it is valid.

    Args:
        folder: The results folder.

    Returns:
        The entries of notebooks by name; everything else that it records; and whether any of it
        is damaged.
    """
    path = folder / "manifest.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}, {}, False
    except (OSError, ValueError, RecursionError):
        return {}, {}, True
    if not isinstance(content, dict):
        return {}, {}, True
    notebooks = content.pop("notebooks", None)
    entries = notebooks if isinstance(notebooks, dict) else {}
    valid = {name: entry for name, entry in entries.items() if _is_entry(entry)}
    if not isinstance(content.get("inputs"), dict):
        return valid, content | {"inputs": {}}, True
    return valid, content, entries is not notebooks or len(valid) < len(entries)


def _is_entry(entry: Any) -> bool:
    """Whether a value has the types of an `Entry`, and its outputs lie in the results folder."""
    if not isinstance(entry, dict) or not isinstance(entry.get("outputs"), dict):
        return False
    texts = [entry.get(name) for name in ("state", "key")]
    texts += [entry.get(name) or "" for name in ("error", "cell")]
    texts += [*entry["outputs"].values()]
    inside = all(
        not PurePosixPath(path).is_absolute() and ".." not in PurePosixPath(path).parts
        for path in entry["outputs"]
    )
    seconds = entry.get("seconds")
    return inside and all(isinstance(t, str) for t in texts) and isinstance(seconds, int | float)


@functools.cache
def arithmetic() -> dict[str, Any]:
    """Describe what decides on the last digits besides the library and its packages.

    Returns:
        The backend of the operators, and the compiler and flags of their C kernels, without which
        they run in plain PyTorch.
    """
    names = shlex.split(os.environ.get("CC", ""))[:1] or ["cc", "gcc", "clang"]
    compiler = next((path for path in map(shutil.which, names) if path), None)
    return {
        "backend": os.environ.get("DEBLURLIB_BACKEND", "auto"),
        "compiler": None if compiler is None else [compiler, Path(compiler).stat().st_size],
        "flags": os.environ.get("DEBLURLIB_CFLAGS", ""),
    }


def data_hash(root: str) -> str:
    """Hash a data set by the names and contents of its files.

    Args:
        root: Root of the data set, or "" for the bundled scenes.

    Returns:
        The first 16 hexadecimal digits of a sha256, or "" for the bundled scenes.
    """
    if not root:
        return ""
    return hash_files((path for path in Path(root).rglob("*") if path.is_file()), Path(root))


def records_hash(path: Path, folder: Path) -> str:
    """Hash what a notebook reads of the others: their records, and which cells were executed.

    Args:
        path: The notebook.
        folder: The results folder.

    Returns:
        The first 16 hexadecimal digits of a sha256, or "" for a notebook that reads no other.
    """
    if number(path) not in READS:
        return ""
    records = [
        record
        for other in READS[number(path)]
        for record in folder.glob(f"ledger/{other}_*.json")
        if not record.name.endswith(".origin.json")
    ]
    return hash_files([*records, *lessons_in(path.parent)[0]])
