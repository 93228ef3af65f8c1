"""Every test that asks for `backend` runs once with each backend that this machine has."""

import pytest
import torch

from deblurlib.ops import set_backend
from deblurlib.ops.kernels import loader


@pytest.fixture(params=["torch", "cpp"])
def backend(request):
    if request.param == "cpp":
        try:
            loader.load("deform_conv")
        except loader.KernelUnavailable as error:
            pytest.skip(str(error))
    torch.manual_seed(0)
    with set_backend(request.param):
        yield request.param
