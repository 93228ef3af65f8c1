"""Entry points of torch.hub.

`torch.hub.load("owner/name", "svdn")`, or `torch.hub.load(CHECKOUT, "svdn", source="local")`.
"""

import typing

if typing.TYPE_CHECKING:
    from torch import nn

dependencies = [
    "torch",
    "torchvision",
    "safetensors",
    "numpy",
    "scipy",
    "pandas",
    "cv2",
    "skimage",
    "PIL",
    "tqdm",
]


def svrnn(
    pretrained: bool = False, variant: str = "paper", size: str = "full", **overrides: typing.Any
) -> "nn.Module":
    """SVRNN (Zhang et al., CVPR 2018): (B, 3, H, W) RGB in [0, 1] -> the same.

    Args:
        pretrained: Load the shipped weights; they exist in the size "small".
        variant: See `deblurlib.models.list_variants`.
        size: "full" or "small".
        **overrides: See `deblurlib.models.create_model`; only without `pretrained`.

    Returns:
        The network.

    Raises:
        ValueError: If a name is unknown, or there are overrides for shipped weights.
        FileNotFoundError: If no weights are shipped in this size.
    """
    return _network("svrnn", pretrained, variant, size, **overrides)


def svdn(
    pretrained: bool = True, variant: str = "paper", size: str = "full", **overrides: typing.Any
) -> "nn.Module":
    """SVDN (Yuan et al., CVPR 2020): (B, 3, H, W) RGB in [0, 1] -> the same.

    Args:
        pretrained: Load the shipped weights; they exist in the size "full".
        variant: See `deblurlib.models.list_variants`.
        size: "full" or "small".
        **overrides: See `deblurlib.models.create_model`; only without `pretrained`.

    Returns:
        The network.

    Raises:
        ValueError: If a name is unknown, or there are overrides for shipped weights.
        FileNotFoundError: If no weights are shipped in this size.
    """
    return _network("svdn", pretrained, variant, size, **overrides)


def radn(
    pretrained: bool = False, variant: str = "paper", size: str = "full", **overrides: typing.Any
) -> "nn.Module":
    """RADN (Purohit and Rajagopalan, AAAI 2020): (B, 3, H, W) RGB in [0, 1] -> the same.

    Args:
        pretrained: Load the shipped weights; they exist in the size "small".
        variant: See `deblurlib.models.list_variants`.
        size: "full" or "small".
        **overrides: See `deblurlib.models.create_model`; only without `pretrained`.

    Returns:
        The network.

    Raises:
        ValueError: If a name is unknown, or there are overrides for shipped weights.
        FileNotFoundError: If no weights are shipped in this size.
    """
    return _network("radn", pretrained, variant, size, **overrides)


def aspdc(
    pretrained: bool = False, variant: str = "paper", size: str = "full", **overrides: typing.Any
) -> "nn.Module":
    """ASPDC (Huo et al., CVPRW 2022): (B, 3, H, W) RGB in [0, 1] -> the same.

    Args:
        pretrained: Load the shipped weights; they exist in the size "small".
        variant: See `deblurlib.models.list_variants`.
        size: "full" or "small".
        **overrides: See `deblurlib.models.create_model`; only without `pretrained`.

    Returns:
        The network.

    Raises:
        ValueError: If a name is unknown, or there are overrides for shipped weights.
        FileNotFoundError: If no weights are shipped in this size.
    """
    return _network("aspdc", pretrained, variant, size, **overrides)


def _network(
    name: str, pretrained: bool, variant: str, size: str, **overrides: typing.Any
) -> "nn.Module":
    from deblurlib.models import create_model, load_model

    if pretrained and overrides:
        raise ValueError(
            f"The shipped weights of {name} fit no other {', '.join(overrides)}: "
            "leave it out or set pretrained=False."
        )
    if pretrained:
        return load_model(name, variant=variant, size=size)
    return create_model(name, variant, size=size, **overrides)
