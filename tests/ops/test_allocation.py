"""A kernel that cannot allocate its scratch memory raises an error and never hangs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deblurlib.ops.backends import compiler

ROOT = Path(__file__).parents[2]
# Compiled into each kernel in the place of posix_memalign and malloc: the call number `fail_from`
# and those after it fail, up to `failures` of them.
HOOK = """
#include <stdlib.h>
#include <errno.h>
int calls, fail_from, failures;
static int fails(void) {
    const int call = __atomic_fetch_add(&calls, 1, __ATOMIC_SEQ_CST);
    return call >= fail_from && call < fail_from + failures;
}
static int failing_memalign(void **memory, size_t unit, size_t size) {
    return fails() ? ENOMEM : posix_memalign(memory, unit, size);
}
static void *failing_malloc(size_t size) { return fails() ? NULL : malloc(size); }
#define posix_memalign failing_memalign
#define malloc failing_malloc
"""
SCRIPT = """
import ctypes, faulthandler, sys, torch
from deblurlib import ops
from deblurlib.ops.backends import compiler

faulthandler.dump_traceback_later(100, exit=True)  # a hang
kernel = sys.argv[1]
random = torch.Generator().manual_seed(0)
def normal(*shape):
    return torch.randn(shape, generator=random).requires_grad_()
function, tensors = {
    "deform_conv": (
        ops.deform_conv2d, [normal(1, 4, 66, 66), normal(1, 18, 64, 64), normal(4, 4, 3, 3)]
    ),
    "spatial_rnn": (ops.spatial_rnn_4way, [normal(2, 8, 32, 32), normal(2, 32, 32, 32)]),
    "dynamic_filter": (ops.dynamic_filter, [normal(1, 4, 128, 32), normal(1, 9, 128, 32)]),
    "prelu": (ops.prelu, [normal(2, 4, 128, 32), normal(1)]),
}[kernel]
library = compiler.load(kernel)
counters = {name: ctypes.c_int.in_dll(library, name) for name in ("calls", "fail_from", "failures")}

def attempt(step, fail_from, failures):
    counters["calls"].value, counters["fail_from"].value = 0, fail_from
    counters["failures"].value = failures
    try:
        step()
    except MemoryError as error:
        assert str(error).startswith(kernel) and "could not allocate" in str(error)
        raised = True
    else:
        raised = False
    counters["failures"].value = 0
    return raised, counters["calls"].value

with ops.set_backend("cpp"):
    out = function(*tensors)
    steps = {
        "forward": lambda: function(*tensors),
        "backward": lambda: torch.autograd.grad(out.sum(), tensors, retain_graph=True),
    }
    for threads in (1, 2, 4, 8):
        torch.set_num_threads(threads)
        for name, step in steps.items():
            raised, calls = attempt(step, 0, 0)
            assert not raised and (calls > 0 or (kernel, name) == ("prelu", "forward"))
            for fail_from in range(calls):
                for failures in (1, 1000):
                    for _ in range(10):
                        raised, _ = attempt(step, fail_from, failures)
                        assert raised, (threads, name, fail_from, failures)
            assert attempt(step, 0, 0) == (False, calls)  # and it works afterwards
            print(threads, "threads,", name, "fails at each of", calls, "allocations", flush=True)
"""


@pytest.mark.skipif(compiler.find_compiler() is None, reason="no C compiler here")
@pytest.mark.parametrize("kernel", ["deform_conv", "spatial_rnn", "dynamic_filter", "prelu"])
def test_a_failed_allocation_is_an_error_and_never_a_hang(tmp_path, kernel):
    hook = tmp_path / "hook.h"
    hook.write_text(HOOK)
    changes = {
        "PYTHONPATH": str(ROOT),
        "DEBLURLIB_CACHE": str(tmp_path),
        "DEBLURLIB_CFLAGS": f"-include {hook}",
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, kernel],
        env={**os.environ, **changes},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
