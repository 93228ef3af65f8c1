"""Comparing the results of a disturbed command with those of an undisturbed one."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import nbformat
from safetensors.torch import load

LEFTOVERS = re.compile(r"\..+\.tmp|.*\.running\.ipynb|kernel-.*\.json|.*\.partial\.csv|\.build-.*")
VARYING = {
    *("seconds", "cpu_seconds", "git_commit"),  # of trainings, tables and the manifest
    *("start_time", "end_time", "duration", "date", "time"),  # of executed notebooks
}

Snapshot = dict[str, Any]  # by file: its content if it is JSON, otherwise its checksum


def snapshot(folder: Path) -> Snapshot:
    """What the files of a folder hold, without times and places."""
    return {
        path.relative_to(folder).as_posix(): _content(path, folder)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(".lock") and path.parent.name != "logs"
    }


def _content(path: Path, folder: Path) -> Any:
    # also the place of the folder that this one is a copy of
    data = re.sub(re.escape(str(folder.parent)).encode() + rb"/out\d+", b"", path.read_bytes())
    if path.suffix == ".html":
        return ""  # says when a notebook was run
    if path.suffix == ".safetensors":
        tensors = load(data)
        data = b"".join(n.encode() + t.numpy().tobytes() for n, t in sorted(tensors.items()))
    elif path.suffix == ".ipynb":
        cells = nbformat.reads(data.decode(), as_version=4).cells
        data = json.dumps([[cell.source, cell.get("outputs", [])] for cell in cells]).encode()
    elif path.suffix == ".json":
        content = _fixed(json.loads(data))
        if path.name == "finished.json":
            return _marker(content, path.parent)
        return _manifest(content, folder) if path.name == "manifest.json" else content
    return hashlib.sha256(data).hexdigest()


def _fixed(value: Any) -> Any:
    """JSON without values that vary between equal runs."""
    if isinstance(value, dict):
        return {name: _fixed(each) for name, each in value.items() if name not in VARYING}
    return [_fixed(each) for each in value] if isinstance(value, list) else value


def _manifest(content: Any, folder: Path) -> Any:
    """The manifest with a statement about each checksum, since some files say when they arose."""
    for entry in content["notebooks"].values():
        entry["outputs"] = {n: _has(folder / n, h) for n, h in entry["outputs"].items()}
        entry["state"] = entry["state"].replace("cached", "done")
    return content


def _marker(content: Any, folder: Path) -> Any:
    """The marker of a training, likewise: the record says how long it took."""
    content["files"] = {name: _has(folder / name, h) for name, h in content["files"].items()}
    return {**content, "check": ""}


def _has(path: Path, sha256: str) -> str:
    intact = path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    return "intact" if intact else "not that of the file"


def difference(reference: Snapshot, folder: Path) -> str:
    """In what a folder differs from the undisturbed run; empty if in nothing."""
    left = [p.name for p in folder.rglob("*") if LEFTOVERS.fullmatch(p.name)]
    if left:
        return f"left behind: {left[0]}"
    try:
        found = snapshot(folder)
    except Exception as error:
        return f"unreadable: {error!r}"
    missing, extra = set(reference) - set(found), set(found) - set(reference)
    changed = [name for name in set(reference) & set(found) if reference[name] != found[name]]
    for title, names in (("missing", missing), ("new", extra)):
        if names:
            return f"{title}: {min(names)}"
    if changed:
        name = min(changed)
        return f"different: {name} {_where(reference[name], found[name])}".rstrip()
    return ""


def _where(one: Any, other: Any, path: str = "") -> str:
    """The first place at which two contents of JSON files differ."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        key = next(key for key in one if one[key] != other[key])
        return _where(one[key], other[key], f"{path}/{key}")
    return f"at {path}: {one!r:.100} became {other!r:.100}" if path else ""
