"""Networks by name."""

from typing import Any

from torch import nn

from . import aspdc, radn, radn_baseline, reblur, svdn, svrnn
from .spec import NetworkSpec

# A new network is one file in this folder and one line here.
NETWORKS: dict[str, NetworkSpec] = {
    "svrnn": svrnn.SPEC,
    "svdn": svdn.SPEC,
    "radn": radn.SPEC,
    "radn_baseline": radn_baseline.SPEC,
    "aspdc": aspdc.SPEC,
    "reblur": reblur.SPEC,
}


def list_models() -> list[str]:
    """List the networks.

    Returns:
        The names that `create_model` takes.

    >>> list_models()
    ['svrnn', 'svdn', 'radn', 'radn_baseline', 'aspdc', 'reblur']
    """
    return list(NETWORKS)


def list_variants(name: str) -> list[str]:
    """List the variants of a network.

    Args:
        name: One of `list_models()`.

    Returns:
        The rows of its paper's ablation table and our controls; "paper" is the main network.

    Raises:
        ValueError: If the name is unknown.

    >>> list_variants("reblur")
    ['naive', 'figure2', 'paper']
    """
    return list(spec_of(name).variants)


def create_model(
    name: str, variant: str = "paper", *, size: str = "full", **overrides: Any
) -> nn.Module:
    """Make a freshly initialised network; seed it with `torch.manual_seed`.

    Args:
        name: One of `list_models()`.
        variant: One of `list_variants(name)`.
        size: "full" (the paper's width) or "small" (the same topology, narrow).
        **overrides: Fields of the network's configuration that override those of the variant.

    Returns:
        A module: (B, 3, H, W) RGB in [0, 1] -> the same, any H, W >= 16. Its attribute `recipe`
        says how it was made.

    Raises:
        ValueError: If a name is unknown, or the network cannot be built with the overrides.

    >>> create_model("svdn", "dilated", size="small").recipe
    {'name': 'svdn', 'variant': 'dilated', 'size': 'small', 'overrides': {}}
    """
    spec = spec_of(name)
    if variant not in spec.variants:
        raise ValueError(
            f"{name} has no variant {variant!r}: choose one of {', '.join(spec.variants)}."
        )
    if size not in ("full", "small"):
        raise ValueError(f"There is no size {size!r}: choose 'full' or 'small'.")
    config = {**spec.variants[variant], **(spec.small if size == "small" else {}), **overrides}
    try:
        model = spec.network(**config)
    except (TypeError, RuntimeError, ValueError, OverflowError, MemoryError) as error:
        raise ValueError(
            f"{name} cannot be built with {config}: {' '.join(str(error).split())[:200]}."
        ) from None
    recipe = {"name": name, "variant": variant, "size": size, "overrides": overrides}
    vars(model)["recipe"] = recipe
    return model


def spec_of(network: str | nn.Module) -> NetworkSpec:
    """Look up the specification of a network.

    Args:
        network: A name in `list_models()`, or any module. A module is recognised by its attribute
            `network_spec`, by the name under which `create_model` made it, or by its class.

    Returns:
        The specification; an unrecognised module gets the default of every field.

    Raises:
        ValueError: If the name is unknown.
    """
    if not isinstance(network, nn.Module):
        if not isinstance(network, str) or network not in NETWORKS:
            raise ValueError(f"There is no model {network!r}: choose one of {', '.join(NETWORKS)}.")
        return NETWORKS[network]
    own = getattr(network, "network_spec", None)
    if isinstance(own, NetworkSpec):
        return own
    recipe = vars(network).get("recipe")
    if isinstance(recipe, dict) and recipe.get("name") in NETWORKS:
        return NETWORKS[recipe["name"]]
    for spec in NETWORKS.values():
        if isinstance(spec.network, type) and isinstance(network, spec.network):
            return spec
    return NetworkSpec(network=type(network))
