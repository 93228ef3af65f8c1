"""The authors' published weights, translated to our names and layout."""

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

Rule = tuple[str, str | Callable[[re.Match[str]], str]]  # (pattern, replacement) for re.sub

# SVRNN: our layers and their names in the authors' Caffe network
SVRNN_LAYERS = {
    "conv1": "conve1_1",
    "conv2": "conve1_2",
    "weight_network.conv3": "convg1_1",
    "weight_network.conv4": "convg1_2",
    "weight_network.conv5": "convg2_1",
    "weight_network.conv6": "convg2_2",
    "weight_network.conv7": "convg3_1",
    "weight_network.conv8": "convg3_2",
    "weight_network.conv9": "convg3_3",
    "weight_network.conv10": "convg4_1",
    "weight_network.conv11": "convg4_2",
    "weight_network.conv12": "convg4_3",
    "weight_network.conv13": "convgd1",
    "weight_network.conv14": "convgd1_2",
    "weight_network.conv15": "convgd2",
    "weight_network.conv16": "convgd2_2",
    "body.fuse.0": "conv_rnn1",
    "body.fuse.1": "conv_rnn2",
    "body.fuse.2": "conv_rnn3",
    "body.fuse.3": "conv_rnn4",
    "conv21": "convd1_1",
    "conv22": "convd1_2",
}
SVRNN_RNNS = 4

ASPDC_RULES: Sequence[Rule] = (
    (r"\.model\.", ".body."),  # inside a ResBlock
    (r"^en_res_group(\d)_", lambda m: f"modules_{int(m[1]) - 1}."),
    (r"^de_res_group(\d)_", lambda m: f"modules_{6 - int(m[1])}."),  # the decoder counts down
    (r"^modules_(\d)\.1\.", r"body.\1.blocks."),
    (r"^modules_(\d)\.2\.", r"body.\1."),
    (r"\.res_conv\.0\.", ".pre.0."),
    (r"\.hallucination_d(\d)\.(hallucination_conv\.)?", r".branches.\1."),
    (r"\.p_conv\.", ".offset."),
    (r"\.m_conv\.", ".mask."),
    (r"\.dconv\.", ".deform."),
    (r"\.mask_conv\.", ".afim."),
    (r"\.fusion_conv\.", ".fusion."),
    (r"^dense_conv\.", "dense."),
)

REBLUR_RULES: Sequence[Rule] = (
    (r"\.model\.", ".body."),  # inside a ResBlock
    (r"^head_conv\.", "stages.0."),
    (r"^body_conv_(\d)\.", r"stages.\1."),
    (r"^body_dconv_(\d)\.", lambda m: f"stages.{7 - int(m[1])}."),  # the decoder counts down
    (r"^kernel_head_conv\.", "kernels.0."),
    (r"^kernel_conv_(\d)\.", r"kernels.\1."),
    (r"^kernel_dconv_(\d)\.", lambda m: f"kernels.{7 - int(m[1])}."),
)


def translate_svrnn(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """Translate the blobs of SVRNN's Caffe model.

    Keys are "layer.0" (weights) and "layer.1" (biases), as pycaffe writes an .npz by
    `np.savez(path, **{f"{k}.{i}": b.data for k, blobs in net.params.items() for i, b in
    enumerate(blobs)})`. The release works on transposed images (MATLAB's order): kernels are
    transposed here, and its scans right, down, left, up become down, right, up, left. Blobs of its
    recurrent layers have no effect and are left out.

    Args:
        state: The blobs, or any other state.

    Returns:
        Tensors under our names; any other state unchanged.

    Raises:
        ValueError: If kernels are not in Caffe's order.
    """
    if "conve1_1.0" not in state:
        return state
    ours = {}
    for layer, released in SVRNN_LAYERS.items():
        weight, bias = state.get(f"{released}.0"), state.get(f"{released}.1")
        if weight is not None:
            if weight.dim() != 4 or weight.shape[2] != weight.shape[3]:
                raise ValueError(
                    f"{released}.0 has shape {tuple(weight.shape)}: "
                    "kernels must be (out, in, size, size)."
                )
            ours[f"{layer}.weight"] = _natural_layout(layer, weight.mT)
        if bias is not None:  # old blobs are 1 x 1 x 1 x n
            ours[f"{layer}.bias"] = _natural_layout(layer, bias.flatten())
    return ours


def _natural_layout(layer: str, blob: Tensor) -> Tensor:
    """Reorder the groups that conv16 writes (2, 1, 4, 3) and conv17 to conv20 read (3, 4, 1, 2)."""
    if layer.endswith("conv16"):
        return torch.unflatten(blob, 0, (SVRNN_RNNS, 4, -1))[:, [1, 0, 3, 2]].flatten(0, 2)
    if layer.startswith("body") and blob.dim() == 4:
        return torch.unflatten(blob, 1, (4, -1))[:, [2, 3, 0, 1]].flatten(1, 2)
    return blob


def translate_aspdc(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """Translate ASPDC's DeblurringNet_NF.pth or DeblurringNet_FT.pth.

    Warns that those networks read the mask of branch 1 from misaligned memory (see
    `aspdc.misread_by_mmcv`). The variant "mmcv_flat" imitates this; it approaches the paper's
    values without reaching them.

    Args:
        state: The content of the file, or any other state.

    Returns:
        Tensors under our names; any other state unchanged.
    """
    if "deblurring_state_dict" not in state:
        return state
    warnings.warn(
        "The released ASPDC code reads the mask of branch 1 misaligned and past its end, and its "
        'weights were most likely trained so: compare the variants "mmcv_flat" and "paper"; '
        "neither reproduces the printed values exactly.",
        stacklevel=4,  # the caller of load_model
    )
    return _renamed(state["deblurring_state_dict"], ASPDC_RULES)


def translate_reblur(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """Translate ASPDC's ReBlurringNet.pth.

    Args:
        state: The content of the file, or any other state.

    Returns:
        Tensors under our names; any other state unchanged.
    """
    if "blurring_state_dict" not in state:
        return state
    return _renamed(state["blurring_state_dict"], REBLUR_RULES)


def _renamed(state: Mapping[str, Any], rules: Sequence[Rule]) -> dict[str, Any]:
    """The same tensors, each name changed by every rule in turn."""
    renamed = {}
    for name, tensor in state.items():
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        renamed[name] = tensor
    return renamed
