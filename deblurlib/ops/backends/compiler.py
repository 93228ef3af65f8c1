"""Compiles a C source of this folder once into a per-user cache and loads it with ctypes.

Nothing of torch is included, so a source compiles in about a second and the result does not depend on torch's version.
"""

import atexit
import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

SOURCES = Path(__file__).parent / "csrc"
MATH = ["-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"]


class KernelUnavailable(RuntimeError):
    """No compiled kernel can be had here; the message says why."""


def find_compiler():
    """The C compiler: $CC, else cc, gcc or clang on PATH; None if there is none."""
    names = shlex.split(os.environ.get("CC", ""))[:1] or ["cc", "gcc", "clang"]
    return next((path for path in map(shutil.which, names) if path), None)


def describe_cpu():
    """A text that differs between processors for which -march=native may mean different instructions."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        features = {
            line
            for line in lines
            if line.startswith(("model name", "flags", "Features", "CPU part"))
        }
    except OSError:
        features = {platform.processor()}
    return "\n".join([platform.machine(), sys.platform, *sorted(features)])


def cache_folders():
    """Where compiled kernels may lie, best first: $DEBLURLIB_CACHE, the user's cache, a private temporary folder."""
    if chosen := os.environ.get("DEBLURLIB_CACHE"):
        yield Path(chosen)
    yield Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "deblurlib"
    yield temporary_folder()


@functools.cache
def temporary_folder():
    """One private folder for this process, removed at its end."""
    folder = tempfile.mkdtemp(prefix="deblurlib-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def flag_sets():
    """Compiler flags, best first; the first set that compiles is used."""
    native = "-mcpu=native" if platform.machine() in ("arm64", "aarch64") else "-march=native"
    threads = ["-Xpreprocessor", "-fopenmp", "-lomp"] if sys.platform == "darwin" else ["-fopenmp"]
    base = ["-O3", "-std=gnu11", "-fPIC", "-shared", *MATH, "-lm"]
    extra = shlex.split(os.environ.get("DEBLURLIB_CFLAGS", ""))
    runtimes = [f"-L{Path(torch.__file__).parent / 'lib'}"] if sys.platform == "darwin" else []
    return [
        [*base, *flags, *extra] for flags in ([native, *threads, *runtimes], [native], threads, [])
    ]


def compile_source(compiler, flags, source, target):
    """Compile `source` to `target` under a temporary name first, so that a second process never sees half a file."""
    handle, partial = tempfile.mkstemp(suffix=".so", dir=target.parent)
    os.close(handle)
    try:
        command = [compiler, str(source), "-o", partial, *flags]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise KernelUnavailable(
                f"{compiler} could not compile {source.name}: {done.stderr.strip()[-300:]}"
            )
        os.replace(partial, target)
    finally:
        Path(partial).unlink(missing_ok=True)


def build(name, real):
    """Path of the compiled kernel `name` for numbers of C type `real`; compiles it unless the cache holds it."""
    compiler = find_compiler()
    if compiler is None:
        raise KernelUnavailable("no C compiler was found (cc, gcc or clang on PATH, or $CC)")
    source, problem = SOURCES / f"{name}.c", None
    text = source.read_bytes() + (SOURCES / "common.h").read_bytes()
    numbers = [f"-DREAL={real}", f"-DREAL_BYTES={ctypes.sizeof(getattr(ctypes, f'c_{real}'))}"]
    stamp = os.stat(compiler)
    for flags in flag_sets():
        parts = [describe_cpu(), compiler, stamp.st_size, stamp.st_mtime_ns, *numbers, *flags]
        key = hashlib.sha256(text + repr(parts).encode()).hexdigest()[:20]
        for folder in cache_folders():
            target = folder / f"{name}-{real}-{key}.so"
            try:
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                if not target.exists():
                    compile_source(compiler, [*numbers, *flags], source, target)
                return target
            except OSError as error:  # this folder cannot be written
                problem = error
            except (
                KernelUnavailable,
                subprocess.TimeoutExpired,
            ) as error:  # these flags do not compile
                problem = error
                break
    raise KernelUnavailable(str(problem))


@functools.cache
def _load(name, real):
    try:
        return ctypes.CDLL(str(build(name, real)))
    except (KernelUnavailable, OSError) as error:
        return error


def load(name, dtype=torch.float32):
    """The compiled kernel file `name` as a ctypes library for float32 or float64; raises `KernelUnavailable`."""
    library = _load(name, "double" if dtype == torch.float64 else "float")
    if isinstance(library, Exception):
        raise KernelUnavailable(str(library))
    return library


def call(library, function, shape, *tensors):
    """Call a kernel with the integers `shape` and the tensors' addresses; None is passed as a null pointer."""
    numbers = (ctypes.c_int64 * len(shape))(*shape)
    pointers = [
        ctypes.c_void_p(None if tensor is None else tensor.data_ptr()) for tensor in tensors
    ]
    if getattr(library, function)(numbers, *pointers):
        raise MemoryError(
            f"{function} could not allocate its scratch memory; use smaller images or batches."
        )
