"""Every test that asks for `backend` runs once with each backend that this machine has."""

import pytest
import torch

from deblurlib.ops import set_backend
from deblurlib.ops.backends import compiler


@pytest.fixture(params=["torch", "cpp"])
def backend(request):
    if request.param == "cpp":
        try:
            compiler.load("deform_conv")
        except compiler.KernelUnavailable as error:
            pytest.skip(str(error))
    torch.manual_seed(0)
    with set_backend(request.param):
        yield request.param
