"""The memory formats that the operators keep."""

import torch
from torch import Tensor


def format_like(tensor: Tensor) -> torch.memory_format:
    """The memory format of a tensor: channels-last, or else contiguous.

    Args:
        tensor: (B, C, H, W); there may be gaps between pixels.

    Returns:
        `torch.channels_last` or `torch.contiguous_format`.
    """
    by_pixels = is_by_pixels(tensor) and not tensor.is_contiguous()
    return torch.channels_last if by_pixels else torch.contiguous_format


def ordered(tensor: Tensor) -> Tensor:
    """Return a tensor in one of the orders that the kernels read.

    Args:
        tensor: (B, C, H, W).

    Returns:
        The tensor itself if it is channels-last, also with gaps between pixels, or contiguous; or
        else a contiguous copy.
    """
    return tensor if format_like(tensor) == torch.channels_last else tensor.contiguous()


def gapless(tensor: Tensor, like: Tensor | None = None) -> Tensor:
    """Return a tensor without gaps, whatever the order of its axes in memory.

    Args:
        tensor: Any shape.
        like: A tensor without gaps of the same shape, whose order the result has; None keeps the
            tensor's own order.

    Returns:
        The tensor itself, or else a copy.
    """
    copy = torch.empty_like(tensor if like is None else like, dtype=tensor.dtype)
    return tensor if copy.stride() == tensor.stride() else copy.copy_(tensor)


def is_by_pixels(tensor: Tensor) -> bool:
    """Whether the channels of each pixel are adjacent and the pixels follow line after line.

    Args:
        tensor: (B, C, H, W); there may be gaps between pixels, as in half of the channels of a
            larger tensor.

    Returns:
        True for channels-last memory, with or without gaps.
    """
    _, channels, height, width = tensor.shape
    pixel = tensor.stride(3)
    return channels > 1 and tensor.stride() == (height * width * pixel, 1, width * pixel, pixel)


def empty_convolution(input: Tensor, offset: Tensor, weight: Tensor) -> Tensor:
    """An uninitialised result of `deform_conv2d`.

    Args:
        input: (B, C, H, W), whose dtype and memory format the result has.
        offset: (B, 2*G*Kh*Kw, Ho, Wo).
        weight: (Co, C/groups, Kh, Kw).

    Returns:
        (B, Co, Ho, Wo).
    """
    out = input.new_empty(input.shape[0], weight.shape[0], *offset.shape[-2:])
    return torch.empty_like(out, memory_format=format_like(input))


def scans_format(x: Tensor, p: Tensor) -> torch.memory_format:
    """The memory format of a result of `spatial_rnn`: channels-last where both tensors are.

    Args:
        x: (B, C, H, W).
        p: (B, C, H, W) or (B, 4C, H, W).

    Returns:
        `torch.channels_last` or `torch.contiguous_format`.
    """
    by_pixels = is_by_pixels(x) and is_by_pixels(p)
    return torch.channels_last if by_pixels else torch.contiguous_format


def empty_scans(x: Tensor, p: Tensor) -> Tensor:
    """An uninitialised result of `spatial_rnn`.

    Args:
        x: (B, C, H, W), whose dtype the result has.
        p: (B, C, H, W) or (B, 4C, H, W), whose shape the result has.

    Returns:
        A tensor of the shape of p.
    """
    return torch.empty(p.shape, dtype=x.dtype, device=x.device, memory_format=scans_format(x, p))
