"""Initialisation from torchvision's ImageNet weights.

They are read from torch's cache or a file and never downloaded.
"""

import logging
import re
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from ..losses import IMAGENET_MEAN, IMAGENET_STD, vgg16_features

log = logging.getLogger("deblurlib.models")

# SVRNN's layers (Table 1) and their index in torchvision's vgg16().features; the shapes of conv12
# and conv4_3 differ
VGG16_LAYERS = {
    "conv3": 0,
    "conv4": 2,
    "conv5": 5,
    "conv6": 7,
    "conv7": 10,
    "conv8": 12,
    "conv9": 14,
    "conv10": 17,
    "conv11": 19,
}


def start_from_vgg16(
    model: nn.Module, weights: str | Path = "cached", standardise: bool = True
) -> bool:
    """Copy VGG-16 into conv3 to conv11 of an SVRNN's weight network (section 3.2).

    Args:
        model: An SVRNN of full width that predicts its weights.
        weights: "cached" (torch's cache; if they are missing, a warning is issued and the seeded
            initialisation stays), a path, or "random", as in `losses.vgg16_features`.
        standardise: See `copy_vgg16`.

    Returns:
        Whether they were copied.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the network lacks these layers or has a different width.
    """
    try:
        copy_vgg16(vgg16_features(weights), model, standardise)
    except FileNotFoundError:
        if weights != "cached":
            raise
        log.warning(
            "conv3 to conv11 keep their seeded initialisation: VGG-16's ImageNet weights are not "
            "in torch's cache. Fetch them once with "
            "torchvision.models.vgg16(weights='IMAGENET1K_V1'), or give a path."
        )
        return False
    return True


@torch.no_grad()
def copy_vgg16(features: nn.Sequential, model: nn.Module, standardise: bool = True) -> None:
    """Copy torchvision's vgg16().features layer by layer.

    Args:
        features: Features of VGG-16.
        model: An SVRNN of full width that predicts its weights.
        standardise: Fold (x - mean) / std into conv3, so that images in [0, 1] are seen as in
            VGG-16's training; exact except for the outermost pixels, where zero padding then means
            black. Otherwise the weights are copied unchanged, as the paper appears to do.

    Raises:
        ValueError: If the network lacks these layers or has a different width.
    """
    network: Any = getattr(model, "weight_network", None)
    first: Any = features[0]
    if network is None or network.conv3.weight.shape != first.weight.shape:
        raise ValueError(
            "Only an SVRNN of full width that predicts its weights has VGG-16's layers, "
            "conv3 to conv11: choose another size or variant."
        )
    for name, index in VGG16_LAYERS.items():
        getattr(network, name).load_state_dict(features[index].state_dict())
    if standardise:
        conv3, mean, std = network.conv3, torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
        conv3.weight /= std.view(1, 3, 1, 1)
        conv3.bias -= (conv3.weight * mean.view(1, 3, 1, 1)).sum((1, 2, 3))


def start_from_densenet121(model: nn.Module, weights: str | Path = "cached") -> bool:
    """Copy DenseNet-121 into the encoder of a RADN, batch statistics included.

    Args:
        model: A RADN of full width.
        weights: "cached" (torch's cache; if they are missing, a warning is issued and the seeded
            initialisation stays) or a path.

    Returns:
        Whether they were copied.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the file does not hold DenseNet-121, or the encoder has different widths or
            unit counts.
    """
    try:
        copy_densenet121(densenet121_features(weights), model)
    except FileNotFoundError:
        if weights != "cached":
            raise
        log.warning(
            "The encoder keeps its seeded initialisation: DenseNet-121's ImageNet weights are not "
            "in torch's cache. Fetch them once with "
            "torchvision.models.densenet121(weights='IMAGENET1K_V1'), or give a path."
        )
        return False
    return True


def densenet121_features(weights: str | Path = "cached") -> nn.Sequential:
    """Load torchvision's densenet121().features with ImageNet weights.

    Args:
        weights: "cached" (torch's cache) or a path.

    Returns:
        The features.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the file does not hold DenseNet-121.
    """
    from torchvision.models import DenseNet121_Weights, densenet121

    path = Path(weights)
    if weights == "cached":
        file = Path(DenseNet121_Weights.IMAGENET1K_V1.url).name
        path = Path(torch.hub.get_dir()) / "checkpoints" / file
    if not path.is_file():
        raise FileNotFoundError(f"There is no weights file {path}: give the path of a file.")
    with torch.device("meta"):
        features = densenet121(weights=None).features
    # the published file has norm.1 where torchvision now has norm1, and lacks batch counters
    theirs = {
        re.sub(r"(denselayer\d+\.\w+)\.([12])\.", r"\1\2.", k): v for k, v in _read(path).items()
    }
    state = {
        k: theirs.get(f"features.{k}", torch.tensor(0) if "num_batches" in k else None)
        for k in features.state_dict()
    }
    missing = [k for k, v in state.items() if v is None]
    if missing:
        raise ValueError(
            f"{path.name} lacks features.{missing[0]}: give torchvision's weights of DenseNet-121."
        )
    features.load_state_dict(state, assign=True)
    found: nn.Sequential = features
    return found


def copy_densenet121(features: nn.Sequential, model: nn.Module) -> None:
    """Copy torchvision's densenet121().features, so that the encoder computes the same activations.

    conv0 is re-expressed (see `fold_stride`), and norm3 comes from the third transition; pool0 and
    everything after the third transition's norm are not used.

    Args:
        features: Features of DenseNet-121.
        model: A RADN of full width.

    Raises:
        ValueError: If the encoder has different widths or unit counts.
    """
    encoder: Any = getattr(model, "encoder", None)
    theirs = features.state_dict()
    theirs = {k.replace("transition3.norm.", "norm3."): v for k, v in theirs.items()}
    theirs["conv0.weight"] = fold_stride(theirs["conv0.weight"])
    ours = encoder.state_dict() if hasattr(encoder, "norm3") else {}
    if not ours or any(k not in theirs or v.shape != theirs[k].shape for k, v in ours.items()):
        raise ValueError(
            "Only a RADN of full width with dense blocks of 6, 12 and 24 units has DenseNet-121's "
            "layers: choose another size or variant."
        )
    encoder.load_state_dict({k: theirs[k] for k in ours})


def fold_stride(weight: torch.Tensor) -> torch.Tensor:
    """Write a 7x7 kernel of stride 2 and padding 3 as a 4x4 kernel on pixel_unshuffle(image, 2).

    A leading row and column of zeros make it 8x8, four blocks of two phases per axis; the phases
    become channels. Pad the unshuffled image by two at the left and top and by one at the right
    and bottom.

    Args:
        weight: (O, 3, 7, 7).

    Returns:
        (O, 12, 4, 4).
    """
    return F.pixel_unshuffle(F.pad(weight, (1, 0, 1, 0)), 2)


def _read(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many types for an unreadable or refused file
        raise ValueError(
            f"{path} cannot be read as weights ({type(error).__name__}): give an intact .pth file."
        ) from None
