"""Everything the library knows about a network, as one record in the network's own file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

MARGIN = 80  # pixels of context around a tile, for networks that do not state their own


@dataclass(frozen=True, kw_only=True)
class Timing:
    """One entry of the network benchmark: which build of a network is timed.

    Attributes:
        variant: The variant that is built.
        width: "full" (the paper's width) or "small".
        precision: "fp32", or "bf16" by autocast.
    """

    variant: str
    width: str = "full"
    precision: str = "fp32"


@dataclass(frozen=True, kw_only=True, eq=False)
class NetworkSpec:
    """A network and all facts about it that the rest of the library needs.

    A new network is one file that ends with a `NetworkSpec`, and one line in `registry.NETWORKS`.
    A module from elsewhere may carry one as its attribute `network_spec`.

    Attributes:
        network: The class, or any callable, that builds the network from the keywords of a
            variant. The network maps (B, 3, H, W) RGB in [0, 1] to the same shape. A class with
            two inputs has the attribute `pictures = 2`.
        variants: Keywords of the configuration by the name of the variant. "paper" is the main
            network.
        small: Keywords of the narrow width at which ablations are trained; they override those of
            the variant.
        translate: Renames the tensors of the authors' published weights to our names and returns
            any other state unchanged; None if no weights were published.
        margin: How far an output pixel looks, in pixels: the context on each side of a tile.
        largest: Largest side in pixels of an image that is deblurred in one piece, for networks
            whose cost grows faster than the image; None if only memory limits it.
        exportable: Whether the network can be written as ONNX.
        schedule: The training schedule that the paper prints, as fields of `training.Experiment`;
            None if it prints none.
        short_schedule: Fields that every shorter preset changes.
        start_pretrained: Copies ImageNet weights into the parts that start from them in the paper
            and returns whether it did.
        pretrained_variants: Variants that start from ImageNet weights in the paper, in addition to
            `schedule`.
        benchmark: The builds that the network benchmark times.
    """

    network: Callable[..., nn.Module]
    variants: Mapping[str, Mapping[str, object]] = field(default_factory=lambda: {"paper": {}})
    small: Mapping[str, object] = field(default_factory=dict)
    translate: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None
    margin: int = MARGIN
    largest: int | None = None
    exportable: bool = False
    schedule: Mapping[str, object] | None = None
    short_schedule: Mapping[str, object] = field(default_factory=dict)
    start_pretrained: Callable[[nn.Module], bool] | None = None
    pretrained_variants: tuple[str, ...] = ()
    benchmark: tuple[Timing, ...] = ()
