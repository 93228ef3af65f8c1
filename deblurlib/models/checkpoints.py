"""Finding the weights of a network in what trainers and other libraries store around them."""

import logging
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from torch import Tensor

logger = logging.getLogger("deblurlib.models")

# Where trainers keep named tensors, the averaged ones first: BasicSR, timm, MMEngine, ours, …
AVERAGES = ("params_ema", "state_dict_ema", "ema_state_dict", "model_ema", "ema", "average")
CURRENT = (
    "state_dict",
    "model_state_dict",
    "model",
    "params",
    "network",
    "net",
    "generator",
    "net_g",
    "weights",
    "module",
)
COMPILED = "_orig_mod."  # torch.compile puts it before the names of what it has compiled
COUNTERS = re.compile(r"n_averaged|(.*\.)?num_updates|decay")  # beside averaged weights


def find_state(
    content: Any, wanted: Collection[str], parameters: Collection[str], where: str
) -> Any:
    """Find the weights of a network in the content of a file.

    Args:
        content: What the file holds.
        wanted: The names of the network's tensors.
        parameters: Those of its parameters; an average of weights need not have the others.
        where: Name of the file, for messages.

    Returns:
        The tensors by their names in the network, the averaged ones if there are any, which is
        logged; anything else unchanged.
    """
    if not isinstance(content, Mapping) or _is_state(content):
        return _renamed(content, wanted) if isinstance(content, Mapping) else content
    found = dict(_states(content))
    average = next((name for name in found if name.split(".")[-1] in AVERAGES), None)
    current = next((name for name in found if name != average), None)
    if average is not None:
        state = _renamed(found[average], wanted)
        if current is not None and set(parameters) <= set(state):  # buffers are not averaged
            state = {**_renamed(found[current], wanted), **{k: state[k] for k in parameters}}
        logger.warning("%s: the averaged weights, %s, are loaded.", where, average)
        return state
    return content if current is None else _renamed(found[current], wanted)


def _states(content: Mapping[str, Any], inside: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """The groups of named tensors in a file by their path, averages first."""
    for name in (*AVERAGES, *CURRENT):
        value = content.get(name)
        if not isinstance(value, Mapping):
            continue
        if _is_state(value):
            yield f"{inside}{name}", dict(value)
        else:
            yield from _states(value, f"{inside}{name}.")


def _is_state(value: Mapping[Any, Any]) -> bool:
    """Whether a mapping holds tensors by name and, at most, counters of an average."""
    tensors = [name for name, each in value.items() if isinstance(each, Tensor)]
    others = [str(name) for name in value if name not in set(tensors)]
    return bool(tensors) and all(COUNTERS.fullmatch(name) for name in others)


def _renamed(state: Mapping[str, Any], wanted: Collection[str]) -> dict[str, Any]:
    """The tensors without what wrappers put before their names.

    Names outside a common prefix, such as those of a loss beside the network, are left out; so
    are averaged copies in the same group, unless they are all there is.
    """
    names = {str(name).replace(COMPILED, ""): value for name, value in state.items()}
    if not wanted or set(wanted) & set(names):
        return names
    last = min(wanted)
    prefixes = [name.removesuffix(last) for name in names if name.endswith(f".{last}")]
    whole = [p for p in prefixes if all(f"{p}{name}" in names for name in wanted)]
    if not whole:  # incomplete: the best prefix, so that the error says what is missing
        counts = {p: sum(f"{p}{name}" in names for name in wanted) for p in prefixes}
        whole = sorted(counts, key=lambda p: -counts[p])[:1]
    if not whole:
        return names
    prefix = sorted(whole, key=lambda p: ("ema" not in p, len(p)))[0]
    return {name.removeprefix(prefix): v for name, v in names.items() if name.startswith(prefix)}
