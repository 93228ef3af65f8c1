#!/usr/bin/env bash
# Guess: a deformable convolution that ncnn cannot compute is refused by its converter, pnnx, or by
# ncnn when it loads the network.
#
# What happens: with more than one group of offsets (torchvision sees it in the number of their
# channels), pnnx writes ncnn's DeformableConv2D, which has no such parameter, and ncnn applies the
# offsets and masks of the first group to all channels. No step reports an error or a warning. A
# convolution in groups is refused, when ncnn loads the network. With one group of either, layer and
# converter are right to float32 with and without masks, strides and larger kernels. (In bfloat16,
# which the option `use_bf16_storage` chooses, numbers beyond 1e30 came out of the layer, while a
# plain convolution was right to bfloat16.)
#
# Why it matters: video networks such as EDVR and BasicVSR++ align frames with 8 or 16 groups of
# offsets. Converted, they give a plausible but wrong picture. The sum of one layer per group of
# offsets, each with its slice of channels and weight, converts correctly in a network whose features
# and offsets come from convolutions.
#
# Seen with Python 3.11.7, numpy 2.4.6, torch 2.15.0, torchvision 0.29.2, pnnx 20261020, ncnn
# 1.0.20261020, Linux on x86-64, one layer of 8 channels, random offsets of some pixels:
#   largest difference to         PyTorch   PyTorch with the first group's offsets for all
#   kernel 3                      0.0000002 0.0000002
#   kernel 3, masks               0.0000002 0.0000002
#   kernel 5, masks               0.0000002 0.0000002
#   kernel 3, stride 2            0.0000002 0.0000002
#   kernel 3, groups 2            refused
#   2 groups of offsets           0.5459472 0.0000002
#   2 groups of offsets, masks    0.4449331 0.0000002
#   8 groups of offsets           0.6151115 0.0000003
set -euo pipefail

python="${PYTHON:-python3}"
site="$(mktemp -d)"
trap 'rm -rf "$site"' EXIT
"$python" -m pip install --quiet --target "$site" numpy==2.4.6 torch==2.15.0 torchvision==0.29.2 \
  pnnx==20261020 ncnn==1.0.20261020
cd "$site"
PYTHONPATH="$site" "$python" -W ignore::FutureWarning - <<'PY'
import subprocess
import sys

import ncnn
import numpy as np
import pnnx
import torch
from torchvision.ops import DeformConv2d

OPTIONS = ("use_packing_layout", "use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic")


class Layer(torch.nn.Module):
    """A deformable layer whose offsets, and masks if any, are inputs of the network."""

    def __init__(self, **options):
        super().__init__()
        self.layer = DeformConv2d(8, 8, **options).requires_grad_(False)

    def forward(self, x, offset, *mask):
        return self.layer(x, offset, *mask)


def by_ncnn(network, inputs):
    """The result of the converted network in float32; None if ncnn refuses it."""
    torch.jit.trace(network, inputs).save("layer.pt")
    shapes = ",".join(str(list(x.shape)).replace(" ", "") for x in inputs)
    command = [pnnx.EXEC_PATH, "layer.pt", f"inputshape={shapes}", "fp16=0"]
    subprocess.run(command, capture_output=True, check=True)
    net = ncnn.Net()
    for option in OPTIONS:
        setattr(net.opt, option, False)
    if net.load_param("layer.ncnn.param"):
        return None
    net.load_model("layer.ncnn.bin")
    arrays = [np.ascontiguousarray(x[0].numpy()) for x in inputs]  # Mat keeps no reference
    extractor = net.create_extractor()
    for number, array in enumerate(arrays):
        extractor.input(f"in{number}", ncnn.Mat(array).clone())
    return np.array(extractor.extract("out0")[1])


CASES = {  # options of the layer, groups of offsets, with masks
    "kernel 3": ({"kernel_size": 3, "padding": 1}, 1, False),
    "kernel 3, masks": ({"kernel_size": 3, "padding": 1}, 1, True),
    "kernel 5, masks": ({"kernel_size": 5, "padding": 2}, 1, True),
    "kernel 3, stride 2": ({"kernel_size": 3, "padding": 1, "stride": 2}, 1, False),
    "kernel 3, groups 2": ({"kernel_size": 3, "padding": 1, "groups": 2}, 1, False),
    "2 groups of offsets": ({"kernel_size": 3, "padding": 1}, 2, False),
    "2 groups of offsets, masks": ({"kernel_size": 3, "padding": 1}, 2, True),
    "8 groups of offsets": ({"kernel_size": 3, "padding": 1}, 8, False),
}
torch.manual_seed(0)
same = True
print("largest difference to         PyTorch   PyTorch with the first group's offsets for all")
for name, (options, groups, masks) in CASES.items():
    network = Layer(**options)
    taps, side = options["kernel_size"] ** 2, 16 // options.get("stride", 1)
    inputs = [torch.rand(1, 8, 16, 16), 2 * torch.randn(1, groups * 2 * taps, side, side)]
    firsts = [inputs[0], inputs[1][:, : 2 * taps]]
    if masks:
        inputs.append(torch.rand(1, groups * taps, side, side))
        firsts.append(inputs[2][:, :taps])
    right, first = network(*inputs)[0].numpy(), network(*firsts)[0].numpy()
    got = by_ncnn(network, tuple(inputs))
    if got is None:
        print(f"{name:29} refused")
        same &= "groups" in options
        continue
    to_right, to_first = (float(np.abs(got - x).max()) for x in (right, first))
    print(f"{name:29} {to_right:.7f} {to_first:.7f}")
    same &= to_first < 1e-5 and (to_right < 1e-5) == (groups == 1) and "groups" not in options
if not same:
    sys.exit("The behaviour has changed.")
PY
