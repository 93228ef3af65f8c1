"""SVRNN's Table 1, observed on the running network instead of declared."""

from collections.abc import Callable

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..models.svrnn import SVRNN
from ..models.svrnn_bodies import RNNS, FusedRNNs, double, leaky
from ..ops import spatial_rnn_4way

PRINTED_ORDER = (1, 2, *range(17, 23), *range(3, 17))  # the path of the image first
OPERATIONS = {"pool": "down2", "resize": "up2", "rnn": None}  # and the stride that is printed
SIDE = 32  # pixels of the image that the network is observed on
COLUMNS = ["layer", "size", "channel", "stride", "concatenate", "output", "parameters"]

Key = tuple[str, str]  # (layer, operation after it, "" for none)


@torch.no_grad()
def table_1(model: SVRNN) -> pd.DataFrame:
    """Read Table 1 off the running network.

    Each input of a convolution is looked up, number by number, among everything computed before
    it: so the skip links, their order, and what is pooled, resized or scanned in between are
        observed, not declared.

    Args:
        model: A network with RNNs, convolutions between them and skip links.

    Returns:
        One row per layer in the printed order. Columns as printed (layer, size, channel, stride,
        concatenate), and output (share of the image's side) and parameters.

    Raises:
        ValueError: If an input of a convolution is not found.
    """
    convs = _convolutions(model)
    picture = torch.rand(1, 3, SIDE, SIDE)
    known: dict[Key, Tensor] = {("picture", ""): picture}
    reads: dict[str, list[Key]] = {}
    sides: dict[str, int] = {}

    def observe(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            reads[name], sides[name] = _look_up(inputs[0], known, name), output.shape[-1]
            known.update(_what_may_follow(model, name, output, known))

        return hook

    hooks = [module.register_forward_hook(observe(name)) for name, module in convs.items()]
    try:
        model(picture)
    finally:
        for hook in hooks:
            hook.remove()
    return _printed(convs, reads, sides)


def _convolutions(model: SVRNN) -> dict[str, nn.Conv2d]:
    """The convolutions by their printed names."""
    convs = {
        name.split(".")[-1]: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d) and name.split(".")[-1].startswith("conv")
    }
    assert isinstance(model.body, FusedRNNs)
    fuse = {f"conv{17 + k}": module for k, module in enumerate(model.body.fuse)}
    return convs | {k: module for k, module in fuse.items() if isinstance(module, nn.Conv2d)}


def _printed(
    convs: dict[str, nn.Conv2d], reads: dict[str, list[Key]], sides: dict[str, int]
) -> pd.DataFrame:
    """The rows of the table: each convolution, after the operation that it reads the result of."""
    rows: list[dict[str, object]] = []
    counts = dict.fromkeys(OPERATIONS, 0)
    for name in (f"conv{n}" for n in PRINTED_ORDER):
        conv, (*skip, (source, operation)) = convs[name], reads[name]
        if operation:
            counts[operation] += 1
            rows.append(
                {
                    "layer": f"{operation}{counts[operation]}",
                    "stride": OPERATIONS[operation],
                    "channel": convs[source].out_channels if operation == "rnn" else None,
                    "output": conv.stride[0] * sides[name] / SIDE,
                }
            )
        if skip:
            rows[-1]["concatenate"] = skip[0][0]
        rows.append(
            {
                "layer": name,
                "size": conv.kernel_size[0],
                "channel": conv.out_channels,
                "stride": "1" if conv.stride[0] == 1 else "down2",
                "output": sides[name] / SIDE,
                "parameters": sum(p.numel() for p in conv.parameters()),
            }
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def _look_up(x: Tensor, known: dict[Key, Tensor], name: str) -> list[Key]:
    """Which known tensors x is the concatenation of."""
    parts = []
    while x.shape[1]:
        found = [
            key
            for key, value in known.items()
            if value.shape[2:] == x.shape[2:] and torch.equal(value, x[:, : value.shape[1]])
        ]
        if not found:
            raise ValueError(
                f"{name} reads something other than a layer's output, pooled, resized or scanned."
            )
        parts.append(found[0])
        x = x[:, known[found[0]].shape[1] :]
    return parts


def _what_may_follow(
    model: SVRNN, name: str, output: Tensor, known: dict[Key, Tensor]
) -> dict[Key, Tensor]:
    """Forms of a convolution's output that later layers may read: activated, pooled, and so on."""
    number = int(name.removeprefix("conv"))
    if number == 2 and not model.config.conv2_act:
        active = output
    elif number == 16:
        active = output.tanh()
    else:
        active = output.relu() if 3 <= number <= 15 else leaky(output)
    after = {(name, ""): active, (name, "resize"): double(active, model.config.resize)}
    if 3 <= number <= 9:
        after[name, "pool"] = F.max_pool2d(active, 2)
    if number == 16:
        after["conv2", "rnn"] = spatial_rnn_4way(known["conv2", ""], active.chunk(RNNS, 1)[0])
    if 17 <= number <= 19:
        weights = known["conv16", ""].chunk(RNNS, 1)[number - 16]
        after[name, "rnn"] = spatial_rnn_4way(active, weights)
    return after
