"""Choosing a backend, compiling the C kernels, and what happens where that is impossible."""

import ctypes
import importlib.util
import logging
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from deblurlib import ops
from deblurlib.ops.backends import compiler, dispatch

ROOT = Path(__file__).parents[2]
CHECK = """
import logging, torch
logging.basicConfig(level=logging.INFO)
from deblurlib import ops
random = torch.Generator().manual_seed(0)
for dtype, bound in ((torch.float32, 1e-5), (torch.float64, 1e-10)):
    def normal(*shape):
        return torch.randn(shape, generator=random, dtype=dtype)
    cases = [
        (ops.deform_conv2d, [normal(1, 7, 9, 21), normal(1, 18, 7, 19), normal(5, 7, 3, 3)]),
        (ops.spatial_rnn_4way, [normal(1, 2, 19, 21), normal(1, 8, 19, 21).tanh()]),
        (ops.dynamic_filter, [normal(1, 3, 9, 37), normal(1, 9, 9, 37)]),
        (ops.prelu, [normal(1, 3, 9, 37), normal(1)]),
    ]
    for operator, tensors in cases:
        for _ in range(2):  # the second time from the loaded kernel
            results = []
            for name in ("torch", "cpp"):
                with ops.set_backend(name):
                    leaves = [tensor.clone().requires_grad_() for tensor in tensors]
                    out = operator(*leaves)
                    results.append([out, *torch.autograd.grad(out.square().sum(), leaves)])
            for a, b in zip(*results, strict=True):
                assert (a - b).abs().max() <= bound * a.abs().max(), operator
print("equal")
"""


def python(code, folder, **changes):
    """Run Python code in a fresh process with an empty kernel cache in `folder`."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DEBLURLIB_CACHE": str(folder), **changes}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


needs_compiler = pytest.mark.skipif(compiler.find_compiler() is None, reason="no C compiler here")


def test_set_backend_lasts_or_is_undone_by_a_with_block():
    before = ops.get_backend()
    with ops.set_backend("torch"):
        assert ops.get_backend() == "torch"
        with ops.set_backend("cpp"):
            assert ops.get_backend() == "cpp"
        assert ops.get_backend() == "torch"
    assert ops.get_backend() == before
    ops.set_backend("torch")
    assert ops.get_backend() == "torch"
    ops.set_backend(before)


def test_unknown_backends_are_named_with_the_choices():
    with pytest.raises(ValueError, match="'cuda'; choose one of auto, torch, cpp, triton"):
        ops.set_backend("cuda")


def test_a_backend_that_cannot_run_gives_way_to_torch():
    if os.environ.get("TRITON_INTERPRET") != "1":
        with ops.set_backend("triton"):
            assert dispatch.resolve("deform_conv", torch.zeros(1)) == "torch"
    with ops.set_backend("cpp"):
        assert dispatch.resolve("deform_conv", torch.zeros(1, device="meta")) == "torch"


def test_an_operator_that_a_backend_lacks_is_left_to_torch(caplog, monkeypatch):
    monkeypatch.setattr(dispatch, "_said", set())
    monkeypatch.setitem(dispatch.DEVICES, "triton", "cpu")
    monkeypatch.setitem(dispatch._loaders, "triton", lambda: None)
    with ops.set_backend("triton"):
        assert dispatch.resolve("prelu", torch.zeros(1)) == "torch"
    assert "prelu: torch, not triton: it has no kernel for this operator" in caplog.text


def test_without_a_compiler_the_reference_runs_and_the_log_says_so_once(tmp_path):
    said = python(CHECK, tmp_path, PATH=str(tmp_path), CC="")
    assert "equal" in said
    assert said.count("deform_conv: torch, not cpp: no C compiler was found") == 1
    assert "WARNING:deblurlib.ops:deform_conv" in said
    assert not list(tmp_path.iterdir())


@needs_compiler
@pytest.mark.skipif("x86" not in os.uname().machine, reason="instruction sets of x86")
@pytest.mark.parametrize("flags", ["-march=x86-64", "-march=haswell"])
def test_narrower_vectors_give_the_same_numbers(tmp_path, flags):
    if flags == "-march=haswell" and "avx2" not in compiler.describe_cpu():
        pytest.skip("this processor has no AVX2")
    assert "equal" in python(CHECK, tmp_path, DEBLURLIB_CFLAGS=flags)
    assert len(list(tmp_path.glob("*.so"))) == 8


@needs_compiler
def test_compiling_at_once_leaves_one_whole_file(tmp_path, monkeypatch):
    monkeypatch.setenv("DEBLURLIB_CACHE", str(tmp_path))
    with ThreadPoolExecutor(3) as pool:
        built = set(pool.map(lambda _: compiler.build("spatial_rnn", "float"), range(3)))
    assert built == set(tmp_path.iterdir()) and len(built) == 1
    assert ctypes.CDLL(str(built.pop())).spatial_rnn_forward is not None


@needs_compiler
def test_a_cache_that_cannot_be_written_is_passed_over(tmp_path, monkeypatch):
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    monkeypatch.setenv("DEBLURLIB_CACHE", str(blocker / "kernels"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocker / "cache"))
    built = compiler.build("spatial_rnn", "float")
    assert blocker not in built.parents and built.exists()


@needs_compiler
@pytest.mark.parametrize("variable", ["DEBLURLIB_CACHE", "XDG_CACHE_HOME"])
@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777], ids=oct)
def test_a_cache_that_others_can_write_to_is_not_used(
    tmp_path, monkeypatch, caplog, variable, mode
):
    folder = tmp_path / "deblurlib"
    folder.mkdir()
    folder.chmod(mode)
    monkeypatch.delenv("DEBLURLIB_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if variable == "DEBLURLIB_CACHE":
        monkeypatch.setenv("DEBLURLIB_CACHE", str(folder))
    monkeypatch.setattr(compiler, "compile_source", lambda *arguments: arguments[3].touch(0o700))
    planted = {folder / compiler.build("spatial_rnn", "float").name}
    for path in planted:
        path.write_text("of another user")
    built = compiler.build("spatial_rnn", "float")
    assert built.parent == compiler.temporary_folder() and built not in planted
    assert f"not cached in {folder}" in caplog.text


@needs_compiler
@pytest.mark.parametrize(("owner", "used"), [(0, True), (4711, False)])
def test_a_cache_of_another_user_is_not_used(tmp_path, monkeypatch, owner, used):
    """Root's is: root can change everything, and builds the kernels in images of containers."""
    (tmp_path / "deblurlib").mkdir(0o755)
    monkeypatch.delenv("DEBLURLIB_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(compiler, "compile_source", lambda *arguments: arguments[3].touch(0o700))
    facts = os.stat_result((0o40755, 0, 0, 1, owner, owner, 0, 0, 0, 0))
    ask = Path.stat
    monkeypatch.setattr(
        Path,
        "stat",
        lambda path, **how: facts if path.name == "deblurlib" else ask(path, **how),
    )
    monkeypatch.setattr(os, "getuid", lambda: 1000 if owner else 0)
    assert (compiler.build("spatial_rnn", "float").parent == tmp_path / "deblurlib") is used


@needs_compiler
def test_compiled_files_are_private_whatever_the_umask(tmp_path, monkeypatch):
    monkeypatch.setenv("DEBLURLIB_CACHE", str(tmp_path / "cache"))
    before = os.umask(0o000)
    try:
        built = compiler.build("spatial_rnn", "float")
    finally:
        os.umask(before)
    assert stat.S_IMODE(built.stat().st_mode) == 0o700
    assert stat.S_IMODE(built.parent.stat().st_mode) == 0o700
    built.chmod(0o777)
    assert compiler.build("spatial_rnn", "float") == built  # compiled again
    assert stat.S_IMODE(built.stat().st_mode) == 0o700


DAMAGE = {
    "truncated": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "garbage": lambda content: bytes(range(256)) * 64,
    "one bit": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
}
USE = """
import torch
from deblurlib.ops.backends import compiler
print(compiler.load("spatial_rnn").spatial_rnn_forward is not None)
"""


@needs_compiler
@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_library_in_the_cache_is_built_again(tmp_path, monkeypatch, kind):
    """A truncated one was a bus error in every process."""
    monkeypatch.setenv("DEBLURLIB_CACHE", str(tmp_path))
    built = compiler.build("spatial_rnn", "float")
    whole = built.read_bytes()
    built.write_bytes(DAMAGE[kind](whole))
    said = python(USE, tmp_path)
    assert said == "True\n"
    assert list(tmp_path.iterdir()) == [built] and built.read_bytes() == whole


@needs_compiler
def test_what_a_killed_compiler_left_is_removed_once_it_is_old(tmp_path, monkeypatch):
    monkeypatch.setenv("DEBLURLIB_CACHE", str(tmp_path))
    (tmp_path / ".build-old").mkdir()
    (tmp_path / ".build-old" / "library.so").write_bytes(b"partial")
    os.utime(tmp_path / ".build-old", (0, 0))
    (tmp_path / ".build-new").mkdir()
    built = compiler.build("spatial_rnn", "float")
    assert {path.name for path in tmp_path.iterdir()} == {built.name, ".build-new"}


FULL = """#!/bin/sh
case "$TMPDIR" in
{full}*) echo "/usr/bin/ld: final link failed: No space left on device" >&2; exit 1;;
esac
exec {compiler} "$@"
"""


@needs_compiler
def test_a_full_cache_is_passed_over_and_the_flags_stay_the_same(tmp_path, monkeypatch):
    """It counted as flags that do not compile: the kernels lost their threads and vectors."""
    places = [tmp_path / name for name in ("full", "cache")]
    script = tmp_path / "cc"
    script.write_text(FULL.format(full=places[0], compiler=compiler.find_compiler()))
    script.chmod(0o755)
    monkeypatch.setenv("CC", str(script))
    monkeypatch.setenv("DEBLURLIB_CACHE", str(places[0]))
    monkeypatch.setenv("XDG_CACHE_HOME", str(places[1]))
    seen, compile_source = [], compiler.compile_source
    monkeypatch.setattr(
        compiler, "compile_source", lambda *a: (seen.append(a[1]), compile_source(*a))
    )
    built = compiler.build("spatial_rnn", "float")
    assert built.parent == places[1] / "deblurlib" and not list(places[0].iterdir())
    assert len(seen) == 2 and seen[0] == seen[1]


@needs_compiler
def test_a_disk_that_fills_up_while_a_library_is_stored_is_passed_over(tmp_path, monkeypatch):
    fsync, calls = os.fsync, []

    def fill(descriptor):
        calls.append(1)
        if len(calls) == 1:
            raise OSError(28, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fill)
    monkeypatch.setenv("DEBLURLIB_CACHE", str(tmp_path / "full"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert compiler.build("spatial_rnn", "float").parent == tmp_path / "deblurlib"
    assert not list((tmp_path / "full").iterdir())


@needs_compiler
def test_a_folder_from_which_nothing_may_be_executed_is_passed_over(tmp_path, monkeypatch):
    load = ctypes.CDLL

    def refuse(path):
        if str(tmp_path / "noexec") in path:
            raise OSError("failed to map segment from shared object")
        return load(path)

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    monkeypatch.setenv("DEBLURLIB_CACHE", str(tmp_path / "noexec"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    library = compiler._load.__wrapped__("spatial_rnn", "float")
    assert library.spatial_rnn_forward is not None
    assert len(list((tmp_path / "deblurlib").glob("*.so"))) == 1
    monkeypatch.setattr(ctypes, "CDLL", lambda path: load("/nowhere"))
    with pytest.raises(OSError, match="nowhere"):
        raise compiler._load.__wrapped__("spatial_rnn", "float")


def test_a_user_without_a_home_has_a_temporary_folder(monkeypatch):
    """As an arbitrary user id in a container has none: neither $HOME nor an entry in passwd."""
    for variable in ("HOME", "XDG_CACHE_HOME", "DEBLURLIB_CACHE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert list(compiler.cache_folders()) == [compiler.temporary_folder()]


@pytest.mark.parametrize("home", ["", "missing", "file", "file/below"])
def test_a_home_that_does_not_exist_is_not_created(tmp_path, monkeypatch, home):
    """An empty $HOME is none either: Python takes it for the root of the file system."""
    (tmp_path / "file").touch()
    for variable in ("XDG_CACHE_HOME", "DEBLURLIB_CACHE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / home) if home else "")
    assert list(compiler.cache_folders()) == [compiler.temporary_folder()]


def test_the_cache_is_below_the_home(tmp_path, monkeypatch):
    for variable in ("XDG_CACHE_HOME", "DEBLURLIB_CACHE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert next(compiler.cache_folders()) == tmp_path / ".cache" / "deblurlib"


def test_without_kernels_auto_warns_once_and_a_backend_chosen_by_name_for_each_operator(
    caplog, monkeypatch
):
    def unavailable(*_):
        raise compiler.KernelUnavailable("no C compiler was found")

    monkeypatch.setattr(compiler, "load", unavailable)
    with caplog.at_level(logging.INFO, "deblurlib.ops"):
        for name in ("auto", "cpp"):
            monkeypatch.setattr(dispatch, "_said", set())
            caplog.clear()
            with ops.set_backend(name):
                for operator in ("deform_conv", "deform_conv", "spatial_rnn"):
                    assert dispatch.resolve(operator, torch.zeros(1, 1, 1, 1)) == "torch"
            told = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
            if name == "auto":
                sentence = (
                    "Operators run in plain PyTorch, which is slower: no C compiler was found"
                )
                assert told == [f"{sentence}."]
            else:
                assert [text.split(":")[0] for text in told] == ["deform_conv", "spatial_rnn"]


@pytest.mark.parametrize("size", [(1, 2**31), (20000, 20000)])
@pytest.mark.parametrize("backend", ["cpp", "triton"])
def test_images_that_are_too_large_for_a_kernel_are_left_to_torch(
    caplog, monkeypatch, backend, size
):
    monkeypatch.setattr(dispatch, "_said", set())
    monkeypatch.setitem(dispatch.DEVICES, backend, "cpu")
    monkeypatch.setattr(compiler, "load", lambda *_: None)
    monkeypatch.setitem(dispatch._loaders, "triton", lambda: None)
    monkeypatch.setitem(dispatch._table, ("deform_conv", "triton"), None)
    with ops.set_backend(backend), caplog.at_level(logging.INFO, "deblurlib.ops"):
        assert dispatch.resolve("deform_conv", torch.zeros(1, 1, 8, 8)) == backend
        large = torch.zeros(1).expand(1, 1, *size)
        assert dispatch.resolve("deform_conv", torch.zeros(1, 1, 8, 8), None, large) == "torch"
    assert "images of at most 238609294 pixels" in caplog.text


def test_a_compiler_that_fails_is_quoted(tmp_path, monkeypatch):
    failing = tmp_path / "cc"
    failing.write_text("#!/bin/sh\necho out of luck >&2\nexit 1\n")
    failing.chmod(0o755)
    monkeypatch.setenv("CC", str(failing))
    monkeypatch.setenv("DEBLURLIB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(
        compiler.KernelUnavailable, match=r"could not compile deform_conv\.c: out of luck"
    ):
        compiler.build("deform_conv", "float")
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed")
def test_triton_kernels_give_the_same_numbers_in_the_interpreter(tmp_path):
    said = python(CHECK.replace('"cpp"', '"triton"'), tmp_path, TRITON_INTERPRET="1")
    assert "equal" in said
    assert all(
        f"{name}: triton on cpu" in said
        for name in ("deform_conv", "spatial_rnn", "dynamic_filter")
    )
