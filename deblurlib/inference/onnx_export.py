"""ONNX files of the networks, for runtimes without PyTorch."""

import io
import warnings
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from ..models import list_models, spec_of
from ..models.hub import require
from ..ops import substitute
from ..results import write_atomically
from .windows import SMALLEST

OPSET = 16  # the first with GridSample


def to_onnx(model: nn.Module, path: str | Path, size: tuple[int, int] = (256, 256)) -> Path:
    """Write a network as an ONNX file with one input "blurry" and one output "sharp", (1, 3, height, width) RGB in [0, 1].

    size: (height, width) of the pictures, which the file is made for; cut larger ones into tiles of it, pad smaller ones.
    Deformable convolutions become GridSample and MatMul (opset 16), which ONNX Runtime, OpenCV and others have, and many lack
    DeformConv (opset 19): equal to 1e-4. Source: see `ops.deform_conv2d`.
    Raises ValueError for a network that has no counterpart in ONNX (SVRNN's recurrence, two inputs), ImportError without the
    package onnx.
    """
    if not spec_of(model).exportable:
        known = ", ".join(name for name in list_models() if spec_of(name).exportable)
        raise ValueError(
            f"{type(model).__name__} cannot be written as ONNX, which has no such operation: take one of {known}."
        )
    if len(size) != 2 or any(int(n) != n or n < SMALLEST for n in size):
        raise ValueError(
            f"size is {size!r}: give (height, width) of the pictures, each at least {SMALLEST} pixels."
        )
    require("onnx", "An ONNX file")
    training, file = model.training, io.BytesIO()
    example = torch.zeros(1, 3, *map(int, size), device=next(model.parameters()).device)
    try:
        with (
            substitute(deform_conv2d=deform_conv_by_grid_sample),
            warnings.catch_warnings(action="ignore"),
            torch.no_grad(),
        ):
            torch.onnx.export(
                model.eval(),
                (example,),
                file,
                input_names=["blurry"],
                output_names=["sharp"],
                opset_version=OPSET,
                dynamo=False,
            )
    finally:
        model.train(training)
    return write_atomically(Path(path), file.getvalue())


def deform_conv_by_grid_sample(input, offset, weight, bias, mask, stride, padding, dilation):
    """The same as `ops.deform_conv2d`, tap by tap: GridSample at the tap's points, times the mask, times the tap's weights."""
    batch, channels, height, width = input.shape
    outs, group_channels, kernel_height, kernel_width = weight.shape
    out_height, out_width = offset.shape[-2:]
    if offset.shape[1] != 2 * kernel_height * kernel_width or channels != group_channels:
        raise ValueError("Deformable convolutions with groups are not written as ONNX.")
    row = torch.arange(out_height, device=input.device) * stride[0] - padding[0]
    column = torch.arange(out_width, device=input.device) * stride[1] - padding[1]
    total = 0
    for tap in range(kernel_height * kernel_width):
        y = offset[:, 2 * tap] + (row + tap // kernel_width * dilation[0])[:, None]  # (B, Ho, Wo)
        x = offset[:, 2 * tap + 1] + (column + tap % kernel_width * dilation[1])
        grid = torch.stack(
            [(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], -1
        )  # pixels to [-1, 1], edges of pixels at ±1
        samples = F.grid_sample(
            input, grid, padding_mode="zeros", align_corners=False
        )  # (B, C, Ho, Wo)
        if mask is not None:
            samples = samples * mask[:, tap : tap + 1]
        total = total + weight[:, :, tap // kernel_width, tap % kernel_width] @ samples.flatten(
            2
        )  # (B, Co, Ho*Wo)
    out = total.reshape(batch, outs, out_height, out_width)
    return out if bias is None else out + bias[:, None, None]
