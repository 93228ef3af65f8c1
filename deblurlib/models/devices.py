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
