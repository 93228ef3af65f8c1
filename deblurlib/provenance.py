"""Where a number comes from: versions, the commit of the source tree, and hashes of files."""

import hashlib
import platform
import subprocess
import time
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
# Distributions whose versions are recorded; of alternatives, the installed one.
RECORDED_VERSIONS = (
    ("torch",),
    ("torchvision",),
    ("numpy",),
    ("opencv-contrib-python-headless", "opencv-contrib-python"),
    ("scikit-image",),
    ("pandas",),
)


def environment() -> dict[str, Any]:
    """Describe the environment of a measurement.

    Returns:
        git_commit, python, machine (the type of processor) and versions, by distribution.
    """
    return {
        "git_commit": git_commit(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "versions": dict(_installed(names) for names in RECORDED_VERSIONS),
    }


def git_commit(root: Path | None = None) -> str:
    """Return the commit of a source tree, with "+" if files have changed since.

    Args:
        root: The folder of a checkout of this project; None for this one.

    Returns:
        Twelve hexadecimal digits, or "unknown" outside a checkout of this project, such as in an
        environment within the repository of another one.
    """
    package = f"{Path(__file__).parent.name}/__init__.py"
    root = ROOT if root is None else root
    try:
        if _git(root, "ls-files", "--full-name", package) != package:
            return "unknown"
        return _git(root, "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=root, capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()


def hash_files(paths: Iterable[str | Path], root: Path | None = None) -> str:
    """Hash the names and contents of files.

    Args:
        paths: The files, in any order.
        root: The folder that names are relative to; None for the bare file names.

    Returns:
        The first 16 hexadecimal digits of a sha256.
    """
    digest = hashlib.sha256()
    for path in sorted(map(Path, paths)):
        digest.update(str(path.relative_to(root) if root else path.name).encode() + b"\0")
        digest.update(digest_of(path))
    return digest.hexdigest()[:16]


def digest_of(path: Path) -> bytes:
    """Compute the sha256 of a file's content, once as long as the file does not change.

    Args:
        path: The file. It counts as unchanged while its size, times and inode stay the same.

    Returns:
        32 bytes.
    """
    facts = _identity(path)
    found = _digests.get(path)
    if found is not None and found[0] == facts:
        return found[1]
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    # file systems count time in steps of up to 2 s: a later change could show the same time
    if facts == _identity(path) and time.time_ns() - max(facts.modified, facts.changed) > 2e9:
        _digests[path] = facts, digest
    return digest


class _Identity(NamedTuple):
    """Facts about a file that change with its content."""

    size: int
    modified: int
    changed: int
    inode: int


_digests: dict[Path, tuple[_Identity, bytes]] = {}


def _identity(path: Path) -> _Identity:
    facts = path.stat()
    return _Identity(facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino)


def _installed(names: tuple[str, ...]) -> tuple[str, str]:
    """Name and version of the installed one among alternative distributions."""
    for name in names:
        try:
            return name, version(name)
        except PackageNotFoundError:
            continue
    return names[0], "absent"
