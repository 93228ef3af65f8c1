"""Cost and data flow of a network, as a whole or by part."""

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from ..ops import DeformConv2d

PICTURE, RESTORED = "blurry", "restored"  # the ends of the data flow


def count_macs(model: nn.Module, size: tuple[int, int]) -> int:
    """Count the multiply-accumulates for one image from its shapes: weights times positions.

    Deformable layers are included; biases, activations, sums and bilinear reads are not counted.

    Args:
        model: A network.
        size: (height, width) of the image.

    Returns:
        Their number.
    """
    return _trace(_hollow(model), size).get_total_flops() // 2


def count_parameters(model: nn.Module) -> int:
    """Count trainable parameters.

    Args:
        model: A network, or a part of one.

    Returns:
        Their number.

    >>> from deblurlib.models import create_model
    >>> count_parameters(create_model("svdn"))
    812019
    """
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def list_parts(model: nn.Module, size: tuple[int, int], parts: list[str]) -> pd.DataFrame:
    """List cost and data flow of parts of a network for one image, from its shapes alone.

    Args:
        model: A network.
        size: (height, width) of the image.
        parts: Names of the parts, such as "encoder.conv0".

    Returns:
        One row per part, with columns part; in and out, the channels of its first input and of its
        last output that is a single tensor; scale, image pixels per output pixel; parameters; macs;
        deformable, how many deformable convolutions it has; and reads, the parts whose outputs
        reach its inputs without passing through another part, "blurry" for the image itself. In
        `attrs`, "restored" are the parts that the network's output is made of.
    """
    hollow = _hollow(model)
    flow = _DataFlow()
    shapes: dict[str, tuple[torch.Size, torch.Size]] = {}

    def keep(part: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, inputs: Any, outputs: Any) -> None:
            several = [outputs] if isinstance(outputs, torch.Tensor) else outputs
            tensors = [x for x in several if isinstance(x, torch.Tensor)]
            shapes[part] = inputs[0].shape, tensors[-1].shape

        return hook

    for part in parts:
        hollow.get_submodule(part).register_forward_hook(keep(part))
    flow.watch(hollow, parts)
    with flow:
        counts = _trace(hollow, size).get_flop_counts()
    rows = [
        {
            "part": part,
            "in": shapes[part][0][1],
            "out": shapes[part][1][1],
            "scale": round(size[0] / shapes[part][1][2]),
            "parameters": count_parameters(hollow.get_submodule(part)),
            "macs": sum(counts[f"{type(hollow).__name__}.{part}"].values()) // 2,
            "deformable": sum(
                isinstance(each, DeformConv2d) for each in hollow.get_submodule(part).modules()
            ),
            "reads": tuple(each for each in (PICTURE, *parts) if each in flow.reads[part]),
        }
        for part in parts
    ]
    table = pd.DataFrame(rows)
    table.attrs[RESTORED] = tuple(each for each in (PICTURE, *parts) if each in flow.restored)
    return table


class _DataFlow(TorchFunctionMode):
    """Follows which parts of a network each tensor is made of.

    Attributes:
        reads: Sources of the inputs of each part.
        restored: Sources of the output of the network.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reads: dict[str, set[str]] = {}
        self.restored: set[str] = set()
        self._made_of: dict[int, tuple[Tensor, set[str]]] = {}  # by id; the tensor keeps its id

    def watch(self, network: nn.Module, parts: Iterable[str]) -> None:
        """Follow the tensors of a network from its input to its output."""
        for name in parts:
            self.reads[name] = set()
            part = network.get_submodule(name)
            part.register_forward_pre_hook(
                lambda _, args, kwargs, name=name: self.reads[name].update(
                    self._sources((args, kwargs))
                ),
                with_kwargs=True,
            )
            part.register_forward_hook(lambda *_, name=name: self._mark(_[-1], {name}))
        for module in network.modules():  # operators that torch does not announce
            if not list(module.children()):
                module.register_forward_hook(
                    lambda _, args, output: self._mark(
                        output, self._sources(output) or self._sources(args)
                    )
                )
        network.register_forward_pre_hook(lambda _, args: self._mark(args, {PICTURE}))
        network.register_forward_hook(
            lambda _, args, output: self.restored.update(self._sources(output))
        )

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call a function of torch; what it returns is made of what its arguments are made of."""
        output = func(*args, **(kwargs or {}))
        self._mark(output, self._sources((args, kwargs)))
        return output

    def _mark(self, tensors: Any, sources: set[str]) -> None:
        for tensor in _tensors(tensors):
            self._made_of[id(tensor)] = tensor, sources

    def _sources(self, tensors: Any) -> set[str]:
        known = [self._made_of.get(id(tensor), (tensor, set()))[1] for tensor in _tensors(tensors)]
        return set().union(*known)


def _tensors(found: Any) -> list[Tensor]:
    """The tensors in lists, tuples and dictionaries."""
    return [each for each in tree_leaves(found) if isinstance(each, Tensor)]


def _hollow(model: nn.Module) -> nn.Module:
    return copy.deepcopy(model).to("meta").eval()


def _trace(hollow: nn.Module, size: tuple[int, int]) -> FlopCounterMode:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        hollow(*[torch.empty(1, 3, *size, device="meta")] * getattr(hollow, "pictures", 1))
        found: FlopCounterMode = counter
    return found
