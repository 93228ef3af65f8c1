"""ONNX files of the networks, for runtimes without PyTorch."""

import contextlib
import io
import warnings
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from ..models import list_models, spec_of
from ..models.hub import require
from ..ops import substitute
from ..storage import write_atomically
from .memory import is_out_of_memory
from .windows import SMALLEST

OPSET = 16  # the first with GridSample
NATIVE_OPSET = 19  # the first with DeformConv
LONGEST_REASON = 200  # characters of the exporter's own error that are shown


def to_onnx(
    model: nn.Module,
    path: str | Path,
    size: tuple[int, int] = (256, 256),
    *,
    native: bool = False,
) -> Path:
    """Write a network as an ONNX file.

    The file has one input "blurry" and one output "sharp", both (1, 3, height, width) RGB in
    [0, 1]. The output equals that of PyTorch to 1e-4.

    Args:
        model: A network whose `spec_of(model).exportable` is true; not SVRNN, whose recurrence has
            no counterpart in ONNX, nor Reblur, which has two inputs.
        path: The file to write.
        size: (height, width) in pixels of the images that the file accepts, each at least
            `SMALLEST`; cut larger images into tiles of this size, and pad smaller ones.
        native: Write deformable convolutions as DeformConv (opset 19), which ONNX Runtime computes
            on the CPU since early 2026. Otherwise they become GridSample and MatMul (opset 16),
            which OpenCV, OpenVINO and older versions of ONNX Runtime need.

    Returns:
        The path.

    Raises:
        ValueError: If the network or this variant of it cannot be exported, or the size is wrong.
        ImportError: If the package onnx is not installed.
    """
    if not spec_of(model).exportable:
        known = ", ".join(name for name in list_models() if spec_of(name).exportable)
        raise ValueError(
            f"{type(model).__name__} cannot be written as ONNX, which lacks an operation that it "
            f"needs: choose one of {known}."
        )
    if len(size) != 2 or any(int(n) != n or n < SMALLEST for n in size):
        raise ValueError(
            f"size is {size!r}: give (height, width) of the images, each at least {SMALLEST} "
            "pixels."
        )
    onnx = require("onnx", "export", "An ONNX file")
    graph = onnx.load_model_from_string(_exported(model, size, native))
    # parameters as inputs are not merged where they are equal, which OpenCV 5.0 cannot read
    for entry in [entry for entry in graph.graph.input if entry.name != "blurry"]:
        graph.graph.input.remove(entry)
    return write_atomically(Path(path), graph.SerializeToString())


def _exported(model: nn.Module, size: tuple[int, int], native: bool) -> bytes:
    """The file as torch writes it, with all parameters as inputs."""
    file = io.BytesIO()
    example = torch.zeros(1, 3, *map(int, size), device=next(model.parameters()).device)
    training = model.training
    operators: dict[str, Callable[..., torch.Tensor]] = {
        "deform_conv2d": _deform_conv if native else deform_conv_by_grid_sample,
        "spatial_rnn": _refuse,
        "dynamic_filter": _refuse,
    }
    try:
        with (
            substitute(**operators),
            warnings.catch_warnings(action="ignore"),
            contextlib.redirect_stdout(io.StringIO()),  # the exporter prints its whole graph
            torch.no_grad(),
        ):
            torch.onnx.export(
                model.eval(),
                (example,),
                file,  # type: ignore[arg-type]  # this exporter also writes to buffers
                input_names=["blurry"],
                output_names=["sharp"],
                opset_version=NATIVE_OPSET if native else OPSET,
                keep_initializers_as_inputs=True,
                dynamo=False,
            )
    except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise
        reason = " ".join(str(error).split())[:LONGEST_REASON]
        raise ValueError(
            f"This variant of {type(model).__name__} cannot be written as ONNX ({reason}): choose "
            "another one."
        ) from None
    finally:
        model.train(training)
    return file.getvalue()


def _refuse(*_: object) -> torch.Tensor:
    raise ValueError(
        "This variant cannot be written as ONNX, which has no spatially variant recurrence or "
        "filter: choose another one."
    )


class _DeformConv(torch.autograd.Function):
    """A deformable convolution that is written as one node."""

    @staticmethod
    def forward(  # noqa: PLR0913 - the form of the operator
        ctx: Any,
        input: torch.Tensor,
        offset: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        mask: torch.Tensor | None,
        stride: tuple[int, int],
        padding: tuple[int, int],
        dilation: tuple[int, int],
        groups: tuple[int, int],
    ) -> torch.Tensor:
        """Compute `ops.deform_conv2d`, of which only the shape enters the file.

        Args:
            ctx: Not used.
            input: (B, C, H, W).
            offset: (B, 2*G*K*K, h, w) in input pixels.
            weight: (O, C, K, K).
            bias: (O,), or None.
            mask: (B, G*K*K, h, w), or None.
            stride: (vertical, horizontal) in pixels.
            padding: (vertical, horizontal) in pixels.
            dilation: (vertical, horizontal) in pixels.
            groups: Of the input's channels, and of the offsets.

        Returns:
            (B, O, h, w).
        """
        found: torch.Tensor = torch.ops.deblurlib.deform_conv2d(
            input, offset, weight, bias, mask, stride, padding, dilation
        )
        return found

    @staticmethod
    def symbolic(  # noqa: PLR0913 - the form of the operator
        g: Any,
        input: Any,
        offset: Any,
        weight: Any,
        bias: Any,
        mask: Any,
        stride: tuple[int, int],
        padding: tuple[int, int],
        dilation: tuple[int, int],
        groups: tuple[int, int],
    ) -> Any:
        """Write it as DeformConv.

        Args:
            g: The graph.
            input: The graph's values, as for `forward`.
            offset: As for `forward`.
            weight: As for `forward`.
            bias: As for `forward`.
            mask: As for `forward`.
            stride: As for `forward`.
            padding: As for `forward`.
            dilation: As for `forward`.
            groups: As for `forward`.

        Returns:
            The value of the node.
        """
        outs, _, height, width = weight.type().sizes()
        nothing = g.op("Constant", value_t=torch.zeros(outs))
        inputs = [input, weight, offset, nothing if bias is None else bias]
        return g.op(
            "DeformConv",
            *inputs,
            *([] if mask is None else [mask]),
            strides_i=list(stride),
            pads_i=[*padding, *padding],
            dilations_i=list(dilation),
            kernel_shape_i=[height, width],
            group_i=groups[0],
            offset_group_i=groups[1],
        )


def _deform_conv(
    input: torch.Tensor,
    offset: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    mask: torch.Tensor | None,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
) -> torch.Tensor:
    """`ops.deform_conv2d` as one node; the exporter may not know sizes, but each call does."""
    taps = 2 * weight.shape[2] * weight.shape[3]
    groups = int(input.shape[1]) // int(weight.shape[1]), int(offset.shape[1]) // int(taps)
    found: torch.Tensor = _DeformConv.apply(
        input, offset, weight, bias, mask, stride, padding, dilation, groups
    )
    return found


def deform_conv_by_grid_sample(
    input: torch.Tensor,
    offset: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    mask: torch.Tensor | None,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
) -> torch.Tensor:
    """Compute `ops.deform_conv2d` from operations that ONNX has, one tap at a time.

    For each tap, GridSample reads the input at the tap's points; the samples are multiplied by the
    mask and by the tap's weights.

    Args:
        input: (B, C, H, W).
        offset: (B, 2*K*K, h, w), (dy, dx) of each tap in input pixels.
        weight: (O, C, K, K).
        bias: (O,), or None.
        mask: (B, K*K, h, w) factor of each tap, or None.
        stride: (vertical, horizontal) in pixels.
        padding: (vertical, horizontal) in pixels.
        dilation: (vertical, horizontal) in pixels.

    Returns:
        (B, O, h, w).

    Raises:
        ValueError: If the convolution has groups.
    """
    batch, channels, height, width = input.shape
    outs, group_channels, kernel_height, kernel_width = weight.shape
    out_height, out_width = offset.shape[-2:]
    if offset.shape[1] != 2 * kernel_height * kernel_width or channels != group_channels:
        raise ValueError(
            "Deformable convolutions with groups cannot be written as ONNX: use a single group."
        )
    row = torch.arange(out_height, device=input.device) * stride[0] - padding[0]
    column = torch.arange(out_width, device=input.device) * stride[1] - padding[1]
    total = input.new_zeros(())
    for tap, (i, j) in enumerate(product(range(kernel_height), range(kernel_width))):
        y = offset[:, 2 * tap] + (row + i * dilation[0])[:, None]  # (B, h, w)
        x = offset[:, 2 * tap + 1] + (column + j * dilation[1])
        # pixels to [-1, 1], where ±1 are the outer edges of the border pixels
        grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], -1)
        samples = F.grid_sample(input, grid, padding_mode="zeros", align_corners=False)
        if mask is not None:
            samples = samples * mask[:, tap : tap + 1]
        total = total + weight[:, :, i, j] @ samples.flatten(2)  # (B, O, h*w)
    out = total.reshape(batch, outs, out_height, out_width)
    return out if bias is None else out + bias[:, None, None]
