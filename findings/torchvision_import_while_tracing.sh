#!/usr/bin/env bash
# Guess: an import inside `forward` runs no operator on tensors, so tracing does not see it, and
# where it is done late changes nothing but the time of the first call.
#
# What happens: if torchvision is imported for the first time while torch.jit.trace or the tracing
# export to ONNX runs, both fail with "unsupported output type: int", on every try. torchvision asks
# one of its own operators for a version number as it is imported; the tracer records the call
# and cannot represent the number. torch.export is not affected.
#
# Why it matters: a library that imports torchvision only where a network needs it (it takes a
# second) works in every test that imported it before, and fails in the script of a user who exports
# at once. The message names neither the import nor the network. An `import torchvision` before
# tracing is enough.
#
# Seen with Python 3.11.7, torch 2.15.0, torchvision 0.29.2 from PyPI, onnx 1.23.2, numpy 2.4.6,
# Linux on x86-64, no GPU:
#   a new process:
#     torch.export.export: works
#   a new process:
#     torch.jit.trace: unsupported output type: int, from operator: torchvision::_cuda_version
#     torch.jit.trace: unsupported output type: int, from operator: torchvision::_cuda_version
#     torch.onnx.export, dynamo=False: unsupported output type: int, from operator: torchvision::_cuda_version
#     import torchvision: works
#     torch.jit.trace: works
#     torch.onnx.export, dynamo=False: works
set -euo pipefail

python="${PYTHON:-python3}"
site="$(mktemp -d)"
trap 'rm -rf "$site"' EXIT
"$python" -m pip install --quiet --target "$site" numpy==2.4.6 torch==2.15.0 torchvision==0.29.2 \
  onnx==1.23.2
cat > "$site/late.py" <<'PY'
"""Take the steps named in argv one after the other and print which of them fail."""

import io
import sys
import warnings

import torch

warnings.simplefilter("ignore")  # of torch.jit.trace being deprecated


class Network(torch.nn.Module):
    def forward(self, x):
        from torchvision.transforms.functional import hflip

        return hflip(x)


picture = torch.rand(1, 3, 4, 4)
TRACERS = {
    "torch.jit.trace": lambda: torch.jit.trace(Network(), picture),
    "torch.onnx.export, dynamo=False": lambda: torch.onnx.export(
        Network(), (picture,), io.BytesIO(), dynamo=False
    ),
}
STEPS = TRACERS | {
    "torch.export.export": lambda: torch.export.export(Network(), (picture,)),
    "import torchvision": lambda: __import__("torchvision"),
}
imported, same = False, True
for name in sys.argv[1:]:
    try:
        STEPS[name]()
        error = None
    except RuntimeError as caught:
        error = str(caught)
    print(f"  {name}: {error or 'works'}")
    if name in TRACERS and not imported:
        same &= "unsupported output type: int" in str(error)
    else:
        same &= error is None
        imported = True
if not same:
    sys.exit("The behaviour has changed.")
PY
late() {
  echo "a new process:"
  PYTHONPATH="$site" "$python" "$site/late.py" "$@"
}
late torch.export.export
late torch.jit.trace torch.jit.trace "torch.onnx.export, dynamo=False" "import torchvision" \
  torch.jit.trace "torch.onnx.export, dynamo=False"
