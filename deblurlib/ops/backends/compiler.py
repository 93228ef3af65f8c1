"""Compiles the C kernels into a per-user cache and loads them with ctypes.

The sources include no torch headers, so each compiles in about a second and the result does not
depend on the version of torch.
"""

import atexit
import ctypes
import functools
import hashlib
import logging
import os
import platform
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

SOURCES = Path(__file__).parent / "csrc"
MATH = ["-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"]
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
    """Compile a C source; another process never sees an incomplete file under the final name.

    Args:
        compiler: Path of the compiler.
        flags: Its flags.
        source: The C source.
        target: The shared library.

    Raises:
        KernelUnavailable: If the compiler fails.
    """
    handle, name = tempfile.mkstemp(suffix=".so", dir=target.parent)
    os.close(handle)
    partial = Path(name)
    try:
        command = [compiler, str(source), "-o", name, *flags]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise KernelUnavailable(
                f"{compiler} could not compile {source.name}: {done.stderr.strip()[-300:]}"
            )
        partial.chmod(0o700)  # the linker follows the umask, which may let a group write
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


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
        key = hashlib.sha256(text + repr(parts).encode()).hexdigest()[:20]
        for folder in cache_folders():
            target = folder / f"{name}-{real}-{key}.so"
            try:
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                if not _is_private(folder):
                    log.warning(
                        "Kernels are not cached in %s, which other users own or can write to; "
                        "take ownership of it and run `chmod go-w` on it.",
                        folder,
                    )
                    continue
                if not (target.exists() and _is_private(target)):
                    compile_source(compiler, [*numbers, *flags], source, target)
                return target
            except OSError as error:  # this folder cannot be written
                problem = error
            except (KernelUnavailable, subprocess.TimeoutExpired) as error:
                problem = error  # these flags do not compile
                break
    raise KernelUnavailable(str(problem))


@functools.cache
def _load(name: str, real: str) -> ctypes.CDLL | Exception:
    try:
        return ctypes.CDLL(str(build(name, real)))
    except (KernelUnavailable, OSError) as error:
        return error


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
