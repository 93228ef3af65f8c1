#!/usr/bin/env bash
# Guess: in eager mode the compiler stays away. A TorchDispatchMode is a few lines of Python around
# each operator (a FLOP counter is one), a checkpoint calls a function twice, and an optimiser is
# arithmetic: none needs torch._dynamo, so none pays for it.
#
# What happens: the first operator under a dispatch mode, the first checkpoint and the creation of
# the first optimiser import torch._dynamo, and with it sympy and 900 modules in all. That takes
# seconds and 150 MB, which stay. Each is wrapped in a function that switches the compiler off, and
# that imports the compiler to do so. A TorchFunctionMode is not wrapped, and a dispatch mode
# escapes if it overrides the class method `_should_skip_dynamo`, which is private.
#
# Why it matters: a program that reports the FLOPs, time or memory of a network measures this import
# along with it, and a process that only deblurs keeps the compiler in memory because it counted
# once. Whoever measures should run the mode once before.
#
# Seen with Python 3.11.7, torch 2.15.0 from PyPI, numpy 2.4.6, Linux on x86-64, no GPU (each in a
# process of its own; the seconds are of a busy processor, and not part of the check):
#                                           new modules   MB   s   torch._dynamo
#   an operator                                       0    0 0.0   no
#   under a TorchFunctionMode                         0    0 0.0   no
#   under a TorchDispatchMode                       914  156 1.8   yes
#   the same, _should_skip_dynamo false               0    0 0.0   no
#   under FlopCounterMode                           916  154 5.1   yes
#   through torch.utils.checkpoint                  914  155 2.5   yes
#   creation of torch.optim.SGD                     914  154 4.4   yes
set -euo pipefail

python="${PYTHON:-python3}"
site="$(mktemp -d)"
trap 'rm -rf "$site"' EXIT
"$python" -m pip install --quiet --target "$site" torch==2.15.0 numpy==2.4.6
cat > "$site/first.py" <<'PY'
"""Print what the first call of the case named in argv imports and costs."""

import contextlib
import resource
import sys
import time

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint


class Function(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))


class Dispatch(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))


class Escaped(TorchDispatchMode):
    @classmethod
    def _should_skip_dynamo(cls):
        return False

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))


def flops():
    from torch.utils.flop_counter import FlopCounterMode

    return FlopCounterMode(display=False)


def under(mode):
    with mode():
        weight @ weight


weight = torch.ones(4, 4, requires_grad=True)
weight @ weight
CASES = {
    "an operator": lambda: under(contextlib.nullcontext),
    "under a TorchFunctionMode": lambda: under(Function),
    "under a TorchDispatchMode": lambda: under(Dispatch),
    "the same, _should_skip_dynamo false": lambda: under(Escaped),
    "under FlopCounterMode": lambda: under(flops),
    "through torch.utils.checkpoint": lambda: checkpoint(torch.sin, weight, use_reentrant=False),
    "creation of torch.optim.SGD": lambda: torch.optim.SGD([weight]),
}


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux counts in KiB


name = sys.argv[1]
modules, memory, start = len(sys.modules), peak(), time.perf_counter()
if "torch._dynamo" in sys.modules:
    sys.exit("The behaviour has changed: `import torch` itself imports torch._dynamo.")
CASES[name]()
seconds, memory, modules = time.perf_counter() - start, peak() - memory, len(sys.modules) - modules
imported = {"torch._dynamo", "sympy"} <= sys.modules.keys()
print(f"{name:39} {modules:11} {memory:4.0f} {seconds:3.1f}   {'yes' if imported else 'no'}")
dear = name not in list(CASES)[:2] + ["the same, _should_skip_dynamo false"]
if imported != dear or (modules > 500 and memory > 50) != dear:
    sys.exit("The behaviour has changed.")
PY
printf '%39s %11s %4s %3s   %s\n' "" "new modules" MB s torch._dynamo
for case in "an operator" "under a TorchFunctionMode" "under a TorchDispatchMode" \
  "the same, _should_skip_dynamo false" "under FlopCounterMode" "through torch.utils.checkpoint" \
  "creation of torch.optim.SGD"; do
  PYTHONPATH="$site" "$python" "$site/first.py" "$case"
done
