"""Has a network learned enough to be judged? Its gain, and how far its parts have moved."""

from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..models.layers import Extras


@torch.no_grad()
def moved(network: nn.Module, start: nn.Module, pictures: Iterable[Tensor]) -> dict[str, float]:
    """Measure how far the parts of a network that papers make claims about have left their start.

        offsets    mean |Δp - Δp_start| over sampling points, layers and places
        attention  mean of Σ_i |a_i - a_i,start| / 2 over places (and queries)
        p          mean |p - p_start| over recurrences, channels and places

    Args:
        network: The trained network.
        start: The same network with its initial weights, see `training.initial_model`.
        pictures: Blurry images, (B, 3, H, W) each.

    Returns:
        The mean over the pictures by part, as `verdicts.GATES` names it, for the parts that the
        network has. Offsets are in its feature pixels.

    Raises:
        ValueError: If there is no picture.
    """
    found = [_moved(network, start, picture) for picture in pictures]
    if not found:
        raise ValueError("There is no picture: give at least one.")
    return {part: sum(each[part] for each in found) / len(found) for part in found[0]}


def _moved(network: nn.Module, start: nn.Module, picture: Tensor) -> dict[str, float]:
    """The same for one batch."""
    now, then = (_parts(each, picture) for each in (network, start))
    return {
        part: torch.cat([_distance(part, *pair) for pair in zip(maps, then[part], strict=True)])
        .mean()
        .item()
        for part, maps in now.items()
    }


def _distance(part: str, now: Tensor, then: Tensor) -> Tensor:
    """How far each element has moved, flat; 0 for offsets that are all fixed to the grid."""
    if part == "offsets":  # (…, 2, h, w)
        lengths = (now - then).norm(dim=-3).flatten(0, -3)  # (points, h, w)
        free = lengths.amax((-2, -1)) > 0  # some points never leave the grid
        return lengths[free].flatten() if free.any() else lengths.new_zeros(1)
    if part == "attention":  # (…, shares)
        return ((now - then).abs().sum(-1) / 2).flatten()
    return (now - then).abs().flatten()


def _parts(network: nn.Module, picture: Tensor) -> dict[str, list[Tensor]]:
    """Offsets (…, 2, h, w), attention (…, shares) and recurrent weights of a network."""
    if not hasattr(network, "extras"):
        return {}
    extras: Extras = cast(Any, network).extras(picture)
    parts = {
        "offsets": [
            offset.unflatten(-3, (-1, 2))
            for name, offset in extras.items()
            if name.startswith("offset")
        ],
        "attention": _attention(network, extras),
        "p": [extras["p"]] if "p" in extras else [],
    }
    return {part: maps for part, maps in parts.items() if maps}


def _attention(network: nn.Module, extras: Extras) -> list[Tensor]:
    """Shares that sum to 1: of ASPDC's branches at each place, of RADN's places for each query."""
    if "attention" in extras:
        return [extras["attention"].movedim(-3, -1)]
    if "attended" in extras:
        return [cast(Any, network).attention.map(extras["features"])]
    return []
