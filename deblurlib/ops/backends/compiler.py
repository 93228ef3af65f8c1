"""Compiles the C kernels into a per-user cache and loads them with ctypes.

The sources include no torch headers, so each compiles in about a second and the result does not
depend on the version of torch. The name of a library ends in the checksum of its content, without
which a truncated one would crash every process that loads it.
"""

import atexit
import ctypes
import errno
import functools
import hashlib
import logging
import os
import platform
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

SOURCES = Path(__file__).parent / "csrc"
MATH = ["-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"]
# What compilers and linkers say when the folder is at fault, not the flags.
NO_SPACE = re.compile(
    "No space left|quota exceeded|Read-only file|File size limit|File too large|Bus error"
    "|Permission denied|cannot open output"
)
COMPILE_SECONDS = 120
log = logging.getLogger("deblurlib.ops")


class KernelUnavailable(RuntimeError):
    """A compiled kernel is not available; the message says why."""


def find_compiler() -> str | None:
    """The C compiler that is used.

    Returns:
        Path of $CC, or else of cc, gcc or clang on PATH; None if there is none.
    """
    names = shlex.split(os.environ.get("CC", ""))[:1] or ["cc", "gcc", "clang"]
    return next((path for path in map(shutil.which, names) if path), None)


def describe_cpu() -> str:
    """The features of the processor.

    Returns:
        A text that differs between processors for which -march=native may differ.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        facts = ("model name", "flags", "Features", "CPU part")
        features = {line for line in lines if line.startswith(facts)}
    except OSError:
        features = {platform.processor()}
    return "\n".join([platform.machine(), sys.platform, *sorted(features)])


def cache_folders() -> Iterator[Path]:
    """The folders that may hold compiled kernels, in order of preference.

    Yields:
        $DEBLURLIB_CACHE if set; the user's cache if there is a home; a private temporary folder.
    """
    if chosen := os.environ.get("DEBLURLIB_CACHE"):
        yield Path(chosen)
    if cache := os.environ.get("XDG_CACHE_HOME"):
        yield Path(cache) / "deblurlib"
    elif home := _home():
        yield home / ".cache" / "deblurlib"
    else:
        log.info("The user has no home directory; kernels are compiled into a temporary folder.")
    yield temporary_folder()


def _home() -> Path | None:
    """The user's home directory, which is never created; None for a user without one."""
    if os.environ.get("HOME") == "":  # which Python would take for the root of the file system
        return None
    try:
        home = Path.home()
        return home if home.is_dir() else None
    except (RuntimeError, OSError):  # such as an arbitrary user id in a container
        return None


@functools.cache
def temporary_folder() -> Path:
    """A private folder for compiled kernels, removed when the process ends.

    Returns:
        Its path, the same at every call.
    """
    folder = tempfile.mkdtemp(prefix="deblurlib-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _is_private(path: Path) -> bool:
    """Whether only this user or root can have written the content of `path`."""
    if not hasattr(os, "getuid"):
        return True
    facts = path.stat()
    others = stat.S_IWGRP | stat.S_IWOTH
    return facts.st_uid in (os.getuid(), 0) and not facts.st_mode & others


def flag_sets() -> list[list[str]]:
    """Compiler flags, in order of preference; the first set that compiles is used.

    Returns:
        Lists of flags: for this processor and threads, without threads, for any processor, plain.
    """
    native = "-mcpu=native" if platform.machine() in ("arm64", "aarch64") else "-march=native"
    threads = ["-fopenmp"]
    runtimes: list[str] = []
    if sys.platform == "darwin":
        threads = ["-Xpreprocessor", "-fopenmp", "-lomp"]
        runtimes = [f"-L{Path(torch.__file__).parent / 'lib'}"]
    base = ["-O3", "-std=gnu11", "-fPIC", "-shared", *MATH, "-lm"]
    extra = shlex.split(os.environ.get("DEBLURLIB_CFLAGS", ""))
    sets = [[native, *threads, *runtimes], [native], threads, []]
    return [[*base, *flags, *extra] for flags in sets]


def compile_source(compiler: str, flags: list[str], source: Path, target: Path) -> None:
    """Compile a C source.

    Args:
        compiler: Path of the compiler.
        flags: Its flags.
        source: The C source.
        target: The shared library, in a folder that also holds intermediate files.

    Raises:
        KernelUnavailable: If the compiler fails.
        OSError: If it fails because the folder is full or cannot be written.
    """
    done = subprocess.run(
        [compiler, str(source), "-o", str(target), *flags],
        env={**os.environ, "TMPDIR": str(target.parent), "LC_ALL": "C"},
        capture_output=True,
        text=True,
        timeout=COMPILE_SECONDS,
    )
    if not done.returncode:
        return
    said = done.stderr.strip()
    if NO_SPACE.search(said):
        raise OSError(errno.ENOSPC, said[-300:], str(target.parent))
    raise KernelUnavailable(f"{compiler} could not compile {source.name}: {said[-300:]}")


def build(name: str, real: str) -> Path:
    """Compile a kernel unless a cache holds it.

    Args:
        name: Name of the source without its suffix.
        real: C type of the numbers, "float" or "double".

    Returns:
        Path of the shared library.

    Raises:
        KernelUnavailable: If there is no compiler or no folder, or the compiler fails.
    """
    return next(builds(name, real))


def builds(name: str, real: str) -> Iterator[Path]:
    """Compile a kernel in one way after the other, unless a cache holds it.

    Args:
        name: Name of the source without its suffix.
        real: C type of the numbers, "float" or "double".

    Yields:
        Paths of whole shared libraries, the preferred one first: for each set of flags, one in
        each folder that can be written.

    Raises:
        KernelUnavailable: If there is no compiler or no folder, or the compiler fails, and at the
            end.
    """
    compiler = find_compiler()
    if compiler is None:
        raise KernelUnavailable("no C compiler was found (cc, gcc or clang on PATH, or $CC)")
    source = SOURCES / f"{name}.c"
    text = source.read_bytes() + (SOURCES / "common.h").read_bytes()
    numbers = [f"-DREAL={real}", f"-DREAL_BYTES={ctypes.sizeof(getattr(ctypes, f'c_{real}'))}"]
    stamp = Path(compiler).stat()
    problem: Exception | None = None
    for flags in flag_sets():
        parts = [describe_cpu(), compiler, stamp.st_size, stamp.st_mtime_ns, *numbers, *flags]
        stem = f"{name}-{real}-{hashlib.sha256(text + repr(parts).encode()).hexdigest()[:20]}"
        for folder in cache_folders():
            try:
                if _is_usable(folder):
                    found = _cached(folder, stem)
                    yield found or _compiled([compiler, *numbers, *flags], source, folder, stem)
            except OSError as error:  # this folder cannot be written
                problem = error
            except (KernelUnavailable, subprocess.TimeoutExpired) as error:
                problem = error  # these flags do not compile
                break
    raise KernelUnavailable(str(problem or "no compiled library can be loaded"))


def _is_usable(folder: Path) -> bool:
    """Create a cache folder if necessary, and say whether nobody else can write to it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if _is_private(folder):
        return True
    log.warning(
        "Kernels are not cached in %s, which other users own or can write to; "
        "take ownership of it and run `chmod go-w` on it.",
        folder,
    )
    return False


def _cached(folder: Path, stem: str) -> Path | None:
    """The whole library of a cache; damaged ones, and what killed compilers left, are removed."""
    for left in folder.glob(".build-*"):
        if time.time() - left.stat().st_mtime > 2 * COMPILE_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
    for path in sorted(folder.glob(f"{stem}.*.so")):
        if _is_private(path) and path.suffixes[-2] == f".{_checksum(path)}":
            return path
        path.unlink(missing_ok=True)
    return None


def _compiled(command: list[str], source: Path, folder: Path, stem: str) -> Path:
    """Compile a source into a cache, where no process ever sees an incomplete library."""
    compiler, *flags = command
    with tempfile.TemporaryDirectory(prefix=".build-", dir=folder) as place:
        partial = Path(place) / "library.so"
        compile_source(compiler, flags, source, partial)
        partial.chmod(0o700)  # the linker follows the umask, which may let a group write
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        return partial.replace(folder / f"{stem}.{_checksum(partial)}.so")


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


@functools.cache
def _load(name: str, real: str) -> ctypes.CDLL | Exception:
    refused: OSError | None = None
    try:
        for path in builds(name, real):
            try:
                return ctypes.CDLL(str(path))
            except OSError as error:  # such as a folder from which nothing may be executed
                refused = error
    except (KernelUnavailable, OSError) as error:
        return refused or error
    return KernelUnavailable("no compiled library can be loaded")


def load(name: str, dtype: torch.dtype = torch.float32) -> ctypes.CDLL:
    """Load a kernel, which is compiled first if necessary.

    Args:
        name: Name of the source without its suffix.
        dtype: float64 for the version in double precision; any other for single precision.

    Returns:
        The library.

    Raises:
        KernelUnavailable: If the kernel cannot be compiled or loaded here.
    """
    library = _load(name, "double" if dtype == torch.float64 else "float")
    if isinstance(library, Exception):
        raise KernelUnavailable(str(library))
    return library


def integers(names: str) -> list[tuple[str, type[ctypes.c_int64]]]:
    """The fields of a C structure of 64-bit integers.

    Args:
        names: Names of the fields, separated by spaces.

    Returns:
        A value for `ctypes.Structure._fields_`.
    """
    return [(name, ctypes.c_int64) for name in names.split()]


def call(
    library: ctypes.CDLL, function: str, shape: ctypes.Structure, *tensors: Tensor | None
) -> None:
    """Call a kernel.

    Args:
        library: The library, from `load`.
        function: Name of the C function.
        shape: Its first argument, passed by address.
        tensors: Its other arguments, passed as addresses of their memory; None as a null pointer.

    Raises:
        MemoryError: If the kernel could not allocate its scratch memory.
    """
    pointers = [
        ctypes.c_void_p(None if tensor is None else tensor.data_ptr()) for tensor in tensors
    ]
    if getattr(library, function)(ctypes.byref(shape), *pointers):
        raise MemoryError(
            f"{function} could not allocate its scratch memory; use smaller images or batches."
        )
