"""The device that a network runs on."""

import torch


def choose_device(device: str | torch.device) -> torch.device:
    """Resolve the name of a device and check that this machine has it.

    Args:
        device: "auto" for the GPU if there is one and the CPU otherwise, or any name that torch
            accepts.

    Returns:
        The device.

    Raises:
        ValueError: If the name is unknown, or this machine has no such device.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError, TypeError):
        raise ValueError(
            f"There is no device {str(device)!r} here: choose auto, cpu, cuda or mps."
        ) from None
    return chosen


def multiplies_bf16(device: torch.device | str = "auto") -> bool:
    """Tell whether a device multiplies bfloat16 in hardware.

    Args:
        device: The device, as for `choose_device`.

    Returns:
        Whether it does: a GPU that supports it, or a processor with AVX512-BF16 or AMX.
    """
    if choose_device(device).type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
