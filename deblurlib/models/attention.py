"""RADN's self-attention (eq. 5 and 6), in several implementations with the same result."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def attend(
    query: Tensor, key: Tensor, value: Tensor, impl: str = "chunked", rows: int | None = None
) -> Tensor:
    """Compute sum_i s_ji D_i of eq. 6, the softmax of eq. 5 over i, without the usual 1/sqrt(d).

    Args:
        query: C of eq. 5, (B, N, d).
        key: B of eq. 5, (B, N, d).
        value: D of eq. 6, (B, N, C).
        impl: "full" holds all N x N weights at once; "chunked" holds those of `rows` positions j;
            "sdpa" is PyTorch's fused attention, with the C channels split into heads of d that
            share their query and key. Exported programs, which have no loop over chunks, always use
            "full".
        rows: Positions per chunk; None for as many as fit into a core's cache, or on a GPU into
            64 MB, in single precision.

    Returns:
        (B, N, C).

    Raises:
        ValueError: If the implementation is unknown.
    """
    if impl not in ("full", "chunked", "sdpa"):
        raise ValueError(f"There is no attention {impl!r}: choose 'full', 'chunked' or 'sdpa'.")
    exporting = torch.compiler.is_exporting() or torch.onnx.is_in_onnx_export()
    if impl == "full" or exporting:
        return attention_map(query, key) @ value  # (B, N, N) @ (B, N, C)
    if impl == "chunked":
        rows = rows or max(1, (2**19 if key.device.type == "cpu" else 2**24) // key.shape[1])
        return torch.cat(
            [attention_map(some, key) @ value for some in torch.split(query, rows, 1)], 1
        )
    channels, depth = value.shape[2], query.shape[2]
    heads = torch.unflatten(F.pad(value, (0, -channels % depth)), 2, (-1, depth))
    heads = heads.transpose(1, 2)  # (B, heads, N, d)
    query, key = (x.unsqueeze(1).expand_as(heads) for x in (query, key))
    attended = F.scaled_dot_product_attention(query, key, heads.contiguous(), scale=1.0)
    return attended.transpose(1, 2).flatten(2)[..., :channels]


def attention_map(query: Tensor, key: Tensor) -> Tensor:
    """Eq. (5): S[j, i], where each row j is a softmax over the positions i that it reads.

    Args:
        query: Queries of the positions j, (B, J, d).
        key: Keys of the positions i, (B, N, d).

    Returns:
        (B, J, N).
    """
    return (query @ key.transpose(1, 2)).softmax(-1)


class SelfAttention(nn.Module):
    """R_j = sum_i s_ji D_i: each position gathers from all others that eq. 5 finds similar.

    The network itself adds A.
    """

    def __init__(self, channels: int, gamma: bool = False, impl: str = "chunked"):
        super().__init__()
        self.impl = impl
        self.key = nn.Conv2d(channels, channels // 8, 1)  # W_b
        self.query = nn.Conv2d(channels, channels // 8, 1)  # W_c
        self.value = nn.Conv2d(channels, channels, 1)  # W_d
        self.gamma = nn.Parameter(torch.zeros(())) if gamma else None

    def forward(self, features: Tensor) -> Tensor:
        """A (B, C, h, w) -> R, the same shape."""
        query, key, value = (
            _tokens(layer(features)) for layer in (self.query, self.key, self.value)
        )
        attended = attend(query, key, value, self.impl).transpose(1, 2).reshape(features.shape)
        return attended if self.gamma is None else self.gamma * attended

    def map(self, features: Tensor, positions: slice | list[int] | Tensor = slice(None)) -> Tensor:
        """Compute rows of eq. 5's S.

        Args:
            features: A, (B, C, h, w).
            positions: The J positions j = row * width + column; all by default.

        Returns:
            (B, J, h * w).
        """
        query = _tokens(self.query(features))[:, positions]
        return attention_map(query, _tokens(self.key(features)))


def _tokens(x: Tensor) -> Tensor:
    """(B, C, h, w) -> (B, h * w, C)."""
    return x.flatten(2).transpose(1, 2)
